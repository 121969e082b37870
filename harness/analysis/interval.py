"""Intervals: of a mean over launches, of a proportion, of a percentile of one launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The least n at which order statistics give a finite 95 % upper bound of a percentile: 1 - p^n >= .975 (Hahn & Meeker, Statistical Intervals, ch. 5).
LEAST_N = {90: 36, 95: 72, 99: 368}


class Interval(NamedTuple):
    """An estimate with its bounds; the bounds are NaN where one value says nothing of the spread."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Relative to the estimate."""
        return (self.high - self.low) / 2 / abs(self.value) if self.value else float("nan")


def mean_interval(values: Sequence[float], q: float = 0.975) -> Interval:
    """Student's t interval of the mean of independent launches.

    Args:
        values: One per launch, shape (R,).
        q: Quantile of t: .975 at a fixed R, .9825 after a stopping rule (it then covers 94.1-96.6 %, where .975 covers 92 %).
    """
    from scipy.stats import t

    array = np.asarray(values, dtype=np.float64)
    mean = float(np.mean(array)) if len(array) else float("nan")
    if len(array) < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf(q, len(array) - 1) * np.std(array, ddof=1) / np.sqrt(len(array)))
    return Interval(mean, mean - half, mean + half)


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
