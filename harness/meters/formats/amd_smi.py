"""`amd-smi metric --csv -w`: Unix seconds, one row per card, `socket_power` in watts."""

from harness.meters.formats.base import MeterFormat, head_matches

FORMAT = MeterFormat(
    name="amd-smi",
    summary="amd-smi metric --csv",
    recognise=head_matches(r"(?:^|,)\s*\"?gpu\"?,.*socket_power\b"),
    time=("timestamp",),
    power=(("socket_power", "W"),),
    device=("gpu",),
    how="`amd-smi metric --power --csv -w 1 --file log.csv`",
    source="github.com/SemiAnalysisAI/InferenceX, utils/aggregate_power.py and its tests; github.com/ROCm/rocm-systems, pull request 2720",
)
