"""Coverage of the 95 % intervals of joules per inference, in seeded sessions with a random sensor each.

The repeatability interval must cover the process mean as the sensor reads it, the absolute interval the process mean itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.cost import Row, row
from harness.analysis.interval import Interval, absolute_interval, mean_interval
from harness.analysis.stopping import FIXED, STOPPED, HalfWidth
from harness.energy.completions import CompletionCurve
from harness.schema import PROFILES

SPREADS = (0.003, 0.01, 0.03)
"""Run-to-run standard deviation, relative."""


class SensorModel(NamedTuple):
    """Declared standard uncertainties of a sensor: of its gain, and of its offset relative to the power."""

    name: str
    gain: float
    offset: float


# An uncalibrated gain includes the offset. A calibrated one leaves 2 W, here of 200 W.
SENSORS = (SensorModel("RAPL", 0.05, 0.0), SensorModel("NVML", 0.07, 0.0), SensorModel("calibrated NVML", 0.005, 2 / 200))


class Design(NamedTuple):
    """End of a session: at a fixed number of launches, or by the stopping rule of a profile."""

    name: str
    launches: int
    profile: str | None


DESIGNS = (
    *(Design(f"R = {launches}", launches, None) for launches in (5, 8, 10)),
    *(Design(f"after stopping, {name}", PROFILES[name].cap, name) for name in ("standard", "publish")),
)


def rows(sessions: int = 2000) -> list[Row]:
    """Coverage by design, interval and spread."""
    table = []
    for design in DESIGNS:
        names = ["repeatability", *(f"absolute, {sensor.name}" for sensor in SENSORS)]
        cells = np.array([coverage(design, spread, sessions) for spread in SPREADS])
        for name, shares in zip(names, cells.T, strict=True):
            cell = ", ".join(f"{share:.1%} at sd {spread:.1%}" for share, spread in zip(shares, SPREADS, strict=True))
            table.append(row(f"coverage of the 95 % interval, {design.name}, {name}", "93-97 %", cell))
    return [*table, *token_rows(sessions)]


def coverage(design: Design, spread: float, sessions: int) -> list[float]:
    """Coverage of the repeatability interval, and of the absolute interval with each sensor; the truth is 1."""
    rng = np.random.default_rng([DESIGNS.index(design), SPREADS.index(spread)])
    hits = np.zeros(1 + len(SENSORS))
    for _ in range(sessions):
        energies = rng.normal(1, spread, design.launches)
        for k, sensor in enumerate(SENSORS):
            gain, offset = 1 + rng.normal(0, sensor.gain), rng.normal(0, sensor.offset)
            readings, q = _session(gain * energies + offset, design)
            hits[1 + k] += _covers(absolute_interval(readings, float(np.hypot(sensor.gain, sensor.offset)), q), 1.0)
            if k == 0:
                hits[0] += _covers(mean_interval(readings, q), gain + offset)
    return list(hits / sessions)


def _session(readings: np.ndarray, design: Design) -> tuple[list[float], float]:
    """Readings until the session ends, and the quantile of their interval."""
    if design.profile is None:
        return readings.tolist(), FIXED
    profile = PROFILES[design.profile]
    rule = HalfWidth(profile.first, profile.cap, profile.half_width)
    for count, value in enumerate(readings, start=1):
        rule.add(float(value))
        if rule.finished:
            return readings[:count].tolist(), STOPPED
    raise AssertionError("the stopping rule did not stop")


def _covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


# --- text generation ----------------------------------------------------------------------------------------------------


class TokenCell(NamedTuple):
    """Sessions of text generation: streams whose requests have random lengths, and a power that follows them."""

    streams: int
    output_tokens: int
    window_s: float
    launches: int
    spread: float


TOKEN_CELLS = tuple(
    TokenCell(streams, tokens, window_s, launches, spread)
    for streams, tokens, window_s in ((4, 48, 10.0), (8, 64, 20.0))
    for launches in (5, 8)
    for spread in (0.003, 0.01)
)
PREFILL_S, STEP_S = 0.05, 0.01
IDLE_W, PREFILL_W, DECODE_W = 30.0, 20.0, 5.0
"""Power without requests, and more for each stream in prefill and in decode."""


def token_rows(sessions: int = 2000) -> list[Row]:
    """Coverage of the repeatability interval of joules per output token in each cell."""
    table = []
    for cell in TOKEN_CELLS:
        share = token_coverage(cell, sessions)
        name = f"coverage, J per output token, {cell.streams} streams, {cell.window_s:g} s, R = {cell.launches}, sd {cell.spread:.1%}"
        table.append(row(name, "93-97 %", f"{share:.1%}"))
    return table


def token_coverage(cell: TokenCell, sessions: int) -> float:
    """Share of sessions whose interval covers the process mean, by the renewal theorem mean energy over mean tokens of a request."""
    rng = np.random.default_rng([TOKEN_CELLS.index(cell), 18])
    mean_s = PREFILL_S + (cell.output_tokens - 1) * STEP_S
    idle_j = IDLE_W / cell.streams * mean_s
    truth = (idle_j + PREFILL_W * PREFILL_S + DECODE_W * (cell.output_tokens - 1) * STEP_S) / cell.output_tokens
    hits = 0
    for _ in range(sessions):
        readings = [_token_launch(cell, rng) * (1 + rng.normal(0, cell.spread)) for _ in range(cell.launches)]
        hits += _covers(mean_interval(readings, FIXED), truth)
    return hits / sessions


def _token_launch(cell: TokenCell, rng: np.random.Generator) -> float:
    """Energy per token of one window, with the tokens interpolated between arrivals as in a run."""
    half = cell.output_tokens // 2
    begin_s = rng.uniform(2.0, 4.0)
    end_s = begin_s + cell.window_s
    joules, starts, arrivals = IDLE_W * cell.window_s, [], []
    for _ in range(cell.streams):
        count = int(2 * (end_s + 2.0) / (PREFILL_S + half * STEP_S)) + 2
        tokens = rng.integers(cell.output_tokens - half, cell.output_tokens + half + 1, count)
        durations_s = PREFILL_S + (tokens - 1) * STEP_S
        sent_s = np.concatenate([[0.0], np.cumsum(durations_s)[:-1]]) - rng.uniform(0, durations_s[0])
        first_s = sent_s + PREFILL_S
        joules += PREFILL_W * _overlap_s(sent_s, first_s, begin_s, end_s) + DECODE_W * _overlap_s(
            first_s, sent_s + durations_s, begin_s, end_s
        )
        number = np.concatenate([np.arange(n) for n in tokens])
        arrived_s = np.repeat(first_s, tokens) + number * STEP_S
        arrivals.append(arrived_s)
        starts.append(np.where(number == 0, arrived_s - PREFILL_S, arrived_s - STEP_S))
    end, start = np.concatenate(arrivals), np.concatenate(starts)
    order = np.argsort(end, kind="stable")
    curve = CompletionCurve.of_tokens(start[order] * 1e9, end[order] * 1e9, np.ones(len(end), dtype=np.int64))  # type: ignore[arg-type]
    tokens_in_window = curve.between(begin_s, end_s)
    assert tokens_in_window
    return float(joules / tokens_in_window)


def _overlap_s(from_s: np.ndarray, until_s: np.ndarray, begin_s: float, end_s: float) -> float:
    return float(np.sum(np.maximum(np.minimum(until_s, end_s) - np.maximum(from_s, begin_s), 0.0)))
