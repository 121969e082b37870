"""The harness's p50 against an engine's own tool: OpenVINO's `benchmark_app`, on batches whose work hides what a call itself costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.cost import Repetition, Row, against, bench
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
    """Ratios of medians, pairs interleaved."""
    with bench(SUITE) as running:
        return [
            against(
                f"p50 / benchmark_app, {case.variant}, batch {case.batch_size}",
                "within 3 %",
                pairs,
                lambda case=case: Repetition(running, case).p50_s,
                lambda case=case: benchmark_app_p50_s(running, case),
            )
            for case in running.header.suite.cases
        ]


def benchmark_app_p50_s(running: Campaign, case: Case, seconds: int = 2) -> float:
    """The median that OpenVINO's tool tells of the same artifact: one thread, one stream, float32, queries one after the other."""
    model = Path(running.artifacts[case.build_id].path) / "model.xml"
    settings = {"-d": "CPU", "-api": "sync", "-hint": "none", "-nstreams": 1, "-nthreads": 1, "-infer_precision": "f32", "-t": seconds}
    settings |= {"-m": model, "-shape": f"[{case.batch_size},8,8,1]"}
    argv = [str(Path(sys.executable).parent / "benchmark_app"), *(str(word) for pair in settings.items() for word in pair)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = re.search(r"Median:\s+([\d.]+) (us|ms)", done.stdout)
    assert found, done.stdout
    return float(found[1]) * UNITS[found[2]]
