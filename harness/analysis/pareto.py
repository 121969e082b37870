"""Estimates of several objectives for many cases -> who dominates whom, who is not separated, and the front."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.interval import FIXED
from harness.analysis.paired import as_good_and_better

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Part = NDArray[np.int64]

ALPHA_AS_GOOD = 0.05
"""One-sided error of non-inferiority."""
CHUNK = 4_000_000
"""Pairs compared at once: some 32 MB an array."""
ALL_PAIRS = 2_000
"""Up to so many cases every pair is compared."""
RIVALS = 150
"""With how many each of more cases is compared at most."""


@dataclass(frozen=True)
class Estimates:
    """One objective of n cases, smaller is better; arrays of shape (n,).

    Energy and latency come as the mean of their logarithms, so that the margin is relative; a quality that should be large comes negated.

    Attributes:
        mean: NaN where it is not known: such a case dominates nothing and is dominated by nothing.
        u: Standard error of the mean, 0 where it is exact.
        nu: Degrees of freedom of u, infinite where it is known.
        margin: How much worse is still as good.
        common: How far one standard uncertainty of each of m errors that the cases share, such as the gain of a sensor, moves each case,
            shape (n, m): what moves two of them alike cancels between them; null: none.
    """

    mean: Floats
    u: Floats
    nu: Floats
    margin: float
    common: Floats | None = None

    @classmethod
    def of_launches(cls, launches: Sequence[Sequence[float]], margin: float) -> Estimates:
        """From positive values, one list of launches a case.

        Args:
            launches: Of each case; empty where nothing was measured.
            margin: Relative.
        """
        return cls.of_values([np.log(np.asarray(each, dtype=np.float64)) for each in launches], float(np.log1p(margin)))

    @classmethod
    def of_values(cls, launches: Sequence[Floats], margin: float) -> Estimates:
        """From values whose differences count, one array of launches a case.

        Args:
            launches: Of each case, shape (R,); empty where nothing was measured.
            margin: In the values' own unit.
        """
        array, count = padded([each[:, None] for each in launches])
        first, used = array[:, 0, 0], np.arange(array.shape[1]) < count[:, None]
        # From the first launch on, so that equal launches have exactly their value as mean, and no scatter out of rounding.
        beyond = np.where(used, array[:, :, 0] - first[:, None], 0.0)
        shift = beyond.sum(axis=1) / np.maximum(count, 1)
        square = (np.where(used, beyond - shift[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
        mean = np.where(count > 0, first + shift, np.nan)
        # One launch says nothing of the spread: an infinite standard error separates it from nobody.
        u = np.where(count > 1, np.sqrt(square / np.maximum(count, 1)), np.inf)
        return cls(mean, u, np.maximum(count - 1, 1).astype(np.float64), margin)

    def __len__(self) -> int:
        """How many cases."""
        return len(self.mean)

    def shown(self, rows: Part, columns: Part, alpha_better: float) -> tuple[Bools, Bools]:
        """(as good as the other within the margin, better than the other) of some cases against others, by Welch's t."""
        difference, u, nu = _differences(self, rows, columns)
        return difference + _t(ALPHA_AS_GOOD, nu) * u <= self.margin, difference + _t(alpha_better, nu) * u < 0


@dataclass(frozen=True)
class PairedObjective:
    """An objective that all cases were judged in on the same samples, such as quality; smaller is better.

    Attributes:
        losses: Of each case the loss of each sample, shape (samples,) with at least two.
        margin: How much worse is still as good, in the loss's own unit.
    """

    losses: Sequence[Floats]
    margin: float

    def __len__(self) -> int:
        """How many cases."""
        return len(self.losses)

    @functools.cached_property
    def mean(self) -> Floats:
        """Of each case, shape (n,)."""
        return np.asarray(np.mean(self._stacked, axis=1))

    @functools.cached_property
    def u(self) -> Floats:
        """Standard error of each mean by itself, shape (n,)."""
        return np.asarray(np.std(self._stacked, axis=1, ddof=1) / np.sqrt(self._stacked.shape[1]))

    @functools.cached_property
    def _stacked(self) -> Floats:
        return np.stack(self.losses)

    def shown(self, rows: Part, columns: Part, alpha_better: float) -> tuple[Bools, Bools]:
        """As `Objective.shown`, by the tests of `paired.as_good_and_better`."""
        return as_good_and_better(self._stacked[rows], self._stacked[columns], self.margin, alpha_better)


def dominates(objectives: Sequence[Estimates | PairedObjective], q: float = FIXED) -> Bools:
    """Which case is shown to dominate which.

    A dominates B when on every objective it is non-inferior within the margin (one-sided 95 %) and on at least one better
    (one-sided .025 / k of k objectives, .01 / k after a stopping rule). For two identical variants point estimates name a
    winner in 25-50 %, this rule in 0.1-4.4 %.

    Args:
        objectives: k of them, over the same n cases.
        q: `stopping.FIXED` or `stopping.STOPPED`: how the launches were ended.

    Returns:
        Shape (n, n): [a, b] is True where a dominates b.
    """
    as_good, better = _shown(objectives, q)
    return as_good & better


def dominated(objectives: Sequence[Estimates | PairedObjective], q: float = FIXED) -> Bools:
    """Which cases are shown to be dominated by any other, without an array of all pairs where there are many.

    Up to `ALL_PAIRS` cases every pair is compared. Above, each case is compared only with those on the front of the estimates
    and those on the front of the upper bounds (mean + 2 u), at most `RIVALS` of them. What is given up: a case that only a rival
    off both fronts would show to be dominated is told as not dominated. An error is always that way: nothing is claimed that
    all pairs would not show.

    Args:
        objectives: As for `dominates`.
        q: As for `dominates`.

    Returns:
        Shape (n,).
    """
    n = len(objectives[0])
    if n <= ALL_PAIRS:
        every: Bools = np.any(dominates(objectives, q), axis=0)
        return every
    means, margins = np.stack([each.mean for each in objectives]), np.array([[each.margin] for each in objectives])
    found = np.zeros(n, dtype=np.bool_)
    for rival in _rivals(objectives):
        # Nobody is shown to be as good within the margin whose mean is not.
        columns = np.flatnonzero(~found & (means[:, [rival]] - means <= margins).all(axis=0))
        if len(columns):
            as_good, better = _compared(objectives, np.array([rival]), columns, q)
            found[columns] = (as_good & better)[0]
    return found


def _rivals(objectives: Sequence[Estimates | PairedObjective]) -> Part:
    """Who may dominate: the best by the estimates and by the upper bounds, those of the least rank sum where they are too many."""
    means = np.column_stack([each.mean for each in objectives])
    upper = means + 2 * np.column_stack([each.u for each in objectives])
    found = np.flatnonzero(front(means) | front(np.where(np.isfinite(upper), upper, np.nan)))
    if len(found) <= RIVALS:
        return found
    ranks = np.argsort(np.argsort(means[found], axis=0), axis=0).sum(axis=1)
    return found[np.sort(np.argsort(ranks, kind="stable")[:RIVALS])]


def groups(objectives: Sequence[Estimates | PairedObjective], members: Part, q: float = FIXED) -> list[Part]:
    """Cases that are not separated from each other: linked by pairs of which neither is shown better on any objective.

    Single linkage: the ends of a long chain may be separated though no link of it is.

    Args:
        objectives: Over all cases.
        members: Those that are looked at, such as the ones that are not dominated.
        q: As for `dominates`.

    Returns:
        Groups of two or more, each in order.
    """
    from scipy.sparse.csgraph import connected_components

    if len(members) > ALL_PAIRS:
        return []
    _, better = _compared(objectives, members, members, q)
    _, label = connected_components(~better & ~better.T, directed=False)
    found = [members[label == k] for k in range(int(label.max(initial=-1)) + 1)]
    return [each for each in found if len(each) > 1]


def unsettled(objectives: Sequence[Estimates | PairedObjective], q: float = FIXED) -> Bools:
    """Which pairs are open: where it is not yet told whether one case dominates the other.

    [i, j] is open where neither is shown to be dominated by any case, i is not shown to be better than j on some objective
    (so that j may still dominate it), and the two are not shown to be equal within the margins.

    Args:
        objectives: k of them, over the same n cases, all known: a case with NaN would stay open for ever.
        q: As for `dominates`.

    Returns:
        Shape (n, n), False on the diagonal.
    """
    as_good, better = _shown(objectives, q)
    alive = ~np.any(as_good & better, axis=0, keepdims=True)
    equal = as_good & as_good.T
    pairs: Bools = ~better & ~equal & alive & alive.T & ~np.eye(len(better), dtype=np.bool_)
    return pairs


def front(points: Floats) -> Bools:
    """The point-estimate front: which rows no other row beats or equals everywhere and beats somewhere.

    Args:
        points: Shape (n, k), smaller is better; a row with NaN is never on the front.

    Returns:
        Shape (n,). Of equal rows all are on it.
    """
    on = np.zeros(len(points), dtype=np.bool_)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    # In lexicographic order nobody is dominated by a later row.
    order = known[np.lexsort(points[known].T[::-1])]
    if points.shape[1] == 3 and len(order) > ALL_PAIRS:
        on[order[_staircase(points[order])]] = True
        return on
    left = order
    while len(left):
        first = left[0]
        on[first] = True
        rest = points[left]
        left = left[1:][~((points[first] <= rest[1:]).all(axis=1) & (points[first] < rest[1:]).any(axis=1))]
    return on


def _staircase(points: Floats) -> Bools:
    """The front of three objectives in n log n: rows in lexicographic order against the lower staircase of the other two (Kung, Luccio & Preparata 1975)."""
    from bisect import bisect_left, bisect_right

    on = np.zeros(len(points), dtype=np.bool_)
    steps, heights = [-np.inf], [np.inf]
    before: tuple[float, ...] | None = None
    for i, (first, x, y) in enumerate(zip(*points.T.tolist(), strict=True)):
        at = bisect_right(steps, x)
        same = before == (first, x, y)
        on[i] = on[i - 1] if same else heights[at - 1] > y
        before = (first, x, y)
        if on[i] and not same:
            # The new step hides those to its right that are as high or higher.
            start = bisect_left(steps, x)
            end = start
            while end < len(steps) and heights[end] >= y:
                end += 1
            steps[start:end], heights[start:end] = [x], [y]
    return on


def _shown(objectives: Sequence[Estimates | PairedObjective], q: float) -> tuple[Bools, Bools]:
    """(as good as the other within every margin, better than the other on some objective), each shape (n, n)."""
    n = len(objectives[0])
    every, size = np.arange(n), max(1, CHUNK // max(n, 1))
    parts = [_compared(objectives, every[start : start + size], every, q) for start in range(0, n, size)]
    blank = np.zeros((0, n), dtype=np.bool_)
    return np.concatenate([blank, *(each[0] for each in parts)]), np.concatenate([blank, *(each[1] for each in parts)])


def _compared(objectives: Sequence[Estimates | PairedObjective], rows: Part, columns: Part, q: float) -> tuple[Bools, Bools]:
    """As `_shown`, of some cases against others, shape (rows, columns)."""
    alpha_better = (0.025 if q == FIXED else 0.01) / len(objectives)
    shown = [objective.shown(rows, columns, alpha_better) for objective in objectives]
    return np.logical_and.reduce([each[0] for each in shown]), np.logical_or.reduce([each[1] for each in shown])


def _differences(objective: Estimates, rows: Part, columns: Part) -> tuple[Floats, Floats, Floats]:
    """(a - b, its standard error, Welch's degrees of freedom), shape (rows, columns), of cases a against cases b."""
    mean, variance, nu = objective.mean, objective.u**2, objective.nu
    difference = mean[rows, None] - mean[None, columns]
    total = variance[rows, None] + variance[None, columns]
    for move in () if objective.common is None else objective.common.T:
        total = total + (move[rows, None] - move[None, columns]) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = (variance**2 / nu)[rows, None] + (variance**2 / nu)[None, columns]
        degrees = np.where((scatter > 0) & np.isfinite(scatter), total**2 / scatter, np.inf)
    return difference, np.sqrt(total), degrees


def _t(alpha: float, nu: Floats) -> Floats:
    """Upper one-sided quantile of t for many degrees of freedom, rounded down to whole ones: a table is a thousand times quicker, and errs to the safe side."""
    table = _t_table(alpha)
    whole = np.clip(np.nan_to_num(nu, posinf=1e9), 1, 200).astype(np.int64)
    return np.where(np.isinf(nu), table[-1], table[whole - 1])


@functools.cache
def _t_table(alpha: float) -> Floats:
    """Upper quantiles of t for 1 to 200 degrees of freedom, and last that of the normal distribution."""
    from scipy.stats import norm, t

    return np.append(t.isf(alpha, np.arange(1, 201)), norm.isf(alpha))


def padded(launches: Sequence[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """Launches of unequal number in one array, shape (n, most, k), 0 where a case has fewer, with their numbers."""
    count = np.array([len(each) for each in launches], dtype=np.int64)
    used = np.arange(int(count.max(initial=1))) < count[:, None]
    array = np.zeros((*used.shape, launches[0].shape[1] if launches else 1))
    if launches:
        array[used] = np.concatenate(launches)
    return array, count
