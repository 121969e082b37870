"""The harness's p50 over that of OpenVINO's `benchmark_app`, on batches so large that the overhead of a call does not matter."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.cost import Row, built_campaign, p50_s, ratio_row
from harness.run.campaign import Campaign
from harness.schema import Case

SUITE = """\
name: tools
models: [digits-cnn]
matrices:
  - engines: [openvino]
    variants: [dense, int8]
    batch_sizes: [128]
"""
UNITS = {"us": 1e-6, "ms": 1e-3}


def rows(pairs: int = 8) -> list[Row]:
    """Ratios of medians of interleaved pairs."""
    with built_campaign(SUITE) as running:
        return [
            ratio_row(
                f"p50 / benchmark_app, {case.variant}, batch {case.batch_size}",
                "within 3 %",
                pairs,
                partial(p50_s, running, case),
                partial(benchmark_app_p50_s, running, case),
            )
            for case in running.header.suite.cases
        ]


def benchmark_app_p50_s(running: Campaign, case: Case, seconds: int = 2) -> float:
    """Median latency in s by OpenVINO's tool on the same artifact: one thread, one stream, float32, synchronous."""
    model = Path(running.artifacts[case.build_id].path) / "model.xml"
    settings = {"-d": "CPU", "-api": "sync", "-hint": "none", "-nstreams": 1, "-nthreads": 1, "-infer_precision": "f32", "-t": seconds}
    settings |= {"-m": model, "-shape": f"[{case.batch_size},8,8,1]"}
    argv = [str(Path(sys.executable).parent / "benchmark_app"), *(str(word) for pair in settings.items() for word in pair)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    median = re.search(r"Median:\s+([\d.]+) (us|ms)", done.stdout)
    assert median, done.stdout
    return float(median[1]) * UNITS[median[2]]
