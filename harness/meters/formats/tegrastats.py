"""`tegrastats` of NVIDIA Jetson: one line per reading with `RAIL now/average`, in milliwatts unless the line states W."""

from __future__ import annotations

import re

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.options import Options
from harness.meters.table import Table, Torn

RAIL = re.compile(r"\b((?:VDD|VIN|POM|SYS|NC|CV|VDDQ)\w*) (\d+(?:\.\d+)?)(mW|W)?(?:/\d+(?:\.\d+)?(?:mW|W)?)?(?=\s|$)")
LINE = re.compile(r"\bRAM \d+/\d+MB")


def table(name: str, text: str, options: Options) -> Table:
    """Rows with the text before `RAM` as time and the first of the two numbers of each rail, its present reading.

    Raises:
        MeterError: No line names a power rail.
    """
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    torn: Torn = []
    for number, line in enumerate(text.splitlines(), 1):
        start = LINE.search(line)
        if start is None:
            torn += [(number, len(rows), "no line of tegrastats")] if line.strip() else []
            continue
        rails = {rail: f"{value} {unit or 'mW'}" for rail, value, unit in RAIL.findall(line)}
        if not rails:
            torn.append((number, len(rows), "no power rail"))
            continue
        rows.append({"time": line[: start.start()].strip(" ,;:-"), **rails})
        lines.append(number)
    if not rows:
        raise MeterError(
            f"{name} contains no power rail of tegrastats", "log on the board with `tegrastats --interval 100 --logfile log.txt`"
        )
    if not text.endswith("\n") and len(rows) > 1 and set(rows[-1]) != set(rows[-2]):
        torn.append((lines.pop(), len(rows) - 1, "the last line was cut"))
        rows.pop()
    return Table.of_rows(name, rows, lines, torn, " ")


FORMAT = MeterFormat(
    name="tegrastats",
    summary="tegrastats of NVIDIA Jetson",
    recognise=head_matches(LINE.pattern),
    table=table,
    time=("time",),
    date_order="mdy",
    preferred=("VDD_IN", "POM_5V_IN", "VDD_SYS_IN"),
    one_device=True,
)
