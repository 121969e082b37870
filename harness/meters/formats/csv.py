"""Plain CSV: a header with a time and a power that states its unit, and any of the usual delimiters."""

from harness.meters.formats.base import MeterFormat

FORMAT = MeterFormat(
    name="csv",
    summary="any delimited text with a time and a power that names its unit",
    recognise=lambda _: True,
    rank=2,
    how="columns such as `timestamp,power_w`; times in ISO 8601 with a zone, in Unix time, or in seconds since a start (`--start`)",
)
