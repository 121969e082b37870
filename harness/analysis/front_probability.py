"""Launches of several objectives for many cases -> how surely each case is on the front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.analysis.pareto import RIVALS, Bools, Floats, Part, front, padded

DRAWN = 1_000_000
"""Draws of the front times cases, at most."""
AT_ONCE = 200_000
"""Pairs compared at once: they stay in the processor's cache."""
FEW = 200
"""Up to so many cases every pair of a draw is compared."""


def p_front(
    launches: Sequence[Floats],
    shared: Floats | None = None,
    draws: int = 1000,
    seed: int = 0,
    paired: tuple[int, Sequence[Floats]] | None = None,
) -> Floats:
    """How often each case is on the front when its launches are drawn again.

    Each draw resamples the launches of every case with replacement, one choice for all its objectives because they come from
    the same launches, and widens the deviation from the mean by sqrt(R / (R - 1)), which a bootstrap of R values lacks
    (Efron & Tibshirani 1993, ch. 5). A single launch does not scatter. The sensor's gain and offset are common to all cases:
    they are drawn once a draw. A gain alone leaves the order as it is; an offset does not. Of an objective that all cases were
    judged in on the same samples the samples are drawn again, the same ones for all.

    A case that another beats by six standard uncertainties of both on every objective is not drawn: it is on no front. Of more
    than 1,000 that are left fewer draws are taken, `DRAWN` over their number, at least 10: its steps are then coarse, one over the draws.

    Args:
        launches: Of each case, shape (R, k) with R >= 1, smaller is better, NaN where unknown (such a case is on no front).
        shared: Standard uncertainty that all cases of the run share in each objective, shape (m, n, k) for m independent
            sources: source j moves case i by z_j shared[j, i]; null: none.
        draws: How many.
        seed: Of the draws.
        paired: Which objective was judged on the same samples, and the loss of each sample of each case, shape (samples,); null: none.

    Returns:
        Shape (n,), NaN for a case with an unknown objective.
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
    drawn = known[_possible(mean[known], u[known] + np.abs(moves[:, known]).sum(axis=0))]
    again = (paired[0], losses[drawn]) if paired else None
    result[drawn] = _share_on_front(np.random.default_rng(seed), draws, array[drawn], count[drawn], moves[:, drawn], again)
    return result


def _possible(mean: Floats, u: Floats) -> Bools:
    """Which may be on the front of any draw: nobody's worst beats their best, each six standard uncertainties away."""
    best, worst = mean - 6 * u, mean + 6 * u
    possible = np.ones(len(mean), dtype=np.bool_)
    columns = np.ascontiguousarray(best.T)  # row by row, three values at a time, it would take ten times as long
    for i in np.flatnonzero(front(worst))[:RIVALS]:
        own = worst[i, :, None]
        possible &= ~((own <= columns).all(axis=0) & (own < columns).any(axis=0))
    return possible


def _share_on_front(
    rng: np.random.Generator, draws: int, array: Floats, count: Part, moves: Floats, paired: tuple[int, Floats] | None
) -> Floats:
    """How often each of these is on the front of these, of (possibly fewer) draws."""
    n = len(array)
    draws = min(draws, max(10, DRAWN // max(1, n)))
    size = max(1, AT_ONCE // max(1, n) ** 2)
    hits = np.zeros(n)
    for start in range(0, draws, size):
        drawn = _drawn(rng, min(size, draws - start), array, count, moves, paired)
        hits += (_by_pairs(drawn) if n <= FEW else np.stack([front(each) for each in drawn])).sum(axis=0)
    share: Floats = hits / draws
    return share


def _drawn(rng: np.random.Generator, draws: int, array: Floats, count: Part, moves: Floats, paired: tuple[int, Floats] | None) -> Floats:
    """The objectives of each case in each draw, shape (draws, n, k)."""
    samples = paired[1].shape[1] if paired else 1
    # Draw by draw: what is drawn does not depend on how many are compared at once.
    numbers = [
        (
            rng.random(array.shape[:2]),
            rng.multinomial(samples, np.full(samples, 1 / samples)) if paired else 0,
            rng.standard_normal(len(moves)),
        )
        for _ in range(draws)
    ]
    launches, weights, shifts = (np.array(each) for each in zip(*numbers, strict=True))
    # A share of each case's launches by number, not by slot: a case of 5 and one of 30 stand in one array.
    chosen = (launches * count[:, None]).astype(np.int64)
    used = (np.arange(array.shape[1]) < count[:, None])[:, :, None]
    values = array[np.arange(len(array))[:, None], chosen]
    mean = array.sum(axis=1) / count[:, None]
    widen = np.sqrt(count / np.maximum(count - 1, 1))[:, None]
    drawn: Floats = mean + widen * ((values * used).sum(axis=2) / count[:, None] - mean)
    if paired:
        column, losses = paired
        drawn[:, :, column] = weights @ losses.T / samples
    return drawn + np.tensordot(shifts, moves, axes=1)


def _by_pairs(values: Floats) -> Bools:
    """Who is on the front of each of many small sets, shape (sets, n, k): whom no other beats or equals everywhere and beats somewhere."""
    as_good = np.logical_and.reduce([each[:, :, None] <= each[:, None, :] for each in np.moveaxis(values, 2, 0)])
    beaten: Bools = (as_good & ~as_good.swapaxes(1, 2)).any(axis=1)
    return ~beaten
