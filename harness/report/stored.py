"""Table and objectives of a report that was written before."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from harness import userfiles
from harness.errors import StoreError
from harness.frame.objectives import read
from harness.schema import Objective
from harness.store import read_objectives

TABLE = "report/table.csv"


def stored_table(folder: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of the report's table in a run's folder, with cells as text.

    Raises:
        StoreError: It cannot be read.
    """
    content = userfiles.read_text(folder / TABLE, "report's table", limit_bytes=userfiles.RUN_BYTES, error=StoreError)
    try:
        table = csv.DictReader(io.StringIO(content))
        return list(table.fieldnames or ()), list(table)
    except csv.Error as error:
        raise StoreError(f"{folder / TABLE} cannot be read: {error}", "redraw it: `harness report RUN`") from None


def drawn_objectives(folder: Path) -> tuple[Objective, ...]:
    """Objectives of the report in a run's folder; the usual three if it names none.

    Raises:
        HarnessError: The report's table, or the `fronts.json` of an older run, cannot be read.
    """
    _, rows = stored_table(folder)
    cell = rows[0].get("front_objectives") if rows else None
    return read(cell) if cell else read_objectives(folder)
