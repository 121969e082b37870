"""Table of stored runs for a paper: the table with short notes, and the text on method, both in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.report import latex
from harness.report.export import export
from harness.report.notes import MARKS, notes, remarked, short_notes
from harness.report.tables import published_columns
from harness.schema import StoredRun
from harness.text import engine_text

if TYPE_CHECKING:
    import pandas as pd

GROUPS = {"runs": ("run_id", "case_id"), "domains": ("run_id", "case_id"), "builds": ("run_id", "model")}
"""Columns that become lines above the rows that share their values."""
WHERE = "% The method: method.tex, which --output writes next to the table, or `harness export RUN... --format tex --method`\n"
LEFT_OUT = {"runs": ("idle_w",), "history": ("started_utc", "host")}
"""Columns without room: idle power is in `domains`, the start in the name of the run, another host in `changed`."""
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
    """Table with caption, label and short notes, and the text on method with all notes, failures and warnings of the rows of `cases`.

    Without names of columns it has the published ones, with words that all rows share as a note. Units are names out of `units.UNITS`.
    """
    short = [*short_notes(rows), *([MARKS] if name == "cases" and not columns else [])]
    chosen, in_units = (list(columns), list(units)) if columns else published_columns(name, table, units)
    if not columns:
        chosen = [column for column in chosen if column not in LEFT_OUT.get(name, ())]
        shared = _shared(table, chosen)
        chosen = [column for column in chosen if column not in shared]
        short += [f"In every row: {', '.join(f'{column} {value}' for column, value in shared.items())}."] if shared else []
    title = f"{TITLES[name]}; {_scope(rows)}."
    groups = () if columns else GROUPS.get(name, ())
    tex = export(table, "tex", columns=chosen, units=in_units, notes=short, caption=title, label=f"tab:{name}", groups=groups)
    return WHERE.encode() + tex, latex.method([*notes(stored, rows), *remarked(rows)]).encode()


def _shared(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Words that all of several rows share, by column."""
    words = [column for column in columns if table[column].dtype == "string" and table[column].notna().all()]
    return {column: str(table[column].iloc[0]) for column in words if len(table) > 1 and table[column].nunique() == 1}


def _scope(rows: Sequence[dict[str, Any]]) -> str:
    """Properties shared by all cases: `model digits-cnn, device cpu, threads 1`; otherwise the number of cases."""
    values = {
        "model": {row["model"] for row in rows},
        "engine": {engine_text(row) for row in rows},
        **{name: {row[name] for row in rows} for name in ("device", "threads", "scenario")},
    }
    return ", ".join(f"{name} {next(iter(each))}" for name, each in values.items() if len(each) == 1) or f"{len(rows)} cases"
