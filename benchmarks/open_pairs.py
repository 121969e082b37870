"""Launches until the front is right in 90 % of simulated runs: the open-pair rule over equal allocation."""

from __future__ import annotations

import numpy as np

from benchmarks.cost import Row, row
from harness.analysis.estimates import Estimates
from harness.analysis.pareto import dominates, front
from harness.analysis.stopping import FIXED, OPEN_PAIRS_CAP, STOPPED, OpenPairs

CASES, SPREAD, MARGIN, FIRST = 8, 0.01, float(np.log1p(0.01)), 5
STEPS = (0.025, 0.025, 0.02)
"""Steps of log energy, log latency and quality: cases agree or differ by more than the margin, so the right front is known."""
SHARE, HARD = 0.9, 15


def rows(worlds: int = 10, runs: int = 120) -> list[Row]:
    """Launches of the rule over those of equal allocation, for sets that need at least 15 per case, and for the others."""
    ratios: dict[bool, list[float]] = {True: [], False: []}
    right, needed = [], []
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        truth = np.asarray(rng.integers(0, 4, (CASES, len(STEPS))) * STEPS, dtype=np.float64)
        noise = rng.normal(0, [SPREAD, SPREAD, 0.0], (runs, CASES, OPEN_PAIRS_CAP, len(STEPS)))
        values, on_front = truth[:, None, :] + noise, front(truth)
        equal = _equal(values, on_front)
        if equal is None:
            continue
        outcomes = [_open_pairs(each, on_front) for each in values]
        right.append(np.mean([is_right for _, is_right in outcomes]))
        ratios[equal >= HARD].append(float(np.mean([launches for launches, _ in outcomes])) / (CASES * equal))
        needed += [equal] * (equal >= HARD)
    hard, easy = ratios[True], ratios[False]
    return [
        row(
            f"launches of the open-pair rule / equal allocation, {len(hard)} sets of {CASES} cases with >= {HARD} per case",
            "<= 0.50",
            f"median {np.median(hard):.2f}, worst {np.max(hard):.2f} (equal: {min(needed)} to {max(needed)} per case)",
        ),
        row("the same, sets with fewer per case", "reported", ", ".join(f"{ratio:.2f}" for ratio in easy) or "no such set"),
        row("share of runs of the rule that end with the right front, worst set", ">= 90 %", f"{np.min(right):.0%}"),
    ]


def _equal(values: np.ndarray, on_front: np.ndarray) -> int | None:
    """Smallest number of launches per case with the right front in 90 % of the runs; None if the cap is not enough."""
    for launches in range(FIRST, OPEN_PAIRS_CAP + 1):
        wrong, allowed = 0, round((1 - SHARE) * len(values))
        for each in values[:, :, :launches]:
            wrong += not _is_right(list(each), on_front, FIXED)
            if wrong > allowed:
                break
        else:
            return launches
    return None


def _open_pairs(values: np.ndarray, on_front: np.ndarray) -> tuple[int, bool]:
    """Launches of the rule in one run, and whether its front is right; `values` has the shape (cases, cap, objectives)."""
    rule = OpenPairs(FIRST, [MARGIN, MARGIN, MARGIN])
    counts = np.zeros(len(values), dtype=int)
    requested = {str(case) for case in range(len(values))}
    while requested:
        for case in map(int, requested):
            rule.add(str(case), values[case, counts[case]])
            counts[case] += 1
        requested = set(rule.open)
    return int(counts.sum()), _is_right([each[:count] for each, count in zip(values, counts, strict=True)], on_front, STOPPED)


def _is_right(launches: list[np.ndarray], on_front: np.ndarray, q: float) -> bool:
    """Whether the cases that are not dominated at 95 % are exactly those of the true front."""
    objectives = [Estimates.of_values([each[:, k] for each in launches], MARGIN) for k in range(len(STEPS))]
    return bool((~dominates(objectives, q).any(axis=0) == on_front).all())
