"""Error of the energy of one window from tick to tick: null engine, parent and child as in a run, counters of known energy."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.cost import Row, row
from harness.channel import Request
from harness.run.runner import RunContext, run
from harness.schema import PROFILES, Limits, Record, Task
from tests.simulated import Energy, SimulatedCounter, ramp, square
from tests.tasks import CASE, child_task

WAVES = {"square 0.3 s": square(20, 180, 0.3), "ramp 0.7 s": ramp(10, 200, 0.7), "bursts 0.5 s": square(15, 250, 0.5, 0.1)}
PERIODS_S = (0.02, 0.1, 0.25)
IDLE_W = 12.0


class Following(SimulatedCounter):
    """A counter of a load that follows the wave while the child works, and is idle before and after."""

    def __init__(self, energy: Energy, update_period_s: float, phase_s: float, name: str) -> None:
        self.began_s = self.ended_s = float("inf")
        super().__init__(lambda t: IDLE_W * t + energy(max(0.0, min(t, self.ended_s) - self.began_s)), update_period_s, phase_s, name=name)

    def on_phase(self, phase: str) -> None:
        """Start the load with the warm-up, end it with the quality phase."""
        now = time.monotonic() - self.origin_s + self.phase_s
        if phase == "warmup":
            self.began_s = now
        elif phase == "quality":
            self.ended_s = now


def rows(long: int = 8, short: int = 10) -> list[Row]:
    """Worst relative error of the energy of a window."""
    errors = _errors(long, 5.0, PERIODS_S)
    figure = "error of the energy of one window of 5 s, square, ramp, bursts, with the child's load and without, counter of"
    return [
        *(row(f"{figure} {u * 1000:.0f} ms", "worst <= 0.2 %", _format_errors(errors[u])) for u in PERIODS_S),
        row("the same, window of 0.7 s, counter of 100 ms", "worst <= 1 %", _format_errors(_errors(short, 0.7, (0.1,))[0.1])),
    ]


def _errors(repetitions: int, window_s: float, periods_s: tuple[float, ...]) -> dict[float, list[float]]:
    """Relative errors by update period, NaN without an energy; all counters are read in one window, each with its own edges."""
    profile = PROFILES["quick"].model_copy(update={"window_s": window_s, "window_ticks": 0, "idle_s": 0.5})
    errors: dict[float, list[float]] = {u: [] for u in periods_s}
    rng = np.random.default_rng(0)
    for repetition in range(repetitions):
        sensors = [
            make(wave, u, phase_s=float(rng.uniform(0, 10)), name=f"{make.__name__} {name}/{u}")
            for make in (SimulatedCounter, Following)
            for u in periods_s
            for name, wave in WAVES.items()
        ]
        record = _record(sensors, repetition, RunContext([(s, s.open()) for s in sensors], profile, Limits(), "run", "environment", None))
        for sensor in sensors:
            errors[sensor.update_period_s].append(_error(sensor, record))
    return errors


def _record(sensors: list[SimulatedCounter], repetition: int, context: RunContext) -> Record:
    def on_phase(phase: str) -> None:
        for sensor in sensors:
            if isinstance(sensor, Following):
                sensor.on_phase(phase)

    record = run(
        Task(case=CASE, repetition=repetition), Request("harness.worker.measure", child_task(), simulated=True), context, on_phase
    ).record
    assert record.status == "ok", record.reason
    return record


def _error(sensor: SimulatedCounter, record: Record) -> float:
    energy = next(m for m in record.measurements if m.phase == "steady" and m.domain == sensor.name)
    return float("nan") if energy.gross_j is None else abs(energy.gross_j / sensor.truth_j(energy.start_s, energy.end_s) - 1)


def _format_errors(errors: list[float]) -> str:
    absent = int(np.isnan(errors).sum())
    text = f"worst {np.nanmax(errors):.3%}, median {np.nanmedian(errors):.3%} of {len(errors)}"
    return f"{text}, {absent} without an energy" if absent else text
