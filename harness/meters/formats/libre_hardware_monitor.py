"""LibreHardwareMonitor and OpenHardwareMonitor: a line of sensor paths, a line of names; `/power/` paths are in watts."""

from __future__ import annotations

import csv
import io
import re

from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.options import Options
from harness.meters.table import Table, delimited, split

PATHS = r"^,\"?/\w+"


def table(name: str, text: str, options: Options) -> Table:
    """Its rows; a column is named by its sensor's name and path."""
    lines = text.splitlines()
    at = next((i for i, line in enumerate(lines) if re.search(PATHS, line)), 0)
    paths, names = split(lines[at], ","), split(lines[at + 1], ",") if at + 1 < len(lines) else []
    joined = [f"{each} {path}".strip() for each, path in zip(names, [*paths, *[""] * len(names)], strict=False)]
    header = io.StringIO()
    csv.writer(header, lineterminator="").writerow(joined)
    end = "\n" if text.endswith("\n") else ""
    return delimited(name, "\n".join([header.getvalue(), *lines[at + 2 :]]) + end, options)


FORMAT = MeterFormat(
    name="libre-hardware-monitor",
    summary="LibreHardwareMonitor, OpenHardwareMonitor",
    recognise=head_matches(PATHS),
    table=table,
    time=("Time",),
    date_order="mdy",
    power=((r".* /\S*/power/\d+", "W"),),
    one_device=True,
)
