"""Estimates of several objectives for many cases -> who dominates whom, the front, and how surely each case is on it."""

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

ALPHA_AS_GOOD = 0.05
"""One-sided error of non-inferiority."""
CHUNK = 4_000_000
"""Pairs compared at once: some 32 MB an array."""


@dataclass(frozen=True)
class Objective:
    """One objective of n cases, smaller is better; arrays of shape (n,).

    Energy and latency come as the mean of their logarithms, so that the margin is relative; a quality that should be large comes negated.

    Attributes:
        mean: NaN where it is not known: such a case dominates nothing and is dominated by nothing.
        u: Standard error of the mean, 0 where it is exact.
        nu: Degrees of freedom of u, infinite where it is known.
        margin: How much worse is still as good.
    """

    mean: Floats
    u: Floats
    nu: Floats
    margin: float

    @classmethod
    def of_launches(cls, launches: Sequence[Sequence[float]], margin: float) -> Objective:
        """From positive values, one list of launches a case.

        Args:
            launches: Of each case; empty where nothing was measured.
            margin: Relative.
        """
        return cls.of_values([np.log(np.asarray(each, dtype=np.float64)) for each in launches], float(np.log1p(margin)))

    @classmethod
    def of_values(cls, launches: Sequence[Floats], margin: float) -> Objective:
        """From values whose differences count, one array of launches a case.

        Args:
            launches: Of each case, shape (R,); empty where nothing was measured.
            margin: In the values' own unit.
        """
        count = np.array([len(each) for each in launches])
        # From the first launch on, so that equal launches have exactly their value as mean, and no scatter out of rounding.
        mean = np.array([each[0] + np.mean(each - each[0]) if len(each) else np.nan for each in launches])
        # One launch says nothing of the spread: an infinite standard error separates it from nobody.
        u = np.array([np.std(each - each[0], ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.inf for each in launches])
        return cls(mean, u, np.maximum(count - 1, 1).astype(np.float64), margin)

    def __len__(self) -> int:
        """How many cases."""
        return len(self.mean)

    def shown(self, part: slice, alpha_better: float) -> tuple[Bools, Bools]:
        """(as good as the other within the margin, better than the other) of the cases of a part against all, by Welch's t."""
        difference, u, nu = _differences(self, part)
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

    def shown(self, part: slice, alpha_better: float) -> tuple[Bools, Bools]:
        """As `Objective.shown`, by the tests of `paired.as_good_and_better`."""
        as_good, better = as_good_and_better(self.losses, self.margin, alpha_better)
        return as_good[part], better[part]


def dominates(objectives: Sequence[Objective | PairedObjective], q: float = FIXED) -> Bools:
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


def unsettled(objectives: Sequence[Objective | PairedObjective], q: float = FIXED) -> Bools:
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
    # In lexicographic order nobody is dominated by a later row, so the first one left is always on the front.
    left = known[np.lexsort(points[known].T[::-1])]
    while len(left):
        first = left[0]
        on[first] = True
        rest = points[left]
        left = left[1:][~((points[first] <= rest[1:]).all(axis=1) & (points[first] < rest[1:]).any(axis=1))]
    return on


def p_front(launches: Sequence[Floats], shared: Floats | None = None, draws: int = 1000, seed: int = 0) -> Floats:
    """How often each case is on the front when its launches are drawn again.

    Each draw resamples the launches of every case with replacement, one choice for all its objectives because they come from
    the same launches, and widens the deviation from the mean by sqrt(R / (R - 1)), which a bootstrap of R values lacks
    (Efron & Tibshirani 1993, ch. 5). A single launch does not scatter. The sensor's gain and offset are common to all cases:
    they are drawn once a draw. A gain alone leaves the order as it is; an offset does not.

    Args:
        launches: Of each case, shape (R, k) with R >= 1, smaller is better, NaN where unknown (such a case is on no front).
        shared: Standard uncertainty that all cases of the run share in each objective, shape (m, n, k) for m independent
            sources: source j moves case i by z_j shared[j, i]; null: none.
        draws: How many.
        seed: Of the draws.

    Returns:
        Shape (n,), NaN for a case with an unknown objective.
    """
    rng = np.random.default_rng(seed)
    mean = np.array([np.asarray(np.mean(each, axis=0)) for each in launches])
    known = np.flatnonzero(~np.isnan(mean).any(axis=1))
    padded, count = _padded([launches[int(i)] for i in known])
    widen = np.sqrt(count / np.maximum(count - 1, 1))[:, None]
    moves = np.zeros((1, *mean.shape)) if shared is None else shared
    hits = np.zeros(len(known))
    for _ in range(draws):
        # A share of each case's launches by number, not by slot: a case of 5 and one of 30 stand in one array.
        chosen = (rng.random(padded.shape[:2]) * count[:, None]).astype(np.int64)
        values = np.take_along_axis(padded, chosen[:, :, None], axis=1)
        used = np.arange(padded.shape[1]) < count[:, None]
        drawn = (values * used[:, :, None]).sum(axis=1) / count[:, None]
        drawn = mean[known] + widen * (drawn - mean[known])
        hits += front(drawn + np.tensordot(rng.standard_normal(len(moves)), moves[:, known], axes=1))
    result = np.full(len(mean), np.nan)
    result[known] = hits / draws
    return result


def _shown(objectives: Sequence[Objective | PairedObjective], q: float) -> tuple[Bools, Bools]:
    """(as good as the other within every margin, better than the other on some objective), each shape (n, n)."""
    n = len(objectives[0])
    alpha_better = (0.025 if q == FIXED else 0.01) / len(objectives)
    as_good, better = np.ones((n, n), dtype=np.bool_), np.zeros((n, n), dtype=np.bool_)
    rows = max(1, CHUNK // max(n, 1))
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        for objective in objectives:
            part_as_good, part_better = objective.shown(part, alpha_better)
            as_good[part] &= part_as_good
            better[part] |= part_better
    return as_good, better


def _differences(objective: Objective, part: slice) -> tuple[Floats, Floats, Floats]:
    """(a - b, its standard error, Welch's degrees of freedom), shape (rows, n), of a chunk of rows a against all b."""
    mean, variance, nu = objective.mean, objective.u**2, objective.nu
    difference = mean[part, None] - mean[None, :]
    total = variance[part, None] + variance[None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = (variance**2 / nu)[part, None] + (variance**2 / nu)[None, :]
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


def _padded(launches: Sequence[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """Launches of unequal number in one array, shape (n, most, k), with their numbers."""
    count = np.array([len(each) for each in launches], dtype=np.int64)
    padded = np.zeros((len(launches), int(count.max(initial=1)), launches[0].shape[1] if launches else 1))
    for row, each in zip(padded, launches, strict=True):
        row[: len(each)] = each
    return padded, count
