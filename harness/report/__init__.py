"""Stored runs -> what people read: a table in the terminal, and `report/` with table.md, table.csv, pareto.png, pareto.svg and index.html."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from harness.errors import StoreError
from harness.schema import StoredRun


def write(run: StoredRun, folder: Path | None = None) -> Path:
    """Write the report of a run; each file is replaced at once, so that a reader never meets half of one.

    Args:
        run: Read back from its folder.
        folder: Where to; null: `report` in the run's folder.

    Returns:
        The folder.

    Raises:
        StoreError: It cannot be written.
    """
    from harness import frame
    from harness.report import page, plots, tables
    from harness.report.export import to_csv

    folder = Path(run.folder) / "report" if folder is None else folder
    table = frame.cases([run])
    pictures = plots.draw(table)
    contents = {
        "table.md": tables.to_markdown(table).encode(),
        "table.csv": to_csv(table).encode(),
        "pareto.png": pictures["png"],
        "pareto.svg": pictures["svg"],
        "index.html": page.render(run, frame.tables([run]), pictures["svg"].decode()).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _replace(folder / name, content)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {folder}: {error.strerror}", "free some space or mend the rights, then `harness report RUN`"
        ) from error
    return folder


def terminal(run: StoredRun) -> None:
    """Print the table of a run to standard output: as wide as the terminal, 120 columns where there is none."""
    from rich.console import Console

    from harness import frame
    from harness.report.tables import terminal as table

    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120).print(table(frame.cases([run])))


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
