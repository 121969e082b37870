"""Tests of whether later or warmer launches of the same case use another energy, pooled over the cases of a run.

Each case's ln(energy) is centred and divided by its standard deviation, which depends on no order. With normal scatter such a vector is
spherically symmetric, so the t test of a slope keeps its size exactly, whatever the scatter of each case; block means make it hold where the
launches of a block share a disturbance, too. Of the two tests (order, start temperature) each has half of the level (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from harness.schema import Floats

LEVEL = 0.05
FEWEST_BLOCKS = 3
FEWEST_WARMER_K = 1.0
"""Range of start temperatures within the cases below which they are not tested, K."""


class OrderEffect(NamedTuple):
    """A significant change of energy with the order or the start temperature of the launches.

    Attributes:
        by: What the energy changes with.
        change: Relative change of the energy from the first to the last block, or per kelvin.
        p: p-value of the slope, two-sided.
        cases: Number of cases.
        blocks: Number of launches of each.
    """

    by: Literal["order", "start temperature"]
    change: float
    p: float
    cases: int
    blocks: int


def order_effect(energies: Sequence[Sequence[float]], temperatures: Sequence[Sequence[float | None]] = ()) -> OrderEffect | None:
    """The more significant effect at 5 % for both tests; None if neither is significant, or there are too few launches.

    Args:
        energies: Energy of each launch in order of time, by case, J, all positive.
        temperatures: Start temperature of each launch, by case, degC; None: unknown; empty: not recorded.
    """
    rows, launches = _balanced(energies)
    if not rows:
        return None
    logs = np.log(np.array([energies[row][:launches] for row in rows], dtype=np.float64))
    centred = logs - logs.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, ddof=1)
    if np.any(deviation <= 0):  # without scatter, as of a simulation, nothing can be tested
        return None
    scaled = centred / deviation[:, None]
    effects = [_by_order(centred, scaled)]
    known = [list(temperatures[row][:launches]) for row in rows] if temperatures else []
    if known and all(len(row) == launches and None not in row for row in known):
        effects.append(_by_temperature(centred, scaled, np.array(known, dtype=np.float64)))
    significant = [effect for effect in effects if effect and effect.p <= LEVEL / 2]
    return min(significant, key=lambda effect: effect.p, default=None)


def _balanced(energies: Sequence[Sequence[float]]) -> tuple[list[int], int]:
    """Cases with at least as many launches as are used of each, such that most launches are used."""
    counts = [len(each) for each in energies]
    choices = [(sum(count >= n for count in counts) * (n - FEWEST_BLOCKS + 1), n) for n in set(counts) if n >= FEWEST_BLOCKS]
    if not choices:
        return [], 0
    _, launches = max(choices)
    return [row for row, count in enumerate(counts) if count >= launches], launches


def _by_order(centred: Floats, scaled: Floats) -> OrderEffect | None:
    """Slope of the block means over the number of the block; R - 2 degrees of freedom."""
    cases, blocks = scaled.shape
    block = np.arange(blocks) - (blocks - 1) / 2
    p = _slope(block, scaled.mean(axis=0), blocks - 2)
    change = float(np.sum(block * centred.mean(axis=0)) / np.sum(block * block)) * (blocks - 1)
    return None if p is None else OrderEffect("order", float(np.expm1(change)), p, cases, blocks)


def _by_temperature(centred: Floats, scaled: Floats, degc: Floats) -> OrderEffect | None:
    """Slope over the start temperature relative to that of the case and of the block, so that a drift of the room does not count."""
    cases, blocks = scaled.shape
    x, y, raw = (_residual(each) for each in (degc, scaled, centred))
    freedom = (cases - 1) * (blocks - 1) - 1
    if freedom < 1 or float(np.ptp(x)) < FEWEST_WARMER_K:
        return None
    p = _slope(x, y, freedom)
    change = float(np.expm1(np.sum(x * raw) / np.sum(x * x)))
    return None if p is None else OrderEffect("start temperature", change, p, cases, blocks)


def _slope(x: Floats, y: Floats, freedom: int) -> float | None:
    """Two-sided p-value of the slope of centred values; None without scatter."""
    from scipy.special import stdtr  # distribution of t

    slope = float(np.sum(x * y) / np.sum(x * x))
    variance = float(np.sum((y - slope * x) ** 2) / freedom)
    if variance <= 0:
        return None
    return 2 * float(stdtr(freedom, -abs(slope) / np.sqrt(variance / np.sum(x * x))))


def _residual(values: Floats) -> Floats:
    """Values without the means of their case and their block."""
    rows, columns = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    return np.asarray(values - rows - columns + values.mean())
