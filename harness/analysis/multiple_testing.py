"""Many ratios, each tested for a difference and for sameness -> verdicts that hold together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Verdict = Literal["better", "worse", "same", "not separated"]


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold for the whole family however its members depend on each other (Holm 1979, Scand. J. Stat. 6).

    Args:
        p: One per hypothesis, shape (m,).
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)) if len(p) else np.zeros(0)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(each) for each in adjusted]


def p_values(d: float, u: float, nu: float, margin: float) -> tuple[float, float]:
    """(p that d is 0, two-sided; p that |d| is at least the margin, the larger of two one-sided tests: TOST, Schuirmann 1987).

    Args:
        d: Logarithm of a ratio, smaller is better.
        u: Its standard uncertainty, above 0.
        nu: Degrees of freedom of u.
        margin: Within which it counts as the same, also a logarithm.
    """
    from scipy.stats import t

    differs = 2 * float(t.sf(abs(d) / u, nu))
    same = max(float(t.sf((margin - d) / u, nu)), float(t.sf((margin + d) / u, nu)))
    return differs, same


def verdicts(ratios: Sequence[tuple[float, float, float]], margin: float, alpha: float = 0.05) -> list[Verdict]:
    """One verdict a ratio, at most `alpha` to say one that is wrong among all of them (Holm over both tests of all ratios).

    Args:
        ratios: (d, u, nu) of each: see `p_values`.
        margin: Likewise.
        alpha: .05 at a fixed number of launches, .01 after a stopping rule (measurement.md, section 5).
    """
    adjusted = holm([p for d, u, nu in ratios for p in p_values(d, u, nu, margin)])
    return [
        "same" if same < alpha else "not separated" if differs >= alpha else "better" if d < 0 else "worse"
        for (d, _, _), differs, same in zip(ratios, adjusted[::2], adjusted[1::2], strict=True)
    ]
