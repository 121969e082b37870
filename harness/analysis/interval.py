"""Intervals: of a mean over launches, of a proportion, of a percentile of one launch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The least n at which order statistics give a finite 95 % upper bound of a percentile: 1 - p^n >= .975 (Hahn & Meeker, Statistical Intervals, ch. 5).
LEAST_N = {90: 36, 95: 72, 99: 368}

FIXED, STOPPED = 0.975, 0.9825
"""Quantile of t of a 95 % interval at a fixed number of launches, and of one reported after a stopping rule: the latter covers 94.1-96.6 %."""


WIDE = 0.5
"""Relative half-width from which an interval of what cannot be negative is told in log form."""


class Interval(NamedTuple):
    """An estimate with its bounds; the bounds are NaN where one value says nothing of the spread."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Relative to the estimate."""
        return (self.high - self.low) / 2 / abs(self.value) if self.value else float("nan")


def moments(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Mean and variance (n - 1) of the launches of one case; NaN where they are too few.

    To the last bit what NumPy's `mean` and `var` give, which take four times as long for a handful of values.

    Args:
        values: Shape (n,).
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    mean = float(np.add.reduce(array)) / n if n else math.nan
    centred = array - mean
    return mean, float(np.add.reduce(centred * centred)) / (n - 1) if n > 1 else math.nan


def mean_interval(values: Sequence[float], q: float = 0.975) -> Interval:
    """Student's t interval of the mean of independent launches.

    Args:
        values: One per launch, shape (R,).
        q: Quantile of t: .975 at a fixed R, .9825 after a stopping rule (it then covers 94.1-96.6 %, where .975 covers 92 %).
    """
    from scipy.special import stdtrit  # the quantile of t, at a fiftieth of the time of scipy.stats

    (mean, variance), n = moments(values), len(values)
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stdtrit(n - 1, q)) * math.sqrt(variance) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def positive_interval(values: Sequence[float], q: float = FIXED) -> Interval:
    """`mean_interval` of a quantity that cannot be negative: where it is wide, in log form, so that 0 < low < value < high.

    Above a relative half-width U / e of 50 % the bounds are e exp(-U / e) .. e exp(U / e); it never covers less (design/0005).

    Args:
        values: One per launch, shape (R,), all positive.
        q: Quantile of t, as for `mean_interval`.
    """
    interval = mean_interval(values, q)
    if interval.value <= 0 or not interval.half_width > WIDE:
        return interval
    factor = float(np.exp(interval.half_width))
    return Interval(interval.value, interval.value / factor, interval.value * factor)


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95 % score interval of a proportion (Wilson 1927), as SciPy has it."""
    from scipy.stats import binomtest

    ci = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return Interval(successes / trials, float(ci.low), float(ci.high))


def percentile(values: np.ndarray, p: int) -> float | None:
    """A percentile of one launch, or null where n is too small to bound it.

    Args:
        values: Latencies, s, shape (n,).
        p: 50, 90, 95 or 99.
    """
    return float(np.percentile(values, p)) if len(values) >= LEAST_N.get(p, 1) else None


def absolute_interval(values: Sequence[float], gain: float, q: float = 0.975) -> Interval:
    """Interval that also holds the sensor's gain, in log form so that it stays positive.

    u_c^2 = u_A^2 + (gain e)^2, nu = (R - 1) u_c^4 / u_A^4, U = t(.975, nu) u_c, bounds e exp(-U / e) .. e exp(U / e)
    (GUM, JCGM 100:2008, G.4, the gain being known with infinitely many degrees of freedom). After a stopping rule u_A is first
    widened by t(q, R - 1) / t(.975, R - 1): the rule looks at the scatter alone, so the gain needs no more than without it
    (design/0004). Without a gain this is the repeatability interval.

    Args:
        values: One per launch, shape (R,), all positive.
        gain: Relative standard uncertainty of the gain, of the whole sum.
        q: Quantile of t, as for `mean_interval`.
    """
    from scipy.special import stdtrit  # the quantile of t, at a fiftieth of the time of scipy.stats

    (mean, variance), n = moments(values), len(values)
    if n < 2 or mean <= 0:
        return Interval(mean, math.nan, math.nan)
    widened = float(stdtrit(n - 1, q) / stdtrit(n - 1, FIXED))
    spread = widened * math.sqrt(variance) / math.sqrt(n)
    combined = float(np.hypot(spread, gain * mean))
    if not combined:
        return Interval(mean, mean, mean)
    nu = (n - 1) * (combined / spread) ** 4 if spread else math.inf
    factor = float(np.exp(stdtrit(nu, FIXED) * combined / mean))
    return Interval(mean, mean / factor, mean * factor)
