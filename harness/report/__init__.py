"""Tables of a run -> what people read: a table for the terminal, and `report/` with table.md, table.csv, pareto.png, pareto.svg and index.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic import replace_file
from harness.errors import StoreError
from harness.report.export import FORMATS, PUBLISHED, export, to_csv
from harness.report.notes import notes
from harness.report.paper import paper
from harness.report.sentences import sentences
from harness.report.tables import as_read, terminal, to_markdown
from harness.report.units import UNITS
from harness.schema import OBJECTIVES, Objective, StoredRun

if TYPE_CHECKING:
    import pandas as pd

FILES = ("table.md", "table.csv", "pareto.png", "pareto.svg", "index.html")
"""Of a report, which is drawn whole."""

__all__ = [
    "FILES",
    "FORMATS",
    "PUBLISHED",
    "UNITS",
    "as_read",
    "export",
    "notes",
    "paper",
    "sentences",
    "terminal",
    "write",
]


def write(
    run: StoredRun, tables: Mapping[str, pd.DataFrame], folder: Path | None = None, objectives: Sequence[Objective] = OBJECTIVES
) -> Path:
    """Write the report of a run; each file is replaced at once, so that a reader never meets half of one.

    Args:
        run: Read back from its folder.
        tables: What `frame.tables([run])` gives.
        folder: Where to; null: `report` in the run's folder.
        objectives: What the fronts of these tables are of.

    Returns:
        The folder.

    Raises:
        StoreError: It cannot be written.
    """
    from harness.report import page, plots

    folder = Path(run.folder) / "report" if folder is None else folder
    pictures = plots.draw(tables["cases"], objectives)
    contents = {
        "table.md": to_markdown(tables["cases"]),
        "index.html": page.render(run, tables, pictures["svg"].decode(), objectives),
        "table.csv": to_csv(tables["cases"]),
    }
    files = {name: content.encode() for name, content in contents.items()} | {f"pareto.{form}": drawn for form, drawn in pictures.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {folder}: {error.strerror}", "free some space or mend the rights, then `harness report RUN`"
        ) from error
    return folder
