"""JSON: one object per line, or one array of objects, with a time and a power that states its unit."""

from __future__ import annotations

from harness.meters.formats.base import MeterFormat
from harness.meters.json_table import flat, json_lines
from harness.meters.options import Options
from harness.meters.table import Table


def table(name: str, text: str, options: Options) -> Table:
    """One row per object, nested names joined by points."""
    return json_lines(name, text, lambda _, message: flat(message))


FORMAT = MeterFormat(
    name="json",
    summary="JSON lines or an array of objects",
    recognise=lambda text: text.lstrip("\ufeff \t\r\n[").startswith("{"),
    table=table,
    rank=1,
    how='one object a reading, such as `{"timestamp": 1750075200.0, "power_w": 12.5}`',
)
