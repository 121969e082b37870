"""A column of units beside a column of numbers, as in `quantity,value,unit`: each unit is put behind its number."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from harness.meters.names import factor_of, is_other, words
from harness.meters.numbers import cells_of
from harness.meters.table import Table

NAMES = words("unit units uom einheit einheiten unité unités unidad unità eenheid enhet 单位 単位")
"""Words that name a column of units."""


def with_units(table: Table) -> Table:
    """The table with the units of such columns behind the numbers beside them; other tables as they are.

    Args:
        table: The log.
    """
    cells = table.cells
    for index in range(len(table.names)):
        if not _holds_units(table, index):
            continue
        target = next((i for i in (index - 1, index + 1) if i in cells and _bare_numbers(cells[i])), None)
        if target is not None:
            joined = cells[target] + " " + cells[index]
            cells = cells.copy()
            cells[target] = joined.where(cells[target] != "", "").str.strip()
    return table if cells is table.cells else replace(table, cells=cells)


def _holds_units(table: Table, index: int) -> bool:
    """Whether every cell is a unit, in a column of that name or, where there is no header, of units that are no single letter but W."""
    column = table.cells[index]
    found = [unit for unit in column.unique() if unit]
    if not found or not all(factor_of(unit) is not None or is_other(unit) for unit in found):
        return False
    if table.headed:
        return bool({part.lower() for part in re.findall(r"[^\W\d_]+", table.names[index])} & NAMES)
    return all(len(unit) > 1 or factor_of(unit) is not None for unit in found)


def _bare_numbers(column: pd.Series) -> bool:
    """Whether most cells are numbers, none of them with a unit."""
    cells = cells_of(column)
    return bool(cells.numeric.mean() > 0.5) and not (cells.unit != "").any()
