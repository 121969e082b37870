"""Ratio of two sets of launches with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis.interval import FIXED, Interval, moments, t_quantile, welch


def log_welch(values: Sequence[float], baseline: Sequence[float], q: float = FIXED, offset: float = 0.0) -> Interval:
    """Ratio of the geometric means of two sets of independent launches on one sensor.

    The bounds are exp(d -+ t(q, nu) u), with d, u and nu as in `log_ratio`. The sensor's gain cancels, its offset does not. At n <= 20 this covers
    better than a percentile bootstrap of means (88.7 % at n = 5).

    Args:
        values: Values of the case, all positive, shape (R,).
        baseline: Values of the baseline, all positive, shape (Q,).
        q: Quantile of t, `interval.FIXED` or `interval.STOPPED`.
        offset: Standard uncertainty of d from the sensor's offset, see `offset_term`.

    Returns:
        Bounds are NaN if either set has fewer than two launches.
    """
    difference, u, nu = log_ratio(values, baseline, offset)
    if not math.isfinite(u):
        return Interval(float(np.exp(difference)), float("nan"), float("nan"))
    half = t_quantile(nu, q) * u
    return Interval(float(np.exp(difference)), float(np.exp(difference - half)), float(np.exp(difference + half)))


def log_ratio(values: Sequence[float], baseline: Sequence[float], offset: float = 0.0) -> tuple[float, float, float]:
    """Logarithm d of a ratio of two sets of launches, its standard uncertainty u, and the degrees of freedom nu.

    d = mean ln b - mean ln a; u^2 = s_a^2 / R_a + s_b^2 / R_b + offset^2 with Welch's degrees of freedom.

    Args:
        values: Values of the case, all positive, shape (R,).
        baseline: Values of the baseline, all positive, shape (Q,).
        offset: Standard uncertainty of d that more launches do not reduce.

    Returns:
        u and nu are NaN if either set has fewer than two launches, d too if one is empty.
    """
    n, m = len(values), len(baseline)
    (mean, variance), (other, other_variance) = (moments(np.log(np.asarray(each, dtype=np.float64))) for each in (values, baseline))
    if min(n, m) < 2:
        return mean - other, math.nan, math.nan
    return mean - other, *welch([(variance / n, n - 1), (other_variance / m, m - 1)], offset)


def offset_term(offset_w: float, power_w: float, baseline_power_w: float) -> float:
    """Standard uncertainty of ln(e / e_baseline) from an offset that both share: o |1 / P - 1 / P_baseline|.

    Args:
        offset_w: Standard uncertainty of the sensor's offset, W.
        power_w: Mean power of the case during its window, W.
        baseline_power_w: Mean power of the baseline during its window, W.
    """
    return offset_w * abs(1 / power_w - 1 / baseline_power_w)
