"""Pareto dominance between cases with uncertain objectives, groups of cases that are not separated, and the front."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from harness.analysis.estimates import Bools, Estimates, Indices, PairedObjective
from harness.analysis.interval import FIXED
from harness.schema import Floats

Objectives = Sequence[Estimates | PairedObjective]
CHUNK = 4_000_000
"""Number of pairs that are compared at once: some 32 MB per array."""
ALL_PAIRS = 2_000
"""Number of cases up to which all pairs are compared."""
RIVALS = 150
"""Largest number of cases that each case is compared with, if there are more cases."""


def dominates(objectives: Objectives, q: float = FIXED) -> Bools:
    """Which case dominates which, shape (n, n): [a, b] is True if a dominates b.

    A dominates B when on every objective it is non-inferior within the margin (one-sided 95 %) and on at least one better
    (one-sided .025 / k of k objectives, .01 / k after a stopping rule). For two identical variants point estimates name a
    winner in 25-50 %, this rule in 0.1-4.4 %.

    Args:
        objectives: k objectives of the same n cases.
        q: How the launches were ended, `interval.FIXED` or `interval.STOPPED`.
    """
    as_good, better = _compare_all(objectives, q)
    return as_good & better


def dominated(objectives: Objectives, q: float = FIXED) -> Bools:
    """Which cases are dominated by any other, shape (n,): as `dominates`, without an array of all pairs for many cases.

    Up to `ALL_PAIRS` cases all pairs are compared. Above, each case is compared only with those on the front of the point estimates
    and those on the front of the upper bounds (mean + 2 u), at most `RIVALS` of them. A case that is dominated only by a case
    off both fronts is then reported as not dominated; the opposite error cannot happen.
    """
    n = len(objectives[0].mean)
    if n <= ALL_PAIRS:
        return np.asarray(np.any(dominates(objectives, q), axis=0))
    means, margins = np.stack([each.mean for each in objectives]), np.array([[each.margin] for each in objectives])
    beaten = np.zeros(n, dtype=np.bool_)
    for rival in _rivals(objectives):
        # A case whose mean is not as good within the margin cannot be shown to be so.
        columns = np.flatnonzero(~beaten & (means[:, [rival]] - means <= margins).all(axis=0))
        if len(columns):
            as_good, better = _compare(objectives, np.array([rival]), columns, q)
            beaten[columns] = (as_good & better)[0]
    return beaten


def groups(objectives: Objectives, members: Indices, q: float = FIXED) -> list[Indices]:
    """Groups of two or more of the member indices that are not separated: linked by pairs of which neither is better on any objective.

    Single linkage: the ends of a long chain may be separated although neighbours are not.
    """
    from scipy.sparse.csgraph import connected_components

    if len(members) > ALL_PAIRS:
        return []
    _, better = _compare(objectives, members, members, q)
    count, label = connected_components(~better & ~better.T, directed=False)
    linked = [members[label == k] for k in range(count)]
    return [each for each in linked if len(each) > 1]


def unsettled(objectives: Objectives, q: float = FIXED) -> Bools:
    """Open pairs, shape (n, n): [i, j] is True as long as j may still turn out to dominate i.

    That is so if neither is dominated by any case, i is not better than j on some objective, and the two are not equal within the margins,
    each by the tests of `dominates`. A case with NaN would stay open for ever.
    """
    as_good, better = _compare_all(objectives, q)
    alive = ~np.any(as_good & better, axis=0, keepdims=True)
    equal = as_good & as_good.T
    pairs: Bools = ~better & ~equal & alive & alive.T & ~np.eye(len(better), dtype=np.bool_)
    return pairs


def front(points: Floats) -> Bools:
    """Rows on the front, shape (n,): no other row is at least as good everywhere and better somewhere.

    Args:
        points: Shape (n, k), smaller is better; a row with NaN is never on the front, equal rows are on it together.
    """
    on = np.zeros(len(points), dtype=np.bool_)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    # In lexicographic order no row is dominated by a later one.
    left = known[np.lexsort(points[known].T[::-1])]
    if points.shape[1] == 3 and len(left) > ALL_PAIRS:
        on[left[_staircase(points[left])]] = True
        return on
    while len(left):
        first, rest = points[left[0]], points[left[1:]]
        on[left[0]] = True
        left = left[1:][~((first <= rest).all(axis=1) & (first < rest).any(axis=1))]
    return on


def _staircase(points: Floats) -> Bools:
    """The front of three objectives in n log n: rows in lexicographic order against the lower staircase of the other two (Kung, Luccio & Preparata 1975)."""
    on = np.zeros(len(points), dtype=np.bool_)
    steps, heights = [-np.inf], [np.inf]
    before: tuple[float, ...] | None = None
    for i, (first, x, y) in enumerate(zip(*points.T.tolist(), strict=True)):
        same = before == (first, x, y)
        on[i] = on[i - 1] if same else heights[bisect_right(steps, x) - 1] > y
        before = (first, x, y)
        if on[i] and not same:
            # The new step hides those to its right that are as high or higher.
            start = end = bisect_left(steps, x)
            while end < len(steps) and heights[end] >= y:
                end += 1
            steps[start:end], heights[start:end] = [x], [y]
    return on


def _rivals(objectives: Objectives) -> Indices:
    """Cases that may dominate: the fronts of the point estimates and of the upper bounds, limited to those of the smallest rank sum."""
    means = np.column_stack([each.mean for each in objectives])
    upper = means + 2 * np.column_stack([each.u for each in objectives])
    rivals = np.flatnonzero(front(means) | front(np.where(np.isfinite(upper), upper, np.nan)))
    if len(rivals) <= RIVALS:
        return rivals
    ranks = np.argsort(np.argsort(means[rivals], axis=0), axis=0).sum(axis=1)
    return rivals[np.sort(np.argsort(ranks, kind="stable")[:RIVALS])]


def _compare_all(objectives: Objectives, q: float) -> tuple[Bools, Bools]:
    """As `_compare`, of all n cases against each other, shape (n, n), in chunks."""
    n = len(objectives[0].mean)
    every, size = np.arange(n), max(1, CHUNK // max(n, 1))
    parts = [_compare(objectives, every[start : start + size], every, q) for start in range(0, n, size)]
    blank = np.zeros((0, n), dtype=np.bool_)
    return np.concatenate([blank, *(each[0] for each in parts)]), np.concatenate([blank, *(each[1] for each in parts)])


def _compare(objectives: Objectives, rows: Indices, columns: Indices, q: float) -> tuple[Bools, Bools]:
    """(as good within every margin, better on some objective) of some cases against others, shape (rows, columns)."""
    alpha_better = (0.025 if q == FIXED else 0.01) / len(objectives)
    tests = [objective.compare(rows, columns, alpha_better) for objective in objectives]
    return np.logical_and.reduce([each[0] for each in tests]), np.logical_or.reduce([each[1] for each in tests])
