"""What the readings of a card show of a load whose times are known: mean power, update periods, and whether part of a periodic load is missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from harness.energy.joules import integrate
from harness.energy.ticks import ticks
from harness.schema import Floats, Sample

SEES_ALL = 0.03
"""Largest relative difference of the mean powers of equal loads, up to which a reading covers all of a load."""
LEAST_SWING = 0.2
"""Smallest change of power by the load, relative to its mean, at which the difference shows anything."""
FEWEST_CHANGES = 3


class Bursts(NamedTuple):
    """A load that is switched on and off.

    Attributes:
        on_s: Times at which it begins, s on CLOCK_MONOTONIC.
        off_s: Times at which it ends.
        calls: Number of calls in each burst; None: unknown.
    """

    on_s: Floats
    off_s: Floats
    calls: Floats | None = None

    def share(self, start_s: float, end_s: float) -> float:
        """Share of an interval in which the load is on, 0 to 1."""
        overlap_s = np.minimum(self.off_s, end_s) - np.maximum(self.on_s, start_s)
        return float(np.sum(np.maximum(overlap_s, 0.0)) / (end_s - start_s))

    def rate_hz(self) -> float | None:
        """Calls per second of the time in which the load is on; None if unknown."""
        seconds = float(np.sum(self.off_s - self.on_s))
        return float(np.sum(self.calls)) / seconds if self.calls is not None and len(self.calls) and seconds > 0 else None


class Level(NamedTuple):
    """Mean power over an interval.

    Attributes:
        share: Share of the interval in which the load was on.
        watts: Mean power.
    """

    share: float
    watts: float


def mean_level(sample: Sample | None, bursts: Bursts, start_s: float, end_s: float, *, counter: bool) -> Level | None:
    """Mean power of a reading over an interval; None if it does not show one.

    Args:
        sample: Readings: J of a counter, else W.
        bursts: The load.
        start_s: Start of the interval.
        end_s: End of the interval.
        counter: Whether it is a counter, which is taken from its first to its last tick in the interval.
    """
    if sample is None:
        return None
    if not counter:
        joules = integrate(sample, start_s, end_s)
        return None if joules is None else Level(bursts.share(start_s, end_s), joules / (end_s - start_s))
    steps = ticks(sample.finite())
    inside = np.flatnonzero((steps.t_s >= start_s) & (steps.t_s <= end_s))
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    seconds = float(steps.t_s[last] - steps.t_s[first])
    watts = float(steps.value_j[last] - steps.value_j[first]) / seconds
    return Level(bursts.share(float(steps.t_s[first]), float(steps.t_s[last])), watts)


def update_period_s(sample: Sample | None) -> float | None:
    """Median time between two changes of a reading; None if it changed too rarely."""
    if sample is None:
        return None
    known = sample.finite()
    changes = known.t_s[1:][np.diff(known.value) != 0]
    return float(np.median(np.diff(changes))) if len(changes) > FEWEST_CHANGES else None


def swing_w(levels: Iterable[Level]) -> float | None:
    """Power that the load adds when it is on all the time: slope of a line through levels of several shares; None if there are too few."""
    points = list(levels)
    if len({round(level.share, 2) for level in points}) < 2:
        return None
    return float(np.polyfit([level.share for level in points], [level.watts for level in points], 1)[0])


def spread(squares: Sequence[Level], slope_w: float | None) -> float | None:
    """Range of the mean powers of loads that are on for half of the time with several periods and phases, relative to their mean.

    A reading that covers all of the load shows the same power each time. Differences of the share of time are corrected by the slope.

    Args:
        squares: Mean power of each load.
        slope_w: Power that the load adds, W; None: unknown.

    Returns:
        None if there are fewer than two, or if the load changes the power too little to show anything.
    """
    if len(squares) < 2 or slope_w is None:
        return None
    mean_w = float(np.mean([level.watts for level in squares]))
    if mean_w <= 0 or slope_w < LEAST_SWING * mean_w:
        return None
    return float(np.ptp([at_half(level, slope_w) for level in squares]) / mean_w)


def explained_spread(squares: Sequence[Level], slope_w: float | None, rates_hz: Sequence[float]) -> float:
    """Part of a `spread` that the load itself explains, because its calls were delayed by other processes of the host.

    Args:
        squares: Mean power of each load.
        slope_w: Power that the load adds, W; None: unknown.
        rates_hz: Rate of the calls of each load.
    """
    if len(rates_hz) < 2 or not squares or slope_w is None:
        return 0.0
    mean_w = float(np.mean([level.watts for level in squares]))
    return 0.5 * slope_w / mean_w * float(np.ptp(rates_hz) / np.mean(rates_hz)) if mean_w > 0 else 0.0


def sees_all(spread_: float | None, explained: float) -> bool | None:
    """Whether a reading covers all of a periodic load; None if unknown, or if the load itself may explain the spread."""
    if spread_ is None:
        return None
    return True if spread_ <= SEES_ALL else False if spread_ > SEES_ALL + explained else None


def at_half(level: Level, slope_w: float) -> float:
    """Mean power of a load that is on for about half of the time, W, if it had been on for exactly half of it."""
    return level.watts + (0.5 - level.share) * slope_w
