"""Verdicts on many ratios, each tested for difference and equivalence, with a familywise error rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Verdict = Literal["better", "worse", "same", "not separated"]


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values for a family of hypotheses with any dependence (Holm 1979, Scand. J. Stat. 6)."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)) if len(p) else np.zeros(0)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(each) for each in adjusted]


def p_values(d: float, u: float, nu: float, margin: float) -> tuple[float, float]:
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


def verdicts(ratios: Sequence[tuple[float, float, float]], margin: float, alpha: float = 0.05) -> list[Verdict]:
    """A verdict for each ratio; the probability that any is wrong is at most `alpha` (Holm over both tests of all ratios).

    Args:
        ratios: (d, u, nu) of each ratio, as for `p_values`.
        margin: Equivalence margin, a logarithm.
        alpha: Familywise error: .05 at a fixed number of launches, .01 after a stopping rule (measurement.md, section 5).
    """
    adjusted = holm([p for d, u, nu in ratios for p in p_values(d, u, nu, margin)])
    return [
        "same" if same < alpha else "not separated" if differs >= alpha else "better" if d < 0 else "worse"
        for (d, _, _), differs, same in zip(ratios, adjusted[::2], adjusted[1::2], strict=True)
    ]
