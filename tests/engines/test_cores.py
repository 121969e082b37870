"""No engine uses more cores than its case has, neither while it computes nor while it waits: counted in /proc."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from harness import plugins
from harness.engines.base import Load
from harness.run import timing
from tests.launch import PROFILE, measured
from tests.models import models

FORMATS = {"litert": "tflite", "onnxruntime": "onnx", "openvino": "ir", "tensorflow": "keras"}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="counted in /proc")]


def cpu_s(pid: int) -> dict[str, float]:
    """User and system time of each thread of a process, s."""
    stats = {path.parent.name: path.read_text().rpartition(")")[2].split() for path in Path(f"/proc/{pid}/task").glob("*/stat")}
    return {thread: (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") for thread, fields in stats.items()}


@pytest.mark.parametrize(("engine", "threads"), [*((engine, 1) for engine in FORMATS), ("litert", 2), ("onnxruntime", 2), ("openvino", 2)])
def test_cpu_time_is_within_the_cores_of_the_case(engine, threads, monkeypatch):
    """CPU time over wall time of a window, and next to none of an idle phase, in which thread pools may spin.

    The busiest threads have nearly all of the CPU time, which also holds on a busy machine.
    """
    monkeypatch.setattr(timing, "LEAD_IN_S", 0.3)
    monkeypatch.setattr("tests.launch.PROFILE", PROFILE.model_copy(update={"idle_s": 0.5, "window_s": 1.0}))
    seen: dict[str, tuple[float, dict[str, float]]] = {}
    plugin = plugins.load("engines", engine)
    options = plugin.spec.parameters()
    artifact = models() / f"wide.{FORMATS[engine]}"
    outcome, _ = measured(
        plugin.environment(Load(artifact, FORMATS[engine], "cpu", 1, threads, options)),
        on_phase=lambda phase, pid: seen.setdefault(phase, (time.monotonic(), cpu_s(pid))),
        engine=engine,
        engine_options=options.model_dump(),
        artifact={"path": str(artifact), "format": FORMATS[engine]},
        threads=threads,
    )
    assert outcome.record.status == "ok", outcome.record.reason
    for phase, after, cores in (("idle", "warmup", 0.25), ("steady", "quality", 1.15 * threads)):
        (t0, c0), (t1, c1) = seen[phase], seen[after]
        spent = sorted((c1[thread] - c0.get(thread, 0.0) for thread in c1), reverse=True)
        assert sum(spent) / (t1 - t0) <= cores, phase
    assert sum(spent) <= 1.4 * sum(spent[:threads]), "a call may pass from one thread to another, but they do not share the work"
