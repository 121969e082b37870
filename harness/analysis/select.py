"""Case with the minimum weighted cost, the weights at which the choice changes, and whether its lead is separated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.interval import FIXED, Interval, t_quantile, welch
from harness.schema import Floats

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ChoiceChange:
    """A weight at which the choice changes.

    Attributes:
        share: Weight of the first cost, 0 to 1.
        index: Index of the case that is best beyond it.
    """

    share: float
    index: int


@dataclass(frozen=True)
class Choice:
    """The constrained optimum of n cases.

    Attributes:
        scores: Weighted costs, shape (n,); NaN if a cost that counts is unknown.
        best: Index of the optimum; None if no case is allowed.
        runner_up: Index of the second best; None if there is none.
        refused: Indices of cases that are not allowed and score better than the optimum, best first; without an optimum, all.
        below: Change of the choice as the first cost counts less; None if it does not change.
        above: Change of the choice as the first cost counts more; None if it does not change.
    """

    scores: Floats
    best: int | None
    runner_up: int | None
    refused: tuple[int, ...]
    below: ChoiceChange | None
    above: ChoiceChange | None


def choose(costs: Floats, allowed: Bools, share: float) -> Choice:
    """Minimise share x first + (1 - share) x second cost over the allowed cases.

    The score is linear in the weight, so the choice is the lower envelope of straight lines and holds between the nearest
    crossings on either side. Of equal scores the one with the smaller sum of costs is chosen, then the first: a cost of weight 0
    still decides between cases that are equal in the other.

    Args:
        costs: Two costs per case on shared scales, smaller is better, NaN for unknown, shape (n, 2).
        allowed: Whether each case is allowed, shape (n,).
        share: Weight of the first cost, 0 to 1.
    """
    weighed = [weight * cost for weight, cost in ((share, costs[:, 0]), (1 - share, costs[:, 1])) if weight > 0]
    scores = np.sum(weighed, axis=0)
    order = [int(i) for i in np.lexsort((np.nan_to_num(costs, nan=np.inf).sum(axis=1), scores)) if not np.isnan(scores[i])]
    good = [i for i in order if allowed[i]]
    best = good[0] if good else None
    refused = tuple(i for i in order if not allowed[i] and (best is None or scores[i] < scores[best]))
    below, above = (None, None) if best is None else _changes(costs, [i for i in good if not np.isnan(costs[i]).any()], best, share)
    return Choice(scores, best, good[1] if len(good) > 1 else None, refused, below, above)


def _changes(costs: Floats, good: Sequence[int], best: int, share: float) -> tuple[ChoiceChange | None, ChoiceChange | None]:
    """The nearest weights on either side beyond which another case scores better."""
    lines = [(i, *(costs[i] - costs[best])) for i in good if i != best]
    # Lead of i at share s: second + s (first - second); it falls with s where first < second, and is 0 at the crossing.
    crossings = [(-second / (first - second), first - second, i) for i, first, second in lines if first != second]
    above = min(((at, slope, i) for at, slope, i in crossings if slope < 0 and share <= at < 1), default=None)
    below = max(((at, slope, i) for at, slope, i in crossings if slope > 0 and 0 < at <= share), default=None)
    return below and ChoiceChange(float(below[0]), below[2]), above and ChoiceChange(float(above[0]), above[2])


def leads(scores: Sequence[Floats], best: int, shared: Floats, q: float = FIXED) -> list[Interval]:
    """Lead of the best case over each other one; it is separated if the lower bound is above 0.

    Welch's t of the launches' scores, with the shared uncertainty added in quadrature. The best was selected by its score, so each of
    the m - 1 others is tested at .025 / (m - 1) one-sided, .005 / (m - 1) after a stopping rule (Bonferroni): with m identical
    cases a lead is found in at most 5 % of the runs.

    Args:
        scores: Score of each launch of each of m cases, shape (R,) each.
        best: Index of the best case.
        shared: Standard uncertainty of each lead from what the launches share, such as a sensor's offset, shape (m,).
        q: Quantile of t, `interval.FIXED` or `interval.STOPPED`.

    Returns:
        One per case; the bounds are NaN for the best itself, and if either case has a single launch.
    """
    alpha = (0.025 if q == FIXED else 0.005) / max(1, len(scores) - 1)
    return [
        _lead(own, scores[best], float(u), alpha) if i != best else Interval(0.0, math.nan, math.nan)
        for i, (own, u) in enumerate(zip(scores, shared, strict=True))
    ]


def _lead(own: Floats, best: Floats, shared_u: float, alpha: float) -> Interval:
    lead = float(np.mean(own) - np.mean(best))
    if min(len(own), len(best)) < 2:
        return Interval(lead, math.nan, math.nan)
    u, nu = welch([(float(np.var(each - each[0], ddof=1)) / len(each), len(each) - 1) for each in (own, best)], shared_u)
    half = t_quantile(nu, 1 - alpha) * u
    return Interval(lead, lead - half, lead + half)


def nearest_miss(shortfalls: Floats) -> int | None:
    """The case whose worst relative shortfall is smallest, of equal ones that with the smaller sum, then the first; None without cases.

    Args:
        shortfalls: Share by which each of k limits is missed, 0 if it is met, infinite if unknown, shape (n, k).
    """
    if not len(shortfalls):
        return None
    return int(np.lexsort((shortfalls.sum(axis=1), shortfalls.max(axis=1)))[0])
