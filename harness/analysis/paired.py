"""Paired difference in quality of two cases on the same test samples, with its interval and the verdict on non-inferiority."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.analysis.interval import Interval, normal_isf, t_quantile
from harness.schema import Floats

Verdict = Literal["non_inferior", "inferior", "inconclusive"]

ALPHA = 0.05
"""One-sided error of each bound, for non-inferiority (measurement.md, section 6)."""
POWER_FACTOR = 6.2
"""(z(.95) + z(.80))^2: times the variance over the squared margin, the sample size for a power of 80 %."""
RESAMPLES = 2000
RESAMPLED_AT_ONCE = 4_000_000
"""Number of values that are resampled at once: some 32 MB per array."""


def paired_difference(case: Floats, baseline: Floats) -> Interval:
    """Mean of case minus baseline with one-sided 95 % bounds: Tango's for samples of 0 and 1, else by bootstrap.

    Returns:
        Bounds are NaN for a single sample, or if a value is not finite.
    """
    if not len(case) or not np.isfinite(case).all() or not np.isfinite(baseline).all():
        return Interval(float("nan"), float("nan"), float("nan"))
    if np.isin(case, (0, 1)).all() and np.isin(baseline, (0, 1)).all():
        return tango(int(np.sum(case > baseline)), int(np.sum(baseline > case)), len(case))
    return bootstrap(case - baseline)


def tango(gained: int, lost: int, samples: int) -> Interval:
    """Difference of two proportions on the same samples, with Tango's score interval (Statistics in Medicine 17, 1998, 891-908).

    It inverts McNemar's test, holds its level for small numbers, and has a width even if the two never differ.

    Args:
        gained: Number of samples that only the case has right.
        lost: Number of samples that only the baseline has right.
        samples: Number of all samples, n > 0.

    Returns:
        (gained - lost) / n and its one-sided 95 % bounds.
    """
    from scipy.optimize import brentq

    z, difference = normal_isf(ALPHA), (gained - lost) / samples

    def bound(sign: float) -> float:
        def excess(at: float) -> float:
            return sign * float(tango_score(gained, lost, samples, at)) - z

        end = -sign * (1 - 1e-12)
        # There is no root if all samples differ: the bound is then the end of the scale.
        return float(brentq(excess, end, difference)) if excess(end) > 0 > excess(difference) else -sign

    return Interval(difference, bound(1.0), bound(-1.0))


def tango_score(gained: Any, lost: Any, samples: int, at: float) -> Floats:
    """Standard normal score of the hypothesis that a difference of proportions is `at`; at 0 it is McNemar's.

    Args:
        gained: Number of samples that only the case has right, a number or an array.
        lost: Number of samples that only the baseline has right, of the same shape.
        samples: Number of all samples.
        at: Difference between -1 and 1.

    Returns:
        Scores of the same shape, positive if the difference seems larger than `at`.
    """
    b, c = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    linear = (2 * samples - b + c) * at - b - c
    # The maximum-likelihood share of lost samples under the hypothesis.
    share = (np.sqrt(np.maximum(linear**2 + 8 * samples * c * at * (1 - at), 0.0)) - linear) / (4 * samples)
    variance = samples * (2 * share + at * (1 - at))
    excess = b - c - samples * at
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(excess == 0, 0.0, excess / np.sqrt(np.maximum(variance, 0.0)))


def bootstrap(differences: Floats, seed: int = 0) -> Interval:
    """Mean of paired differences with one-sided 95 % bounds: percentiles of a bootstrap over the samples.

    Assumes independent samples. For exponential differences each side covers 91-97 % at n = 30 (design/0007).
    """
    mean = float(np.mean(differences))
    if len(differences) < 2:
        return Interval(mean, float("nan"), float("nan"))
    if np.ptp(differences) == 0:
        return Interval(mean, mean, mean)
    from scipy.stats import bootstrap as resampled

    bounds = resampled(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - 2 * ALPHA,
        method="percentile",
        batch=max(1, RESAMPLED_AT_ONCE // len(differences)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(bounds.low), float(bounds.high))


def verdict(difference: Interval, margin: float, direction: Literal["higher", "lower"]) -> Verdict | None:
    """Whether the case is as good as its baseline within the margin.

    Args:
        difference: Case minus baseline with one-sided 95 % bounds.
        margin: Largest loss that is still as good, in the metric's unit.
        direction: Direction in which the metric improves.

    Returns:
        `non_inferior`: the loss is below the margin. `inferior`: it is above. `inconclusive`: neither is significant. None without bounds.
    """
    low, high = (difference.low, difference.high) if direction == "higher" else (-difference.high, -difference.low)
    if np.isnan(low) or np.isnan(high):
        return None
    if low > -margin:
        return "non_inferior"
    return "inferior" if high < -margin else "inconclusive"


def samples_needed(differences: Floats, margin: float) -> int | None:
    """Number of samples at which a case that equals its baseline is found to be non-inferior with a power of 80 %; None for a margin of 0.

    n = 6.2 psi / margin^2, psi being the mean square of the differences: for 0 and 1, the share of samples on which the two
    differ. For small psi the width of the score interval without any difference is the floor: z^2 (1 - margin) / margin.

    Args:
        differences: Case minus baseline of each sample, shape (n,), n > 0.
        margin: Largest loss that is still as good, in the metric's unit.
    """
    if margin <= 0:
        return None
    floor = normal_isf(ALPHA) ** 2 * (1 - margin) / margin if np.isin(differences, (-1, 0, 1)).all() else 0.0
    return int(np.ceil(max(POWER_FACTOR * float(np.mean(differences**2)) / margin**2, floor)))


def as_good_and_better(
    losses: Sequence[Floats] | Floats, others: Sequence[Floats] | Floats, margin: float, alpha_better: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tests of cases against others on the same samples: (as good within the margin, better), each of shape (k, m).

    These are the tests that the intervals invert: Tango's score at the margin and McNemar's for 0 and 1, else Student's t of the paired
    differences.

    Args:
        losses: Loss of each sample, smaller is better, for each of k cases, shape (n,) each, n > 1.
        others: Losses of m other cases on the same samples.
        margin: Largest difference that is still as good.
        alpha_better: One-sided error of `better`; that of `as good` is 5 %.
    """
    own, other = np.asarray(losses), np.asarray(others)
    n, least = own.shape[1], min(np.min(own), np.min(other))
    if all(np.isin(values, (least, least + 1)).all() for values in (own, other)):
        wrong, theirs = own - least, other - least
        gained, lost = (1 - wrong) @ theirs.T, wrong @ (1 - theirs).T
        return tango_score(gained, lost, n, -margin) > normal_isf(ALPHA), tango_score(gained, lost, n, 0.0) > normal_isf(alpha_better)
    mean, their_mean = np.mean(own, axis=1), np.mean(other, axis=1)
    centred, their_centred = own - mean[:, None], other - their_mean[:, None]
    squares = np.sum(centred**2, axis=1)[:, None] + np.sum(their_centred**2, axis=1)[None, :] - 2 * centred @ their_centred.T
    u = np.sqrt(np.maximum(squares, 0.0) / (n - 1) / n)
    difference = mean[:, None] - their_mean[None, :]
    return difference - t_quantile(n - 1, ALPHA) * u <= margin, difference - t_quantile(n - 1, alpha_better) * u < 0
