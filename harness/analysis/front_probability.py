"""Probability that each case is on the Pareto front, by bootstrap over launches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.analysis.estimates import Bools, Indices, padded
from harness.analysis.pareto import RIVALS, front
from harness.schema import Floats

DRAWN = 1_000_000
"""Largest number of resampled fronts times cases."""
AT_ONCE = 200_000
"""Number of pairs that are compared at once, so that they stay in the processor's cache."""
FEW = 200
"""Number of cases up to which all pairs of a draw are compared."""
SIGMAS = 6
"""Distance in standard uncertainties at which a case is certainly beaten."""


def p_front(
    launches: Sequence[Floats],
    shared: Floats | None = None,
    draws: int = 1000,
    seed: int = 0,
    paired: tuple[int, Sequence[Floats]] | None = None,
) -> Floats:
    """Share of bootstrap resamples in which each case is on the front, shape (n,); NaN for a case with an unknown objective.

    Each draw resamples the launches of every case with replacement, with one choice for all objectives because they come from
    the same launches, and widens the deviation from the mean by sqrt(R / (R - 1)), which a bootstrap of R values lacks
    (Efron & Tibshirani 1993, ch. 5). A single launch does not scatter. The sensor's gain and offset are common to all cases and
    drawn once per draw: a gain alone keeps the order, an offset does not. For an objective that was scored on the same samples for all cases, the
    samples are resampled, the same ones for all.

    A case that another beats by six standard uncertainties of both on every objective is on no front and not resampled. Above
    1,000 remaining cases the number of draws is `DRAWN` over their number, at least 10; the steps of the result are one over the draws.

    Args:
        launches: Objectives of each launch of each case, smaller is better, NaN for unknown, shape (R, k) each with R >= 1.
        shared: Standard uncertainty that all cases of the run share in each objective, for m independent sources, shape (m, n, k):
            source j moves case i by z_j shared[j, i]. None: there is none.
        draws: Number of draws.
        seed: Seed of the draws.
        paired: Index of an objective that was scored on the same samples, and the loss of each sample of each case, shape (samples,) each.
            None: there is none.
    """
    array, count = padded(launches)
    mean = array.sum(axis=1) / count[:, None]
    moves = np.zeros((1, *mean.shape)) if shared is None else shared
    known = np.flatnonzero(~np.isnan(mean).any(axis=1))
    result = np.full(len(mean), np.nan)
    result[known] = 0.0
    used = (np.arange(array.shape[1]) < count[:, None])[:, :, None]
    square = (np.where(used, array - mean[:, None, :], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)[:, None]
    u = np.sqrt(square / count[:, None])
    losses = np.stack(paired[1]) if paired else np.zeros((len(mean), 0))
    if paired:
        u[:, paired[0]] = losses.std(axis=1) / np.sqrt(max(1, losses.shape[1] - 1))
    likely = known[_possible(mean[known], u[known] + np.abs(moves[:, known]).sum(axis=0))]
    if len(likely) == 1:
        result[likely] = 1.0
        return result
    scored = (paired[0], losses[likely]) if paired else None
    result[likely] = _share_on_front(np.random.default_rng(seed), draws, array[likely], count[likely], moves[:, likely], scored)
    return result


def _possible(mean: Floats, u: Floats) -> Bools:
    """Cases whose best value is not beaten by the worst value of any other."""
    best, worst = mean - SIGMAS * u, mean + SIGMAS * u
    possible = np.ones(len(mean), dtype=np.bool_)
    columns = np.ascontiguousarray(best.T)  # row by row, three values at a time, it would take ten times as long
    for i in np.flatnonzero(front(worst))[:RIVALS]:
        own = worst[i, :, None]
        possible &= ~((own <= columns).all(axis=0) & (own < columns).any(axis=0))
    return possible


def _share_on_front(
    rng: np.random.Generator, draws: int, array: Floats, count: Indices, moves: Floats, paired: tuple[int, Floats] | None
) -> Floats:
    """Share of the draws in which each case is on their front, shape (n,)."""
    n = len(array)
    draws = min(draws, max(10, DRAWN // max(1, n)))
    size = max(1, AT_ONCE // max(1, n) ** 2)
    hits = np.zeros(n)
    for start in range(0, draws, size):
        resampled = _resample(rng, min(size, draws - start), array, count, moves, paired)
        hits += (_by_pairs(resampled) if n <= FEW else np.stack([front(each) for each in resampled])).sum(axis=0)
    share: Floats = hits / draws
    return share


def _resample(
    rng: np.random.Generator, draws: int, array: Floats, count: Indices, moves: Floats, paired: tuple[int, Floats] | None
) -> Floats:
    """Objectives of each case in each draw, shape (draws, n, k)."""
    samples = paired[1].shape[1] if paired else 1
    # Draw by draw, so that the random numbers do not depend on how many draws are compared at once.
    numbers = [
        (
            rng.random(array.shape[:2]),
            rng.multinomial(samples, np.full(samples, 1 / samples)) if paired else 0,
            rng.standard_normal(len(moves)),
        )
        for _ in range(draws)
    ]
    launches, weights, shifts = (np.array(each) for each in zip(*numbers, strict=True))
    # The random numbers are scaled to each case's number of launches: cases of 5 and of 30 share one array.
    chosen = (launches * count[:, None]).astype(np.int64)
    used = (np.arange(array.shape[1]) < count[:, None])[:, :, None]
    values = array[np.arange(len(array))[:, None], chosen]
    mean = array.sum(axis=1) / count[:, None]
    widen = np.sqrt(count / np.maximum(count - 1, 1))[:, None]
    resampled: Floats = mean + widen * ((values * used).sum(axis=2) / count[:, None] - mean)
    if paired:
        column, losses = paired
        resampled[:, :, column] = weights @ losses.T / samples
    return resampled + np.tensordot(shifts, moves, axes=1)


def _by_pairs(values: Floats) -> Bools:
    """The fronts of many small sets by comparing all pairs, shape (sets, n) for values of shape (sets, n, k)."""
    as_good = np.logical_and.reduce([each[:, :, None] <= each[:, None, :] for each in np.moveaxis(values, 2, 0)])
    beaten: Bools = (as_good & ~as_good.swapaxes(1, 2)).any(axis=1)
    return ~beaten
