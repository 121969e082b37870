"""Home Assistant's history as CSV: a row when an entity's state changes, no unit."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="home-assistant",
    summary="Home Assistant history download",
    recognise=head_matches(r"^\W*entity_id\W+state\W+last_(?:changed|updated)"),
    time=("last_changed", "last_updated"),
    power=(("state", ""),),
    device=("entity_id",),
    labelled=True,
    on_change=True,
    how="History, choose the sensor, `Download data`; the file names no unit: give `--unit W`",
    source="github.com/klausj1/homeassistant-statistics, issue 82",
)
