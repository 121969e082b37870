"""A case on one of several cards with a slow driver: error of its energy, and CPU time of the parent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cost import Row, row
from tests.instruments import nvml

CARDS = (1, 2, 4, 8)
CALLS_S = (0.0, 0.0002, 0.001, 0.003, 0.012)
CODE = """
import json, sys, time
from harness import plugins
from harness.channel import Request
from harness.run.runner import RunContext, run
from harness.schema import PROFILES, Limits, Task
from harness.sensors.probe import open_sensors, probe
from tests.tasks import CASE, child_task

case = CASE.model_copy(update={"device": "gpu"})
sensors, _ = open_sensors(plugins.catalogue())
near = {d.name for _, domains in sensors for d in domains if d.device in ("cpu", "gpu")}
sensors, _ = probe(sensors, near=near)
context = RunContext(sensors, PROFILES["quick"], Limits(), "run", "environment", None)
used = {}
on_phase = lambda phase: used.setdefault(phase, (time.monotonic(), time.process_time())) and None
record = run(Task(case=case), Request("harness.worker.measure", child_task(), simulated=True), context, on_phase).record
share = (used["quality"][1] - used["steady"][1]) / (used["quality"][0] - used["steady"][0])
print(json.dumps({"record": record.model_dump(), "share": share}))
"""

WITH_EIGHT_CARDS = """
import json
from benchmarks.cost import built_campaign, sampler_rows

SUITE = "name: cards\\nmodels: [digits-cnn]\\ndomains: [package, dram, 'gpu:0']\\nmatrices:\\n  - {engines: [litert], variants: [dense]}\\n"
with built_campaign(SUITE) as running:
    print(json.dumps(sampler_rows(running, running.header.suite.cases[0], 20)))
"""


def rows() -> list[Row]:
    """Worst over numbers of cards and durations of a call, with and without foreign load."""
    if not shutil.which("gcc"):
        return [row("energy of one card of several", "<= 0.5 %", "skipped: the simulated NVML driver needs gcc")]
    table = []
    for busy in (False, True):
        cells = [cell(cards, call_s, busy=busy) for cards in CARDS for call_s in CALLS_S]
        errors = [each["error"] for each in cells]
        worst = "no number" if None in errors else f"{max(errors):.3%}"
        load = "with a foreign process on a core" if busy else "without foreign load"
        covered = sum(each["covered"] for each in cells)
        what = f"energy of one card of 1, 2, 4, 8, calls of 0 to 12 ms, {load}"
        table += [
            row(what, "worst <= 0.5 %", f"{worst}, truth in the edges' 95 % interval in {covered} of {len(cells)}"),
            row(f"parent in that window, {load}", "<= 3 % of a core", f"worst {max(each['share'] for each in cells):.2%}"),
        ]
    return [*table, *_with_eight_cards()]


def _with_eight_cards() -> list[Row]:
    """Latency of the load while eight cards are sampled, with calls as long as those of real drivers."""
    with tempfile.TemporaryDirectory() as folder:
        variables = nvml.configure(Path(folder), devices=8, call_s=0.0003)
        environment = {**os.environ, **variables, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run([sys.executable, "-c", WITH_EIGHT_CARDS], env=environment, capture_output=True, text=True, check=True)
    goals = ("<= 1.005", "", "<= 3 %")
    return [
        {**each, "figure": f"{each['figure']}, 8 cards, calls of 0.3 ms", "goal": goal}
        for each, goal in zip(json.loads(done.stdout.splitlines()[-1]), goals, strict=True)
    ]


def cell(cards: int, call_s: float, *, busy: bool = False, **settings: object) -> dict[str, Any]:
    """One repetition: error, whether the interval covers the truth, findings, length of the window, CPU time of the parent."""
    with tempfile.TemporaryDirectory() as folder, foreign_load(busy):
        variables = nvml.configure(
            Path(folder), devices=cards, call_s=call_s, wave="square", wave_period_s=0.31, window_s=0.1, average_window_s=0.1, **settings
        )
        environment = {**os.environ, **variables, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout)
        energy = next(m for m in result["record"]["measurements"] if m["phase"] == "steady" and m["domain"] == "gpu:0")
        truth_j = nvml.truth_j(variables, 0, energy["start_s"], energy["end_s"])
    off_j = None if energy["gross_j"] is None else abs(energy["gross_j"] - truth_j)
    return {
        "error": None if off_j is None else off_j / truth_j,
        "covered": off_j is not None and off_j <= 1.96 * (energy["edge_j"] or 0.0),
        "invalid": [f["code"] for f in result["record"]["warnings"] if f["invalid"]],
        "codes": [f["code"] for f in result["record"]["warnings"]],
        "window_s": energy["end_s"] - energy["start_s"],
        "bracket_s": energy["poll_gap_s"],
        "share": result["share"],
    }


@contextmanager
def foreign_load(busy: bool) -> Iterator[None]:
    """A process that uses a core, if `busy`."""
    if not busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()
