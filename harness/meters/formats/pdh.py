"""Windows performance counters as CSV (`typeperf`, `logman`, `relog`): power counters are in milliwatts."""

from __future__ import annotations

import re

from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.table import Table


def offset_s(table: Table) -> float | None:
    """Local time minus UTC: the header holds UTC minus local time in minutes, as in `(PDH-CSV 4.0) (Central Daylight Time)(300)`."""
    match = re.search(r"\((-?\d+)\)$", table.names[0])
    return -60.0 * int(match[1]) if match else None


FORMAT = MeterFormat(
    name="pdh",
    summary="Windows performance counters (PDH-CSV: typeperf, logman)",
    recognise=head_matches(r"\(PDH-CSV \d"),
    time=(r"\(PDH-CSV.*",),
    date_order="mdy",
    offset=offset_s,
    power=((r".*\\(?:Power Meter|Energy Meter)\(.*\)\\Power", "mW"),),
    preferred=(r".*\\Power Meter\(_Total\)\\Power",),
    one_device=True,
    min_w=1.0,
)
