"""jtop's logger (jetson-stats): CSV whose power columns are in milliwatts."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="jtop",
    summary="jtop (jetson-stats) logger",
    recognise=head_matches(r"^(?=.*(?:jetson_clocks|nvp model))(?=.*[Pp]ower (?:TOT|cur|VDD|VIN|POM|SYS))"),
    time=("time",),
    power=((r"Power (?!.* avg$).+", "mW"), ("power cur", "mW")),
    preferred=("Power TOT", "power cur"),
    one_device=True,
    min_w=0.5,
)
