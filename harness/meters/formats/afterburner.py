"""MSI Afterburner's monitoring log (`.hml`): lines 02 name the columns, 03 their units, 80 hold readings in local time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.options import Options
from harness.meters.table import Table, Torn, numbered, split

UNIT_CELLS = 4
"""Cells of a line 03: its kind, the time, the number of the column, the unit."""


def table(name: str, text: str, options: Options) -> Table:
    """Its readings, each column named with its unit.

    Raises:
        MeterError: There are no readings, or the columns change where logging was restarted.
    """
    header: list[str] = []
    units: dict[int, str] = {}
    rows: list[list[str]] = []
    lines: list[int] = []
    torn: Torn = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = split(line, ",")
        kind = "".join(cells[:1])
        if kind == "02":
            if rows and cells[2:] != header:
                raise MeterError(f"the columns of {name} change at line {number}: logging was restarted", "cut the log there")
            header = cells[2:]
        elif kind == "03" and len(cells) >= UNIT_CELLS and cells[2].isdecimal():
            units[int(cells[2])] = cells[3]
        elif kind == "80" and header and len([cell for cell in cells[2:] if cell]) == len(header):
            rows.append([cells[1], *cells[2 : 2 + len(header)]])
            lines.append(number)
        elif line.strip() and kind not in ("00", "01", "03"):
            torn.append((number, len(rows), f"{len(cells) - 2} cells where there are {len(header)} columns"))
    if not rows:
        raise MeterError(f"{name} contains no readings of Afterburner", "log with `Log history to file` in its monitoring settings")
    names = [f"{each} [{units[i]}]" if units.get(i) else each for i, each in enumerate(header)]
    return Table(name, ["time", *numbered(names)], pd.DataFrame(rows, dtype=str), np.array(lines, dtype=int), torn)


FORMAT = MeterFormat(
    name="afterburner",
    summary="MSI Afterburner",
    recognise=head_matches(r"^00,.*Hardware monitoring log"),
    table=table,
    time=("time",),
    one_device=True,
)
