"""False winners among pairs of identical variants, measured in blocks until the stopping rule stops."""

from __future__ import annotations

import numpy as np

from benchmarks.cost import Row, row
from benchmarks.coverage import SPREADS
from harness.analysis.ratio import log_welch
from harness.analysis.stopping import FIXED, HalfWidth
from harness.schema import PROFILES, Profile

VERDICT = 0.995
"""Quantile of a verdict after a stopping rule: .005 on each side."""


def rows(pairs: int = 500) -> list[Row]:
    """Share of pairs with a winner, worst over the spreads."""
    table = []
    for name in ("standard", "publish"):
        shares = np.array([_shares(PROFILES[name], spread, pairs) for spread in SPREADS]).max(axis=0)
        table += [
            row(f"false winners among {pairs} identical pairs, {name}, .005 on each side, worst sd", "<= 5 %", f"{shares[0]:.1%}"),
            row("the same, .025 on each side", "reported", f"{shares[1]:.1%}"),
        ]
    return table


def _shares(profile: Profile, spread: float, pairs: int) -> list[float]:
    """Shares of winners with the verdict's quantile, and with that of a fixed 95 % interval."""
    rng = np.random.default_rng([profile.cap, SPREADS.index(spread)])
    ratios = [_pair(profile, np.exp(rng.normal(0, spread, (2, profile.cap)))) for _ in range(pairs)]
    return [float(np.mean([_names_a_winner(*ratio, q) for ratio in ratios])) for q in (VERDICT, FIXED)]


def _pair(profile: Profile, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies of a case and of its baseline, which is measured as long as the case is."""
    case, baseline = (_launches(profile, each) for each in energies)
    return energies[0, :case], energies[1, : max(case, baseline)]


def _launches(profile: Profile, energies: np.ndarray) -> int:
    rule = HalfWidth(profile.first, profile.cap, profile.half_width)
    for energy in energies:
        rule.add(float(energy))
        if rule.finished:
            break
    return rule.launches


def _names_a_winner(case: np.ndarray, baseline: np.ndarray, q: float) -> bool:
    ratio = log_welch(case.tolist(), baseline.tolist(), q)
    return not ratio.low <= 1 <= ratio.high
