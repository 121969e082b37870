"""Joules per output token against the truth: the real client and runner, a server that logs its tokens, a counter that follows its power."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from benchmarks.cost import Row, row
from harness.channel import Request
from harness.engines.openai_server import OpenAiServer
from harness.run.runner import Outcome, RunContext, run
from harness.schema import PROFILES, Case, Domain, Limits, SensorSpec, Task
from harness.schema.served import TokenLoad
from harness.schema.worker import ModelFile, ServeTask
from harness.sensors.base import Sensor

FEWEST_TOKENS = 10_000
"""Tokens of a window from which the error must be at most 0.5 %; below, it must be within the reported edge term."""


class Pace(NamedTuple):
    """A server and the load on it."""

    concurrency: int
    input_tokens: int
    output_tokens: int
    step_s: float
    prefill_s: float
    tick_s: float


PACES = (
    Pace(4, 16, 48, 0.004, 0.01, 0.02),
    Pace(8, 64, 64, 0.005, 0.02, 0.1),
    Pace(16, 16, 128, 0.008, 0.005, 0.1),
    Pace(1, 16, 32, 0.01, 0.02, 0.05),
    Pace(4, 256, 8, 0.01, 0.1, 0.1),
)


class PowerLog(Sensor):
    """A counter that shows the energy of a logged power as it was at the last update."""

    spec: ClassVar = SensorSpec(name="powerlog")

    def __init__(self, folder: Path, update_period_s: float) -> None:
        self._path, self._update_period_s = folder / "power", update_period_s
        self._t_s: list[float] = []
        self._joules: list[float] = []
        self._watts: list[float] = []
        self._values: np.ndarray | None = None

    def open(self) -> Sequence[Domain]:
        """One domain."""
        period_s = self._update_period_s
        return [
            Domain(name="package", sensor="powerlog", quantity="energy", unit="J", kind="simulated", update_period_s=period_s, gain=0.05)
        ]

    def read(self, domain: str) -> float:
        """The energy at the last update; 0 before the server has begun."""
        return self.energy_j(math.floor(time.monotonic() / self._update_period_s) * self._update_period_s)

    def energy_j(self, t_s: float) -> float:
        """The exact energy until a time that has passed."""
        self._follow()
        at = bisect_right(self._t_s, t_s) - 1
        return self._joules[at] + self._watts[at] * (t_s - self._t_s[at]) if at >= 0 else 0.0

    def _follow(self) -> None:
        if self._values is None:
            if not self._path.exists() or not self._path.stat().st_size:
                return
            self._values = np.memmap(self._path, dtype=np.float64, mode="r").reshape(-1, 2)
        for t_ns, watts in self._values[len(self._t_s) + 1 : int(self._values[0, 0]) + 1]:
            t_s = t_ns * 1e-9
            self._joules.append(self._joules[-1] + self._watts[-1] * (t_s - self._t_s[-1]) if self._t_s else 0.0)
            self._t_s.append(t_s)
            self._watts.append(float(watts))


def rows(launches: int = 2) -> list[Row]:
    """The worst error of each pace."""
    return [_row(pace, launches) for pace in PACES]


def _row(pace: Pace, launches: int) -> Row:
    errors, tokens, terms = zip(*(error(pace) for _ in range(launches)), strict=True)
    enough = min(tokens) >= FEWEST_TOKENS
    goal = "<= 0.5 %" if enough else f"<= edge term {max(terms):.2%}"
    name = f"J per output token, {pace.concurrency} in progress, {pace.input_tokens}/{pace.output_tokens} tokens, counter {1e3 * pace.tick_s:g} ms"
    return row(name, goal, f"worst {max(map(abs, errors)):.3%} of {launches} windows of {min(tokens):,.0f} tokens")


def error(pace: Pace) -> tuple[float, float, float]:
    """Relative error of the energy per token, tokens of the window, and the 95 % edge term relative to the energy."""
    with tempfile.TemporaryDirectory() as folder:
        counter = PowerLog(Path(folder), pace.tick_s)
        outcome = measured(pace, Path(folder), counter)
        assert outcome.record.status == "ok", outcome.record.reason
        (steady,) = [m for m in outcome.record.measurements if m.phase == "steady"]
        assert steady.gross_j is not None and steady.inferences and steady.edge_j is not None
        log = np.memmap(Path(folder) / "tokens", dtype=np.float64, mode="r").reshape(-1, 2)
        sent_s = log[1 : int(log[0, 0]) + 1, 0] * 1e-9
        truth_n = int(((sent_s > steady.start_s) & (sent_s <= steady.end_s)).sum())
        truth_j = counter.energy_j(steady.end_s) - counter.energy_j(steady.start_s)
        return (steady.gross_j / steady.inferences) / (truth_j / truth_n) - 1, truth_n, 1.96 * steady.edge_j / steady.gross_j


def measured(pace: Pace, folder: Path, counter: PowerLog) -> Outcome:
    """One launch of the engine openai-server on such a server."""
    load = TokenLoad(concurrency=pace.concurrency, input_tokens=pace.input_tokens, output_tokens=pace.output_tokens)
    command = f"{sys.executable} -m benchmarks.token_server {{port}} {folder} {pace.step_s} {pace.prefill_s}"
    options = OpenAiServer.spec.parameters(command=command).model_dump() if OpenAiServer.spec.parameters else {}
    (folder / "model.gguf").write_bytes(b"GGUF")
    case = Case(
        case_id="known", model="known", variant="dense", steps=(), engine="openai-server", engine_options=options, device="cpu", batch_size=1,
        threads=1, scenario="closed", build_id="-", baseline_case_id=None, load=load,
    )  # fmt: skip
    task = ServeTask(
        engine="openai-server", engine_options=options, device="cpu", threads=1, scenario="closed", load=load,
        artifact=ModelFile(path=str(folder / "model.gguf"), format="gguf"), trusted=True, code_folder=None,
    )  # fmt: skip
    context = RunContext([(counter, counter.open())], PROFILES["quick"], Limits(), "run", "environment", None)
    environment = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])}
    return run(Task(case=case, profiled=False), Request("harness.worker.serve", task, environment=environment), context)
