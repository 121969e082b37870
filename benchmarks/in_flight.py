"""Latency and throughput of an engine that computes asynchronously, against its own log and its own loop, each in a process of its own.

python -m benchmarks.in_flight OPTIONS IN_FLIGHT SECONDS      prints the queries per second of a bare loop
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cost import Row, ratio_row, row
from harness.channel import Request
from harness.run.runner import Outcome, RunContext, run
from harness.schema import PROFILES, Case, Limits, Task
from tests import asynchronous
from tests.tasks import CASE, child_task

LANES = {1: "a queue", 4: "four at a time"}


def rows(pairs: int = 3) -> list[Row]:
    """The median latency with one query at a time, and the throughput with several in flight."""
    return [
        *(_latency_row(query_s, copies, pairs) for query_s in (0.02, 0.005) for copies in ("outside", "inside")),
        *(_throughput_row(lanes, in_flight, pairs) for lanes in LANES for in_flight in (1, 4)),
    ]


def measured(options: dict[str, Any], **timed: Any) -> tuple[Outcome, np.ndarray]:
    """One repetition through the real runner and child, and the device's own log of its queries, start and end in ns."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.npy"
        task = child_task(engine="asynchronous", engine_options={**options, "log": str(log)}, **timed)
        request = Request("harness.worker.measure", task, environment=asynchronous.install(Path(folder) / "plugin"))
        case = Case.model_validate(CASE.model_dump(exclude={"copies"}) | timed)
        outcome = run(Task(case=case), request, RunContext([], PROFILES["quick"], Limits(), "run", "environment", None))
        assert outcome.record.status == "ok", outcome.record.reason
        return outcome, np.load(log)


def _latency_row(query_s: float, copies: str, pairs: int) -> Row:
    """The p50 of a run over that of its device's log, plus both copies where they are timed."""
    ratios = []
    for _ in range(pairs):
        outcome, (began, ended) = measured({"query_s": query_s, "copy_s": query_s / 4}, copies=copies, device="gpu")
        truth_s = float(np.median(ended - began)) * 1e-9 + (query_s / 2 if copies == "inside" else 0.0)
        assert outcome.record.latency
        ratios.append(outcome.record.latency.p50_s / truth_s)
    name = f"p50 of an asynchronous engine / its own log, {1e3 * query_s:g} ms, copies {copies}, {pairs} runs"
    return row(name, "0.97 to 1.05", f"{np.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


def _throughput_row(lanes: int, in_flight: int, pairs: int) -> Row:
    """Queries per second of a run over those of a loop that keeps the device's queue full."""
    options = {"query_s": 0.005, "lanes": lanes}

    def ours() -> float:
        return measured(options, scenario="offline", in_flight=in_flight)[0].record.throughput_per_s or float("nan")

    goal = ">= 0.95" if in_flight >= lanes and in_flight > 1 else "reported"
    return ratio_row(f"throughput, in_flight {in_flight} / own loop, {LANES[lanes]}", goal, pairs, ours, lambda: own_per_s(options))


def own_per_s(options: dict[str, Any], seconds: float = 1.5) -> float:
    """Queries per second of the engine's own loop."""
    argv = [sys.executable, "-m", "benchmarks.in_flight", json.dumps(options), "4", str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return float(subprocess.run(argv, capture_output=True, text=True, check=True, env=environment).stdout)


def main() -> None:
    """Keep so many queries queued, wait for the oldest, and print the rate."""
    options, depth, seconds = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    session = asynchronous.AsynchronousSession(asynchronous.Options(**options))
    queue = deque(session.run(()) for _ in range(depth))
    began_s, done = time.monotonic(), 0
    while time.monotonic() < began_s + seconds:
        queue.popleft().result()
        queue.append(session.run(()))
        done += 1
    print(done / (time.monotonic() - began_s))
    session.synchronize()


if __name__ == "__main__":
    main()
