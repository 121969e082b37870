"""MLPerf's power log: `spl.txt` of the client, read with the session's own marks."""

from __future__ import annotations

from pathlib import Path

from harness.meters import mlperf
from harness.meters.formats.base import MeterFormat
from harness.meters.options import Options
from harness.meters.rows import Rows


def read(path: Path, text: str, options: Options) -> Rows:
    """Its rows, with the zone that its marks show."""
    return mlperf.read(path, text)


FORMAT = MeterFormat(
    name="mlperf",
    summary="MLPerf power (spl.txt)",
    recognise=mlperf.looks_like,
    read=read,
    how="import `spl.txt` where it lies: the session's files beside it give marks and zone",
    source="github.com/mlcommons/inference_results_v1.0, closed/DellEMC; several analyzers: github.com/mlcommons/power-dev, issue 330",
)
