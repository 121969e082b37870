"""Files of a run's report, written into its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic import replace_file
from harness.errors import StoreError
from harness.frame.rows import rows_of
from harness.report import page, plots
from harness.report.export import to_csv
from harness.report.prefill import prefill_lines
from harness.report.sentences import output_sentences, preface, sentences
from harness.report.tables import to_markdown
from harness.schema import OBJECTIVES, Objective, StoredRun
from harness.text import markdown

if TYPE_CHECKING:
    import pandas as pd

FILES = ("table.md", "table.csv", "pareto.png", "pareto.svg", "index.html")
"""Files of a complete report."""


def write(
    run: StoredRun, tables: Mapping[str, pd.DataFrame], folder: Path | None = None, objectives: Sequence[Objective] = OBJECTIVES
) -> Path:
    """Write the report of a run, by default into `report` in the run's folder, replacing each file atomically; returns the folder.

    Raises:
        StoreError: A file cannot be written.
    """
    folder = Path(run.folder) / "report" if folder is None else folder
    figures = plots.draw(tables["cases"], objectives)
    texts = {
        "table.md": to_markdown(tables["cases"]) + _compared(run, tables["cases"]),
        "index.html": page.render(run, tables, figures["svg"].decode(), objectives),
        "table.csv": to_csv(tables["cases"]),
    }
    files = {name: text.encode() for name, text in texts.items()} | {f"pareto.{form}": figure for form, figure in figures.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {folder}: {error.strerror}",
            "free some space or change the permissions, then `harness report RUN`",
        ) from error
    return folder


def _compared(run: StoredRun, cases: pd.DataFrame) -> str:
    """The sentences below the table, as a Markdown list."""
    rows = rows_of(cases)
    compared = sentences(run.header, rows)
    lines = [
        *([preface(run.header, rows), ""] if compared else []),
        *(f"- {each}." for each in (*compared, *output_sentences(rows), *prefill_lines(rows))),
    ]
    return "\n".join(["", *map(markdown, lines), ""]) if lines else ""
