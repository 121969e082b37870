"""Stored runs and a table of theirs -> what an author puts into a paper: the table with short notes, and the text on method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.report import latex
from harness.report.export import export
from harness.report.notes import MARKS, notes, remarked, short_notes
from harness.report.tables import as_read
from harness.schema import StoredRun
from harness.text import engine_text

if TYPE_CHECKING:
    import pandas as pd

GROUPS = {"runs": ("run_id", "case_id"), "domains": ("run_id", "case_id"), "builds": ("run_id", "model")}
"""Columns that stand above the rows that share them."""
WHERE = "% The method: method.tex, which --output writes beside the table, or `harness export RUN... --format tex --method`\n"
LEFT_OUT = {"runs": ("idle_w",), "history": ("started_utc", "host")}
"""Columns without room: the idle power is in `domains`, the start in the run's name, another host in `changed`."""
TITLES = {
    "cases": "Energy, latency and quality of each case",
    "runs": "Energy, latency and quality of each repetition",
    "domains": "Energy and power of each domain",
    "builds": "Time, energy and size of each build",
    "history": "Energy, latency and quality of one case over runs",
}


def paper(
    stored: Sequence[StoredRun],
    name: str,
    table: pd.DataFrame,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str],
    units: Sequence[str],
) -> tuple[bytes, bytes]:
    """Table with caption, label and short notes, and the text on method with all notes, failures and warnings, both in LaTeX.

    Args:
        stored: Runs that the table is of.
        name: Name of the table.
        table: The table.
        rows: Rows of the table `cases` of the same runs.
        columns: Columns wanted; empty: those that a person reads, without the words that all rows share, which become a note.
        units: Units wanted, as `export` takes them.
    """
    short = [*short_notes(rows), *([MARKS] if name == "cases" and not columns else [])]
    chosen, wanted = (list(columns), list(units)) if columns else as_read(name, table, units)
    if chosen and not columns:
        shared = _shared(table, [column for column in chosen if column not in LEFT_OUT.get(name, ())])
        chosen = [column for column in chosen if column not in shared and column not in LEFT_OUT.get(name, ())]
        short += [f"In every row: {', '.join(f'{column} {value}' for column, value in shared.items())}."] if shared else []
    of = f"{TITLES[name]}; {_scope(rows)}."
    groups = () if columns else GROUPS.get(name, ())
    tex = export(table, "tex", columns=chosen, units=wanted, notes=short, caption=of, label=f"tab:{name}", groups=groups)
    return WHERE.encode() + tex, latex.method([*notes(stored, rows), *remarked(rows)]).encode()


def _shared(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Words that all of several rows share, by column."""
    words = [column for column in columns if table[column].dtype == "string" and table[column].notna().all()]
    return {column: str(table[column].iloc[0]) for column in words if len(table) > 1 and table[column].nunique() == 1}


def _scope(rows: Sequence[dict[str, Any]]) -> str:
    """What all cases share: `model digits-cnn, device cpu, threads 1, scenario single_stream`; without cases, `no case`."""
    values = {
        "model": {row["model"] for row in rows},
        "engine": {engine_text(row) for row in rows},
        **{name: {row[name] for row in rows} for name in ("device", "threads", "scenario")},
    }
    shared = [f"{name} {next(iter(found))}" for name, found in values.items() if len(found) == 1]
    return ", ".join(shared) or f"{len(rows)} cases"
