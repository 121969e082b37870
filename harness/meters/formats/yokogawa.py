"""Yokogawa power meters (WT series, WTViewer): CSV with a store number, `P-1`, `P-SIGMA`; over-range as `-OL-` or 9.9E37."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="yokogawa",
    summary="Yokogawa WT series, WTViewer",
    recognise=head_matches(r"(?i)^\W*(?:Store ?No\.?|Data No\.?)\W.*\bP-?(?:\d|SIGMA|Σ)"),
    power=((r"(?i)P-?(?:\d+|SIGMA|Σ[AB]?|SUM)", "W"),),
    preferred=(r"(?i)P-?(?:SIGMA|Σ|SUM)",),
    one_device=True,
    how="store `P` (and `P-SIGMA`) with date and time, save as CSV",
)
