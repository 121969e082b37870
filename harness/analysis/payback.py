"""Number of inferences after which a build has saved its own energy, with Fieller's interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.analysis.interval import FIXED, t_quantile, welch

Verdict = Literal["pays_back", "not_separated", "no_saving"]


@dataclass(frozen=True)
class Payback:
    """Number of inferences that save the energy of a build.

    Attributes:
        inferences: Build energy over the mean saving per inference; None if nothing is saved.
        low: Lower 95 % bound; None if there is none.
        high: Upper 95 % bound; None if there is none: with `not_separated` any number above `low` is possible.
        verdict: `pays_back`: both bounds are finite. `not_separated`: the saving is not significantly different from 0. `no_saving`: it is
            significantly negative. None with fewer than two launches of either case.
    """

    inferences: float | None
    low: float | None = None
    high: float | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Saving:
    """Energy saved per inference against a baseline, d = e_B - e_A.

    Attributes:
        joules: Saving d, J.
        u_j: Standard uncertainty of d, including the sensor's offset, J.
        nu: Degrees of freedom of u_j.
    """

    joules: float
    u_j: float
    nu: float

    @classmethod
    def of_launches(cls, values: Sequence[float], baseline: Sequence[float], offset_j: float = 0.0) -> Saving:
        """From joules per inference of independent launches.

        Args:
            values: Energies of the case, J, shape (R,).
            baseline: Energies of its baseline, J, shape (Q,).
            offset_j: Standard uncertainty of d from the sensor's offset, o (T_B / n_B - T_A / n_A), J.
        """
        joules = float(np.mean(baseline) - np.mean(values))
        if min(len(values), len(baseline)) < 2:
            return cls(joules, float("nan"), float("nan"))
        return cls(joules, *welch([(float(np.var(each, ddof=1)) / len(each), len(each) - 1) for each in (values, baseline)], offset_j))


def payback(build_j: float, saving: Saving, q: float = FIXED, u_build_j: float = 0.0, covariance_j2: float = 0.0) -> Payback:
    """Number of inferences that pay a build back: its energy over the saving, by Fieller's theorem.

    These are all N for which B - N d is not significantly different from 0:
    N^2 (d^2 - t^2 u_d^2) - 2 N (B d - t^2 cov) + B^2 - t^2 u_B^2 <= 0 (Fieller 1954, J. R. Stat. Soc. B 16). The delta method would give a finite
    interval even if nothing is saved. A gain that both share cancels. B and d must both be measured, or both modelled.

    Args:
        build_j: Energy of the build, J, above 0.
        saving: Saving per inference.
        q: Quantile of t, `interval.FIXED` or `interval.STOPPED`.
        u_build_j: Standard uncertainty of the build's energy, J.
        covariance_j2: Covariance of the build's energy and the saving from a shared offset, J^2.
    """
    value = build_j / saving.joules if saving.joules > 0 else None
    if not np.isfinite(saving.u_j):
        return Payback(value)
    t = t_quantile(saving.nu, q)
    half_j = t * saving.u_j
    if saving.joules + half_j < 0:
        return Payback(None, verdict="no_saving")
    a = saving.joules**2 - half_j**2
    b = build_j * saving.joules - t**2 * covariance_j2
    c = build_j**2 - (t * u_build_j) ** 2
    root = float(np.sqrt(max(b**2 - a * c, 0.0)))
    if saving.joules > half_j:
        return Payback(value, max((b - root) / a, 0.0), (b + root) / a, "pays_back")
    # For a < 0 the roots have opposite signs, and all N above the positive one are possible: (b - root) / a = c / (b + root), also for a = 0.
    return Payback(value, max(c / (b + root), 0.0) if b + root > 0 else None, None, "not_separated")
