"""`nvidia-smi dmon -o DT`: columns separated by blanks, one row per card and second."""

from __future__ import annotations

import re

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.options import Options
from harness.meters.table import Table, Torn

HEADER = r"^#\s*(?:Date[\s,]+)?(?:Time[\s,]+)?gpu[\s,].*\bpwr\b"


def table(name: str, text: str, options: Options) -> Table:
    """Its rows; the two lines of its header are repeated on every page.

    Raises:
        MeterError: It has no header, or no column of times.
    """
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if re.search(HEADER, line)), None)
    if first is None:
        raise MeterError(f"{name} has no header of nvidia-smi dmon with a column pwr", "log with `nvidia-smi dmon -s p -o DT`")
    names = re.split(r"[\s,]+", lines[first].strip().lstrip("# ").strip())
    if "Time" not in names:
        raise MeterError(
            f"{name} contains no times: nvidia-smi dmon writes them only when asked", "log again with `nvidia-smi dmon -s p -o DT`"
        )
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    torn: Torn = []
    for number, line in enumerate(lines[first + 1 :], first + 2):
        cells = [] if line.lstrip().startswith("#") else line.replace(",", " ").split()
        if len(cells) == len(names):
            rows.append(dict(zip(names, cells, strict=True)))
            numbers.append(number)
        elif cells:
            torn.append((number, len(rows), f"{len(cells)} cells where there are {len(names)} columns"))
    log = Table.of_rows(name, rows, numbers, torn, " ")
    return log if text.endswith("\n") else log.without_cut_row()


FORMAT = MeterFormat(
    name="dmon",
    summary="nvidia-smi dmon",
    recognise=head_matches(HEADER),
    table=table,
    time=("Time",),
    power=(("pwr", "W"),),
    device=("gpu",),
)
