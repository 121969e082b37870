"""The beginning of a load and a counter's ticks after it -> how late the counter shows what happened, or that this is not known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.energy.ticks import CLEAN_GAP_S, Ticks, ticks, unwrap
from harness.schema import Domain, Floats, Sample, Trace

LAG_WATCH_S = 1.0
LAG_TICKS = 6
LAG_KNOWN_S = 0.005
"""A lag that is not known to this is not corrected."""
MOST_LAG_S = 0.3
"""What rises later still has another reason."""
LEAST_RISE = 0.2
"""Of the idle power: a smaller step shows no lag."""
SILENT, HALF_RISEN = 0.05, 0.5
"""Of the load's power: what is less is none yet; what begins below the other and only rises, rises slowly."""
GRAIN_S = 0.01
"""Power is looked at over ticks so far apart: the time of a tick is known to a fraction of a millisecond."""
SAME_LOAD = 0.1
"""Of its power: a load that later differs by more was no level load."""


@dataclass(frozen=True)
class Lag:
    """How late a counter shows what happened.

    Attributes:
        seconds: The estimate.
        within_s: How far the counter's ticks lie from those of a level load that is shown so late: the estimate is no better.
        late: Whether the load's power is not there at first, or rises slowly.
    """

    seconds: float
    within_s: float
    late: bool = False

    @property
    def known(self) -> bool:
        """Whether it is known well enough to correct."""
        return self.within_s <= LAG_KNOWN_S

    @property
    def suspect(self) -> bool:
        """Whether there may be a lag, or a smoothing, that cannot be corrected."""
        return self.late and not self.known


def lag_of(sample: Sample, domain: Domain, load_s: float, end_s: float | None = None) -> Lag | None:
    """The lag of a counter from the step in power where the load began.

    Before the step the counter rises with the idle power, after it with the load's. At its ticks a counter is exact, but for
    its lag; so the line through the ticks after the step meets the idle line at load_s + lag. This holds for a load that is
    level and follows the child. Where a tick lies off the line, or the power is another one later, the lag is not known.

    Args:
        sample: The counter's readings, polled quickly from before the step on.
        domain: Its domain.
        load_s: When the load began.
        end_s: Until when it ran; null: not known.

    Returns:
        Null where the step is too small, or the ticks are too few, to tell, and where the power rose before the load began.
    """
    level, _ = unwrap(sample, domain.wrap_j)
    steps = ticks(level, domain.update_period_s)
    until_s = load_s + max(LAG_WATCH_S, LAG_TICKS * (domain.update_period_s or 0.0))
    before, after = _around(steps, load_s, until_s)
    if np.sum(before) < 2 or np.sum(after) < 3:
        return None
    idle_w = _power_w(steps, before)
    t_s = steps.t_s[after] - load_s
    excess_j = steps.value_j[after] - steps.value_j[before][-1] - idle_w * (steps.t_s[after] - steps.t_s[before][-1])
    risen = excess_j > 0.02 * excess_j[-1]
    if excess_j[-1] < LEAST_RISE * max(idle_w, 0.0) * t_s[-1] or np.sum(risen) < 3:
        return None
    power_w, intercept_j = np.polyfit(t_s[risen], excess_j[risen], 1)
    lag_s = float(-intercept_j / power_w)
    within_s = float(np.max(np.abs(excess_j[risen] - power_w * t_s[risen] - intercept_j)) / abs(power_w))
    # No counter is early: clearly before the load began another one did; a little before it, a load that is not level at first looks so.
    if lag_s < -max(LAG_KNOWN_S, within_s):
        return None
    if lag_s > MOST_LAG_S or not _goes_on(steps, (until_s, end_s or until_s), idle_w + power_w, domain.update_period_s):
        within_s = math.inf
    silent_s, slow = _rise(np.append(0.0, t_s), np.append(0.0, excess_j))
    return Lag(max(lag_s, silent_s), within_s, late=slow or silent_s > LAG_KNOWN_S)


def lags_of(trace: Trace, load_s: float | None, end_s: float | None = None) -> dict[str, Lag]:
    """The lag of each counter for which the beginning of the load shows it.

    Args:
        trace: What the sensors said.
        load_s: When the load began; null: not known.
        end_s: Until when it ran; null: not known.
    """
    if load_s is None:
        return {}
    counters = (domain for domain in trace.domains.values() if domain.quantity == "energy")
    found = {domain.name: lag_of(trace.samples[domain.name], domain, load_s, end_s) for domain in counters}
    return {name: lag for name, lag in found.items() if lag}


def _around(steps: Ticks, load_s: float, until_s: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which ticks before the load, and which after it until a time, are known well: narrowly, or where too few are, to `LAG_KNOWN_S`."""
    for widest_s in (CLEAN_GAP_S, 2 * LAG_KNOWN_S):
        clean = steps.gap_s <= widest_s
        before, after = clean & (steps.t_s <= load_s), clean & (steps.t_s > load_s) & (steps.t_s <= until_s)
        if np.sum(before) >= 2 and np.sum(after) >= 3:
            break
    return before, after


def _power_w(steps: Ticks, which: np.ndarray) -> float:
    """Mean power from the first to the last of some ticks; NaN where they are one."""
    t_s, value_j = steps.t_s[which], steps.value_j[which]
    return float((value_j[-1] - value_j[0]) / (t_s[-1] - t_s[0])) if len(t_s) > 1 else math.nan


def _goes_on(steps: Ticks, span_s: tuple[float, float], power_w: float, period_s: float | None) -> bool:
    """Whether the power is the same in a later span, in its mean and from one tick to the next, as far as can be seen.

    A wave of nearly a tick's period is level for a few ticks; over more of them it shows.
    """
    later = (steps.t_s >= span_s[0]) & (steps.t_s <= span_s[1])
    if np.sum(later) < 2:
        return True
    apart_s, step_j = np.diff(steps.t_s[later]), np.diff(steps.value_j[later])
    single_j = step_j[np.abs(apart_s - (period_s or 0.0)) <= (period_s or 0.0) / 2]
    ripple_j = np.max(np.abs(single_j - np.median(single_j))) if len(single_j) else 0.0
    return bool(abs(_power_w(steps, later) / power_w - 1) <= SAME_LOAD and ripple_j <= LAG_KNOWN_S * power_w)


def _rise(t_s: Floats, excess_j: Floats) -> tuple[float, bool]:
    """(how long nothing was shown, whether the power rises slowly, without ever falling), from the energy since the load began."""
    grid_s = np.arange(0.0, t_s[-1], GRAIN_S)
    at = np.unique(np.append(np.searchsorted(t_s, grid_s), len(t_s) - 1))
    share = np.diff(excess_j[at]) / np.diff(t_s[at]) / (excess_j[-1] / t_s[-1])
    silent = int(np.argmax(share >= SILENT))
    slow = len(share) > 2 and share[0] < HALF_RISEN * share[-1] and bool(np.all(np.diff(share[:-1]) >= -SILENT))
    return float(t_s[at][silent]), slow
