"""HWiNFO's sensor log: CSV in Windows-1252, dates with the day first, the header repeated at its end."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="hwinfo",
    summary="HWiNFO sensor log",
    recognise=head_matches(r'^"?Date"?,"?Time"?,.*\[(?:W|°C|MHz|V|%|Yes/No)\]'),
    time=("Date",),
    one_device=True,
    how="sensors window, `Logging Start`, polling period of 500 ms or less; several powers: choose one with `--channel`",
)
