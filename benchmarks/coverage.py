"""Coverage of the 95 % intervals of joules per inference, in seeded sessions with a random sensor each.

The repeatability interval must cover the process mean as the sensor reads it, the absolute interval the process mean itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.cost import Row, row
from harness.analysis.interval import Interval, absolute_interval, mean_interval
from harness.analysis.stopping import FIXED, STOPPED, HalfWidth
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
    return table


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
