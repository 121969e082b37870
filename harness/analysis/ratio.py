"""Two sets of launches -> their ratio with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis.interval import Interval, moments


def log_welch(values: Sequence[float], baseline: Sequence[float], q: float = 0.975, offset: float = 0.0) -> Interval:
    """Ratio of the geometric means of two sets of independent launches on one sensor.

    d = mean ln b - mean ln a; u^2 = s_a^2 / R_a + s_b^2 / R_b + offset^2 with Welch's degrees of freedom (Welch 1947); the
    bounds are exp(d -+ t(q, nu) u). The sensor's gain cancels, its offset does not. At n <= 20 this covers better than a
    percentile bootstrap of means (88.7 % at n = 5).

    Args:
        values: Of the case, shape (R,), all positive.
        baseline: Of what it is compared with, shape (Q,), all positive.
        q: Quantile of t: .975 at a fixed R, .9825 after a stopping rule.
        offset: Standard uncertainty of d from the sensor's offset: see `offset_term`.

    Returns:
        The bounds are NaN where either set holds less than two launches.
    """
    from scipy.special import stdtrit  # the quantile of t

    difference, u, nu = log_ratio(values, baseline, offset)
    if not math.isfinite(u):
        return Interval(float(np.exp(difference)), float("nan"), float("nan"))
    half = float(stdtrit(nu, q) * u)
    return Interval(float(np.exp(difference)), float(np.exp(difference - half)), float(np.exp(difference + half)))


def log_ratio(values: Sequence[float], baseline: Sequence[float], offset: float = 0.0) -> tuple[float, float, float]:
    """(d, u, nu): the logarithm of the ratio of two sets of launches, its standard uncertainty and degrees of freedom, as for `log_welch`.

    Args:
        values: Of the case, shape (R,), all positive.
        baseline: Of what it is compared with, shape (Q,), all positive.
        offset: Standard uncertainty of d that more launches do not make smaller, known with infinitely many degrees of freedom.

    Returns:
        u and nu are NaN where either set holds less than two launches, d too where one is empty.
    """
    n, m = len(values), len(baseline)
    (mean, variance), (other, other_variance) = (moments(np.log(np.asarray(each, dtype=np.float64))) for each in (values, baseline))
    part, other_part = variance / max(n, 1), other_variance / max(m, 1)
    square = part + other_part + offset**2
    if math.isnan(square):
        return mean - other, math.nan, math.nan
    scatter = part**2 / (n - 1) + other_part**2 / (m - 1)
    return mean - other, math.sqrt(square), square**2 / scatter if scatter else math.inf


def offset_term(offset_w: float, power_w: float, baseline_power_w: float) -> float:
    """Standard uncertainty of ln(e / e_baseline) from an offset that both share: o |1 / P - 1 / P_baseline|.

    Args:
        offset_w: Standard uncertainty of the sensor's offset, W.
        power_w: Mean power of the case during its window, W.
        baseline_power_w: Likewise of the baseline.
    """
    return offset_w * abs(1 / power_w - 1 / baseline_power_w)
