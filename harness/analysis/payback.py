"""Energy of a build and launches of two cases -> after how many inferences the build is paid back, with Fieller's interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["pays_back", "not_separated", "no_saving"]


@dataclass(frozen=True)
class Payback:
    """Inferences after which what a build cost has been saved.

    Attributes:
        inferences: Build energy over the saving per inference; null where nothing is saved on the mean.
        low: Lower 95 % bound; null where there is none.
        high: Upper 95 % bound; null where there is none: with `not_separated` any number above `low` is possible.
        verdict: `pays_back`: both bounds are finite. `not_separated`: the saving is not separated from 0. `no_saving`: it is
            shown to be a loss. Null where fewer than two launches of either say nothing of the scatter.
    """

    inferences: float | None
    low: float | None = None
    high: float | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Saving:
    """Energy saved per inference against a baseline, d = e_B - e_A.

    Attributes:
        joules: d.
        u_j: Its standard uncertainty, the sensor's offset included.
        nu: Degrees of freedom of u_j.
    """

    joules: float
    u_j: float
    nu: float

    @classmethod
    def of_launches(cls, values: Sequence[float], baseline: Sequence[float], offset_j: float = 0.0) -> Saving:
        """From joules per inference of independent launches: Welch's variance and degrees of freedom (Welch 1947).

        Args:
            values: Of the case, shape (R,).
            baseline: Of its baseline, shape (Q,).
            offset_j: What the sensor's offset adds to the standard uncertainty of d: o (T_B / n_B - T_A / n_A), a known term.
        """
        joules = float(np.mean(baseline) - np.mean(values))
        if min(len(values), len(baseline)) < 2:
            return cls(joules, float("nan"), float("nan"))
        parts = [float(np.var(each, ddof=1)) / len(each) for each in (values, baseline)]
        square = sum(parts) + offset_j**2
        scatter = sum(part**2 / (len(each) - 1) for part, each in zip(parts, (values, baseline), strict=True))
        return cls(joules, float(np.sqrt(square)), square**2 / scatter if scatter else float("inf"))


def payback(build_j: float, saving: Saving, q: float = 0.975, u_build_j: float = 0.0, covariance_j2: float = 0.0) -> Payback:
    """After how many inferences a build is paid back: the ratio of its energy to the saving, by Fieller's theorem.

    All N for which B - N d is not separated from 0: N^2 (d^2 - t^2 u_d^2) - 2 N (B d - t^2 cov) + B^2 - t^2 u_B^2 <= 0
    (Fieller 1954, J. R. Stat. Soc. B 16). The delta method is not used: it gives a finite interval also where the saving may
    be nothing. A gain that both share cancels. B and d must be of one kind: both measured, or both modelled.

    Args:
        build_j: Energy of the build, J, above 0.
        saving: Per inference.
        q: Quantile of t: .975 at a fixed number of launches, .9825 after a stopping rule.
        u_build_j: Standard uncertainty of the build's energy.
        covariance_j2: Of the build's energy and the saving, from an offset that both share.
    """
    from scipy.special import stdtrit  # the quantile of t

    value = build_j / saving.joules if saving.joules > 0 else None
    if not np.isfinite(saving.u_j):
        return Payback(value)
    t = float(stdtrit(saving.nu, q))
    half_j = t * saving.u_j
    if saving.joules + half_j < 0:
        return Payback(None, verdict="no_saving")
    a = saving.joules**2 - half_j**2
    b = build_j * saving.joules - t**2 * covariance_j2
    c = build_j**2 - (t * u_build_j) ** 2
    root = float(np.sqrt(max(b**2 - a * c, 0.0)))
    if saving.joules > half_j:
        return Payback(value, max((b - root) / a, 0.0), (b + root) / a, "pays_back")
    # Where a < 0 the two roots lie on either side of 0, and all N above the positive one are possible. That root, written so
    # that it also holds for a = 0: (b - root) / a = c / (b + root).
    return Payback(value, max(c / (b + root), 0.0) if b + root > 0 else None, None, "not_separated")
