"""`nvidia-smi --query-gpu=... --format=csv`: one row per card and time stamp."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="nvidia-smi",
    summary="nvidia-smi --query-gpu",
    recognise=head_matches(r"(?:^|,)\s*\"?(?:module\.)?power\.draw"),
    time=("timestamp",),
    power=((r"power\.draw(\.instant|\.average)?", "W"), (r"module\.power\.draw(\.instant|\.average)?", "W")),
    preferred=(r"power\.draw\.instant", r"power\.draw"),
    device=("uuid", "gpu_uuid", "index", r"pci\.bus_id", "gpu_bus_id", "serial", "gpu_serial"),
    how="`nvidia-smi --query-gpu=timestamp,uuid,power.draw.instant --format=csv -lms 100 > log.csv`",
    source="github.com/JimZeyuYang/GPU_Power_Benchmark, plotting/data/pwr_update_freq/A100_gpudata.csv",
)
