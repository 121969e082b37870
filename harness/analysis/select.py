"""Two costs of many cases, a weight and who is allowed -> the best, the next, where the choice flips, and whether its lead is separated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.interval import FIXED, Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ChoiceChange:
    """A weight at which the choice changes.

    Attributes:
        share: Of the first cost, 0 to 1.
        index: Of the case that is best beyond it.
    """

    share: float
    index: int


@dataclass(frozen=True)
class Choice:
    """The constrained optimum of n cases.

    Attributes:
        scores: Of every case, shape (n,); NaN where a cost that counts is not known.
        best: Index of the optimum; null where nobody is allowed.
        runner_up: Index of the next; null where there is none.
        refused: Those that score better than the optimum and are not allowed, the best first; without an optimum all that score.
        below: Where the choice flips when the first cost counts less; null: nowhere.
        above: Likewise when it counts more.
    """

    scores: Floats
    best: int | None
    runner_up: int | None
    refused: tuple[int, ...]
    below: ChoiceChange | None
    above: ChoiceChange | None


def choose(costs: Floats, allowed: Bools, share: float) -> Choice:
    """Minimise share x first + (1 - share) x second cost over those that are allowed.

    The score is linear in the weight, so that the choice is the lower envelope of straight lines: it stands between the nearest
    crossings on either side. Of equal scores that with the smaller sum of costs is taken, then the first: a cost that weighs nothing
    still decides between cases that are alike in the other.

    Args:
        costs: Shape (n, 2), NaN where not known; smaller is better, on scales that every case shares.
        allowed: Shape (n,).
        share: Weight of the first cost, 0 to 1.
    """
    weighed = [weight * cost for weight, cost in ((share, costs[:, 0]), (1 - share, costs[:, 1])) if weight > 0]
    scores = np.sum(weighed, axis=0)
    order = [int(i) for i in np.lexsort((np.nan_to_num(costs, nan=np.inf).sum(axis=1), scores)) if not np.isnan(scores[i])]
    good = [i for i in order if allowed[i]]
    best = good[0] if good else None
    refused = tuple(i for i in order if not allowed[i] and (best is None or scores[i] < scores[best]))
    below, above = (None, None) if best is None else _flips(costs, [i for i in good if not np.isnan(costs[i]).any()], best, share)
    return Choice(scores, best, good[1] if len(good) > 1 else None, refused, below, above)


def _flips(costs: Floats, good: Sequence[int], best: int, share: float) -> tuple[ChoiceChange | None, ChoiceChange | None]:
    """The nearest weights on either side at which another case scores as well as the best, and scores better beyond."""
    lines = [(i, *(costs[i] - costs[best])) for i in good if i != best]
    # Lead of i at share s: second + s (first - second); it falls with s where first < second, and is 0 at the crossing.
    crossings = [(-second / (first - second), first - second, i) for i, first, second in lines if first != second]
    above = min(((at, slope, i) for at, slope, i in crossings if slope < 0 and share <= at < 1), default=None)
    below = max(((at, slope, i) for at, slope, i in crossings if slope > 0 and 0 < at <= share), default=None)
    return below and ChoiceChange(float(below[0]), below[2]), above and ChoiceChange(float(above[0]), above[2])


def leads(scores: Sequence[Floats], best: int, shared: Floats, q: float = FIXED) -> list[Interval]:
    """By how much the best leads each of the others, over launches: separated where the lower bound is above 0.

    Welch's t of the launches' scores (Welch 1947), the shared uncertainty added in quadrature. The best was picked because it
    looked best, so each of the m - 1 others is judged at .025 / (m - 1) one-sided, .005 / (m - 1) after a stopping rule
    (Bonferroni): with m identical cases a lead is told in at most 5 % of the runs.

    Args:
        scores: Of each of m cases the score of each launch, shape (R,).
        best: Index of the one that leads.
        shared: Standard uncertainty of each lead from what the launches share, such as a sensor's offset, shape (m,).
        q: `interval.FIXED` or `interval.STOPPED`.

    Returns:
        One a case, of the best itself 0 without bounds; the bounds are NaN where either has a single launch.
    """
    from scipy.special import stdtrit  # the quantile of t

    alpha = (0.025 if q == FIXED else 0.005) / max(1, len(scores) - 1)
    found = []
    for i, own in enumerate(scores):
        lead = float(np.mean(own) - np.mean(scores[best]))
        if i == best or min(len(own), len(scores[best])) < 2:
            found.append(Interval(lead, float("nan"), float("nan")))
            continue
        parts = [(float(np.var(each - each[0], ddof=1)) / len(each), len(each) - 1) for each in (own, scores[best])]
        square = sum(part for part, _ in parts) + float(shared[i]) ** 2
        scatter = sum(part**2 / freedom for part, freedom in parts)
        half = float(stdtrit(square**2 / scatter if scatter else np.inf, 1 - alpha) * np.sqrt(square))
        found.append(Interval(lead, lead - half, lead + half))
    return found


def nearest_miss(shortfalls: Floats) -> int | None:
    """The case whose worst relative shortfall is smallest; of equal ones that with the smaller sum, then the first.

    Args:
        shortfalls: Shape (n, k): of each of k limits by what share it is missed, 0 where it is kept, infinite where it is not known.

    Returns:
        Null where there is no case.
    """
    if not len(shortfalls):
        return None
    return int(np.lexsort((shortfalls.sum(axis=1), shortfalls.max(axis=1)))[0])
