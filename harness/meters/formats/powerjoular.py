"""PowerJoular: CSV in watts, local time."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="powerjoular",
    summary="PowerJoular",
    recognise=head_matches(r"^Date,CPU Utilization,(?:Total Power|CPU Power)"),
    time=("Date",),
    power=((r"(?:Total|CPU|GPU) Power", "W"),),
    preferred=("Total Power",),
    one_device=True,
    how="`powerjoular -f log.csv`",
    source="github.com/joular/powerjoular, src/csv_power.adb",
)
