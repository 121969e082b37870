"""Verdicts on many ratios, each tested for difference and equivalence, with a familywise error rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Verdict = Literal["better", "worse", "same", "not separated"]
PValues = tuple[float, float]
"""p-values of difference and equivalence of one ratio."""


def shaffer(p: Sequence[PValues]) -> list[PValues]:
    """Adjusted p-values for a difference and an equivalence test of each of n ratios, with any dependence (Shaffer 1986, JASA 81, procedure S2).

    The null hypotheses of one ratio (it is 1; it is outside the margin) exclude each other, so at most one of them is true: of the 2 n hypotheses
    at most as many are true as there are ratios with a test that is not yet rejected, t, and the smallest p-value of those left is multiplied
    by t instead of Holm's number of tests left. Proof: before the first wrong rejection all k <= t true hypotheses are left, so that it needs a
    p-value of a true hypothesis of at most alpha / t <= alpha / k, which has probability alpha at most (Bonferroni over these k).
    """
    tests = sorted((each, ratio, kind) for ratio, pair in enumerate(p) for kind, each in enumerate(pair))
    adjusted, left, highest = [[1.0, 1.0] for _ in p], [2] * len(p), 0.0
    open_ratios = len(p)
    for each, ratio, kind in tests:
        highest = max(highest, min(1.0, open_ratios * each))
        adjusted[ratio][kind] = highest
        left[ratio] -= 1
        open_ratios -= left[ratio] == 0
    return [(differs, same) for differs, same in adjusted]


def holm(p: Sequence[PValues]) -> list[PValues]:
    """As `shaffer`, without the relation between the tests (Holm 1979, Scand. J. Stat. 6): for reports that were drawn before it."""
    flat = np.asarray(p, dtype=np.float64).ravel()
    order = np.argsort(flat)
    adjusted = np.empty(len(flat))
    adjusted[order] = np.minimum(np.maximum.accumulate(flat[order] * np.arange(len(flat), 0, -1)), 1.0)
    return [(float(differs), float(same)) for differs, same in adjusted.reshape(-1, 2)]


Adjustment = Callable[[Sequence[PValues]], list[PValues]]


def p_values(d: float, u: float, nu: float, margin: float) -> PValues:
    """p-values of difference (two-sided) and equivalence (the larger of two one-sided tests: TOST, Schuirmann 1987).

    Args:
        d: Logarithm of a ratio, smaller is better.
        u: Standard uncertainty of d, above 0.
        nu: Degrees of freedom of u.
        margin: Equivalence margin, a logarithm.
    """
    from scipy.special import stdtr  # a fiftieth of the time of `scipy.stats`

    differs = 2 * float(stdtr(nu, -abs(d) / u))
    same = max(float(stdtr(nu, (d - margin) / u)), float(stdtr(nu, -(d + margin) / u)))
    return differs, same


def verdicts(
    ratios: Sequence[tuple[float, float, float]], margin: float, alpha: float = 0.05, adjust: Adjustment = shaffer
) -> list[Verdict]:
    """A verdict for each ratio; the probability that any is wrong is at most `alpha` (Shaffer over both tests of all ratios).

    Args:
        ratios: (d, u, nu) of each ratio, as for `p_values`.
        margin: Equivalence margin, a logarithm, above 0.
        alpha: Familywise error: .05 at a fixed number of launches, .01 after a stopping rule (measurement.md, section 5).
        adjust: Adjustment of the p-values.
    """
    adjusted = adjust([p_values(d, u, nu, margin) for d, u, nu in ratios])
    return [
        "same" if same < alpha else "not separated" if differs >= alpha else "better" if d < 0 else "worse"
        for (d, _, _), (differs, same) in zip(ratios, adjusted, strict=True)
    ]
