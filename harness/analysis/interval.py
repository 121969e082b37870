"""Intervals of a mean over launches, of a proportion, and of a percentile of one launch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.schema import Floats

MIN_N = {90: 36, 95: 72, 99: 368}
"""Smallest n at which order statistics bound a percentile from above at 95 %: 1 - p^n >= .975 (Hahn & Meeker, Statistical Intervals, ch. 5)."""
FIXED, STOPPED = 0.975, 0.9825
"""Quantiles of t for a 95 % interval at a fixed number of launches, and after a stopping rule (design/0004): the latter covers 94.1-96.6 %."""
WIDE = 0.5
"""Relative half-width above which the interval of a positive quantity is computed in log form."""


class Interval(NamedTuple):
    """An estimate with its bounds; the bounds of a single value are NaN."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half-width relative to the estimate."""
        return (self.high - self.low) / 2 / abs(self.value) if self.value else float("nan")


def t_quantile(nu: float, q: float) -> float:
    """Quantile of Student's t, in a fiftieth of the time of `scipy.stats`."""
    from scipy.special import stdtrit

    return float(stdtrit(nu, q))


def normal_isf(alpha: float) -> float:
    """Upper quantile of the standard normal distribution, without `scipy.stats`, whose import takes longer than most reports."""
    from scipy.special import ndtri

    return -float(ndtri(alpha))


def moments(values: Sequence[float] | Floats) -> tuple[float, float]:
    """Mean and variance (n - 1) of some launches; NaN if they are too few.

    The result is identical to that of NumPy's `mean` and `var`, which take four times as long for a few values.
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    mean = float(np.add.reduce(array)) / n if n else math.nan
    centred = array - mean
    return mean, float(np.add.reduce(centred * centred)) / (n - 1) if n > 1 else math.nan


def welch(parts: Sequence[tuple[float, int]], shared_u: float = 0.0) -> tuple[float, float]:
    """Standard uncertainty of a difference of means, and its degrees of freedom (Welch 1947).

    Args:
        parts: Variance of each mean, s^2 / n, with its degrees of freedom, n - 1.
        shared_u: Standard uncertainty that more launches do not reduce, with infinitely many degrees of freedom.
    """
    square = sum(part for part, _ in parts) + shared_u**2
    scatter = sum(part**2 / freedom for part, freedom in parts)
    return math.sqrt(square), square**2 / scatter if scatter else math.inf


def mean_interval(values: Sequence[float], q: float = FIXED) -> Interval:
    """Student's t interval of the mean of independent launches, at the quantile `FIXED` (at which a stopping rule covers 92 %) or `STOPPED`."""
    (mean, variance), n = moments(values), len(values)
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    half = t_quantile(n - 1, q) * math.sqrt(variance) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def positive_interval(values: Sequence[float], q: float = FIXED) -> Interval:
    """`mean_interval` of a positive quantity, with bounds above 0.

    Above a relative half-width U / e of 50 % the bounds are e exp(-U / e) .. e exp(U / e); it never covers less (design/0005).
    """
    interval = mean_interval(values, q)
    if interval.value <= 0 or not interval.half_width > WIDE:
        return interval
    factor = float(np.exp(interval.half_width))
    return Interval(interval.value, interval.value / factor, interval.value * factor)


def absolute_interval(values: Sequence[float], gain: float, q: float = FIXED) -> Interval:
    """Interval that includes the sensor's gain, in log form so that it stays positive; without a gain, of repeatability alone.

    u_c^2 = u_A^2 + (gain e)^2, nu = (R - 1) u_c^4 / u_A^4, U = t(.975, nu) u_c, bounds e exp(-U / e) .. e exp(U / e)
    (GUM, JCGM 100:2008, G.4, the gain having infinitely many degrees of freedom). After a stopping rule u_A is first
    widened by t(q, R - 1) / t(.975, R - 1), since the rule depends on the scatter and not on the gain (design/0004).

    Args:
        values: One positive value per launch, shape (R,).
        gain: Relative standard uncertainty of the gain of the whole sum.
        q: Quantile of t.
    """
    (mean, variance), n = moments(values), len(values)
    if n < 2 or mean <= 0:
        return Interval(mean, math.nan, math.nan)
    spread = t_quantile(n - 1, q) / t_quantile(n - 1, FIXED) * math.sqrt(variance) / math.sqrt(n)
    combined = float(np.hypot(spread, gain * mean))
    if not combined:
        return Interval(mean, mean, mean)
    nu = (n - 1) * (combined / spread) ** 4 if spread else math.inf
    factor = float(np.exp(t_quantile(nu, FIXED) * combined / mean))
    return Interval(mean, mean / factor, mean * factor)


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95 % score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212).

    The result is identical to that of `scipy.stats.binomtest`, which also computes a p-value and takes hundreds of times as long.
    """
    share, z = successes / trials, -normal_isf(FIXED)
    scale = 2 * (trials + z**2)
    centre = (2 * trials * share + z**2) / scale
    half = z / scale * math.sqrt(4 * trials * share * (1 - share) + z**2)
    return Interval(share, centre - half if successes else 0.0, centre + half if successes < trials else 1.0)


def percentile(values: np.ndarray, p: int) -> float | None:
    """Percentile 50, 90, 95 or 99 of the values of one launch; None if there are too few to bound it."""
    return float(np.percentile(values, p)) if len(values) >= MIN_N.get(p, 1) else None
