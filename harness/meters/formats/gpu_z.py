"""GPU-Z's sensor log: cells padded with blanks, a comma at the end of each row."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="gpu-z",
    summary="GPU-Z sensor log",
    recognise=head_matches(r"^\s*Date\s*,.*GPU (?:Core )?(?:Clock|Temperature)"),
    time=("Date",),
    preferred=(r"Board Power Draw",),
    one_device=True,
    how="sensors tab, `Log to file`; refresh rate of 0.5 s or less in the settings",
    source="github.com/az3/gpuz-exporter, README.md",
)
