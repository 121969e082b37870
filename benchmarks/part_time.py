"""A power sensor that covers 25 ms of every 100 ms, under periodic loads: shifted phases over a continuous load.

Load, sensor and polls are simulated; the waits are from `worker.scenario`, the energy from `energy`.
"""

from __future__ import annotations

import numpy as np

from benchmarks.cost import Row, row
from harness.energy.completions import CompletionCurve
from harness.energy.joules import Window, measure
from harness.schema import Domain, Floats, Sample, Trace
from harness.schema.worker import GROUP_S
from harness.worker.scenario import wait_s

UPDATE_S, SEEN_S, POLL_S = 0.1, 0.025, 0.05
IDLE_W, LOW_W, HIGH_W = 60.0, 100.0, 300.0
IDLE_S, LEAD_S = 5.0, 1.0
DOMAIN = Domain(name="gpu:0", sensor="simulated", quantity="power", unit="W", kind="simulated", part_time=True, gain=0.07)


def rows(windows: int = 10, window_s: float = 10.0) -> list[Row]:
    """Worst error over load periods from 5 ms to 2 s, of one window and of the mean of ten."""
    periods_s = np.unique(np.concatenate([np.geomspace(0.005, 2.0, 60), [0.1, 0.2, 0.05, 0.025, 0.3]]))
    rng = np.random.default_rng(0)
    shifted = np.array([[error(p, window_s, j, rng.uniform(0, UPDATE_S), shift=True) for j in range(windows)] for p in periods_s])
    through = np.array([[error(p, window_s, j, rng.uniform(0, UPDATE_S), shift=False) for j in range(windows)] for p in periods_s])
    return [
        row("part-time sensor, 5 ms to 2 s, mean of 10 windows of 10 s, worst", "<= 2 %", f"{np.abs(shifted.mean(axis=1)).max():.2%}"),
        row("the same, one window", "<= 5 %", f"{np.abs(shifted).max():.2%}"),
        row("the same without shifted phases, mean of 10", "reported", f"{np.abs(through.mean(axis=1)).max():.1%}"),
    ]


def error(period_s: float, window_s: float, repetition: int, phase_s: float, *, shift: bool) -> float:
    """Relative error of the energy of the load in one window.

    Args:
        period_s: Period of the load's square wave in s, one inference.
        window_s: Window length in s.
        repetition: Number of the repetition; groups are numbered across repetitions.
        phase_s: Phase of the sensor's updates in s.
        shift: Whether the load is shifted.
    """
    end_s = IDLE_S + LEAD_S + window_s + 2 * GROUP_S + 4 * period_s
    queries = _queries(period_s, end_s, repetition * int(window_s / GROUP_S + 5), shift=shift)
    power = _Power(queries)
    updates_s = np.arange(phase_s, end_s, UPDATE_S)
    readings_w = np.concatenate([[IDLE_W], (power.energy_j(updates_s[1:]) - power.energy_j(updates_s[1:] - SEEN_S)) / SEEN_S])
    polls_s = np.arange(0.2, end_s - 0.01, POLL_S)
    sample = Sample(polls_s, polls_s, readings_w[np.searchsorted(updates_s, polls_s, side="right") - 1])
    start_ns, end_ns = (queries * 1e9).astype(np.int64).tolist()
    progress = CompletionCurve.of(start_ns, end_ns, [1] * len(start_ns), 1, shifted=shift)
    begin_s = IDLE_S + LEAD_S
    windows = [Window.loose("idle", 0.5, IDLE_S - 0.3), Window.loose("steady", begin_s, begin_s + window_s)]
    energy = measure(Trace({"gpu:0": DOMAIN}, {"gpu:0": sample}), windows, progress)[1]
    truth_j = power.energy_j(energy.end_s) - power.energy_j(energy.start_s) - IDLE_W * progress.waited_s(energy.start_s, energy.end_s)
    assert energy.gross_j is not None
    return float(energy.gross_j / truth_j - 1)


def _queries(period_s: float, end_s: float, group: int, *, shift: bool) -> np.ndarray:
    """Start and end of every query in s, as two rows: back to back, or in groups with shifted phases."""
    queries, now_s = [], IDLE_S
    while now_s < end_s:
        if shift:
            now_s += wait_s(now_s, UPDATE_S, group)
            group += 1
        until_s = now_s + GROUP_S if shift else end_s
        while now_s < until_s:
            queries.append((now_s, now_s + period_s))
            now_s += period_s
    return np.array(queries).T


class _Power:
    """Power that is high in the first half of each query, low in the second and idle between them, with its exact energy."""

    def __init__(self, queries: np.ndarray) -> None:
        start, end = queries
        times = np.stack([start, (start + end) / 2, end]).T.ravel()
        powers = np.tile([HIGH_W, LOW_W, IDLE_W], len(start))
        self.times = np.concatenate([[0.0], times])
        self.level = np.concatenate([[0.0], np.cumsum(np.diff(self.times) * np.concatenate([[IDLE_W], powers[:-1]]))])

    def energy_j(self, t_s: Floats | float) -> Floats:
        """Energy in J since time 0."""
        return np.asarray(np.interp(t_s, self.times, self.level))
