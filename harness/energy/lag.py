"""Lag of a counter, from the start of a load and the ticks after it, if it can be determined."""

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
"""Uncertainty above which a lag is not corrected."""
MAX_LAG_S = 0.3
"""Largest lag: a later rise has another cause."""
MIN_RISE = 0.2
"""Smallest step in power that shows a lag, relative to idle power."""
SILENT, HALF_RISEN = 0.05, 0.5
"""Shares of the load's power below which it is not there yet, and below which a power that only rises began slowly."""
GRAIN_S = 0.01
"""Distance of the ticks between which power is computed: their times are known to a fraction of a millisecond."""
SAME_LOAD = 0.1
"""Relative difference of the later power above which the load is not level."""


@dataclass(frozen=True)
class Lag:
    """Delay of a counter.

    Attributes:
        seconds: Estimate, s.
        within_s: Largest distance of the ticks from those of a level load with this lag, s, which bounds the uncertainty.
        late: Whether the load's power is missing at first, or rises slowly.
    """

    seconds: float
    within_s: float
    late: bool = False

    @property
    def known(self) -> bool:
        """Whether it is certain enough to correct."""
        return self.within_s <= LAG_KNOWN_S

    @property
    def suspect(self) -> bool:
        """Whether there may be a lag or smoothing that cannot be corrected."""
        return self.late and not self.known


def lag_of(sample: Sample, domain: Domain, load_s: float, end_s: float | None = None) -> Lag | None:
    """The lag of a counter from the step in power at the start of the load.

    Before the step the counter rises with the idle power, after it with the load's. At its ticks a counter is exact apart from its lag, so
    the line through the ticks after the step meets the idle line at load_s + lag. This holds for a level load that follows the child. If a tick
    is off the line, or the power differs later, the lag is unknown.

    Args:
        sample: Readings of the counter, polled quickly from before the step on.
        domain: Domain of the counter.
        load_s: Start of the load, s on CLOCK_MONOTONIC.
        end_s: End of the load; None: unknown.

    Returns:
        None if the step is too small, the ticks are too few, or the power rose before the load began.
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
    if excess_j[-1] < MIN_RISE * max(idle_w, 0.0) * t_s[-1] or np.sum(risen) < 3:
        return None
    power_w, intercept_j = np.polyfit(t_s[risen], excess_j[risen], 1)
    lag_s = float(-intercept_j / power_w)
    within_s = float(np.max(np.abs(excess_j[risen] - power_w * t_s[risen] - intercept_j)) / abs(power_w))
    # A counter is never early: a rise clearly before the load is of another load, one just before it of a load that is not level at first.
    if lag_s < -max(LAG_KNOWN_S, within_s):
        return None
    if lag_s > MAX_LAG_S or not _goes_on(steps, (until_s, end_s or until_s), idle_w + power_w, domain.update_period_s):
        within_s = math.inf
    silent_s, slow = _rise(np.append(0.0, t_s), np.append(0.0, excess_j))
    return Lag(max(lag_s, silent_s), within_s, late=slow or silent_s > LAG_KNOWN_S)


def lags_of(trace: Trace, load_s: float | None, end_s: float | None = None) -> dict[str, Lag]:
    """Lags of the counters for which they can be determined, by domain; none if the start of the load is unknown."""
    if load_s is None:
        return {}
    counters = (domain for domain in trace.domains.values() if domain.quantity == "energy")
    lags = {domain.name: lag_of(trace.samples[domain.name], domain, load_s, end_s) for domain in counters}
    return {name: lag for name, lag in lags.items() if lag}


def _around(steps: Ticks, load_s: float, until_s: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the ticks before and after the load with narrow brackets, or with brackets up to `LAG_KNOWN_S` if those are too few."""
    for widest_s in (CLEAN_GAP_S, 2 * LAG_KNOWN_S):
        clean = steps.gap_s <= widest_s
        before, after = clean & (steps.t_s <= load_s), clean & (steps.t_s > load_s) & (steps.t_s <= until_s)
        if np.sum(before) >= 2 and np.sum(after) >= 3:
            break
    return before, after


def _power_w(steps: Ticks, which: np.ndarray) -> float:
    """Mean power from the first to the last of some ticks, W; NaN for a single one."""
    t_s, value_j = steps.t_s[which], steps.value_j[which]
    return float((value_j[-1] - value_j[0]) / (t_s[-1] - t_s[0])) if len(t_s) > 1 else math.nan


def _goes_on(steps: Ticks, span_s: tuple[float, float], power_w: float, period_s: float | None) -> bool:
    """Whether the power stays the same in a later span, in its mean and from tick to tick.

    A wave of nearly a tick's period looks level for a few ticks, but not for many.
    """
    later = (steps.t_s >= span_s[0]) & (steps.t_s <= span_s[1])
    if np.sum(later) < 2:
        return True
    apart_s, step_j = np.diff(steps.t_s[later]), np.diff(steps.value_j[later])
    single_j = step_j[np.abs(apart_s - (period_s or 0.0)) <= (period_s or 0.0) / 2]
    ripple_j = np.max(np.abs(single_j - np.median(single_j))) if len(single_j) else 0.0
    return bool(abs(_power_w(steps, later) / power_w - 1) <= SAME_LOAD and ripple_j <= LAG_KNOWN_S * power_w)


def _rise(t_s: Floats, excess_j: Floats) -> tuple[float, bool]:
    """(time without power, s; whether the power rises slowly and never falls), from the energy since the start of the load."""
    grid_s = np.arange(0.0, t_s[-1], GRAIN_S)
    at = np.unique(np.append(np.searchsorted(t_s, grid_s), len(t_s) - 1))
    share = np.diff(excess_j[at]) / np.diff(t_s[at]) / (excess_j[-1] / t_s[-1])
    silent = int(np.argmax(share >= SILENT))
    slow = len(share) > 2 and share[0] < HALF_RISEN * share[-1] and bool(np.all(np.diff(share[:-1]) >= -SILENT))
    return float(t_s[at][silent]), slow
