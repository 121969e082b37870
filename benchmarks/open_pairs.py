"""Simulated sets of cases -> how many launches lead to the right front in 90 % of the runs: the open-pair rule against as many of each case."""

from __future__ import annotations

import numpy as np

from benchmarks.cost import Row, row
from harness.analysis.estimates import Estimates
from harness.analysis.pareto import dominates, front
from harness.analysis.stopping import FIXED, OPEN_PAIRS_CAP, STOPPED, OpenPairs

CASES, SPREAD, MARGIN, FIRST = 8, 0.01, float(np.log1p(0.01)), 5
STEPS = (0.025, 0.025, 0.02)
"""Of energy and latency (logarithms) and of quality: cases agree in an objective, or differ by more than the margin, so that the right front is known."""
WANTED, HARD = 0.9, 15


def rows(worlds: int = 10, runs: int = 120) -> list[Row]:
    """Launches of the rule over those of equal allocation, where that needs at least 15 a case, and where it needs fewer."""
    ratios: dict[bool, list[float]] = {True: [], False: []}
    right, needed = [], []
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 4, (CASES, len(STEPS))) * STEPS
        noise = rng.normal(0, [SPREAD, SPREAD, 0.0], (runs, CASES, OPEN_PAIRS_CAP, len(STEPS)))
        values, on_front = truth[:, None, :] + noise, front(truth)
        equal = _equal(values, on_front)
        if equal is None:
            continue
        found = [_open_pairs(each, on_front) for each in values]
        right.append(np.mean([is_right for _, is_right in found]))
        ratios[equal >= HARD].append(float(np.mean([launches for launches, _ in found])) / (CASES * equal))
        needed += [equal] * (equal >= HARD)
    hard, easy = ratios[True], ratios[False]
    return [
        row(
            f"launches of the open-pair rule / equal allocation, {len(hard)} sets of {CASES} cases where equal needs >= {HARD} a case",
            "<= 0.50",
            f"median {np.median(hard):.2f}, worst {np.max(hard):.2f} (equal: {min(needed)} to {max(needed)} a case)",
        ),
        row("the same where equal needs fewer", "told", ", ".join(f"{ratio:.2f}" for ratio in easy) or "no such set"),
        row("share of runs of the rule that end with the right front, worst set", ">= 90 %", f"{np.min(right):.0%}"),
    ]


def _equal(values: np.ndarray, on_front: np.ndarray) -> int | None:
    """The least number of launches of every case that gives the right front in 90 % of the runs; null where the cap does not."""
    for launches in range(FIRST, OPEN_PAIRS_CAP + 1):
        wrong, allowed = 0, round((1 - WANTED) * len(values))
        for each in values[:, :, :launches]:
            wrong += not _is_right(list(each), on_front, FIXED)
            if wrong > allowed:
                break
        else:
            return launches
    return None


def _open_pairs(values: np.ndarray, on_front: np.ndarray) -> tuple[int, bool]:
    """(launches that the rule asks for, whether they end with the right front) of one run; shape (cases, cap, objectives)."""
    rule = OpenPairs(FIRST, [MARGIN, MARGIN, MARGIN])
    counts = np.zeros(len(values), dtype=int)
    asked = {str(case) for case in range(len(values))}
    while asked:
        for case in map(int, asked):
            rule.add(str(case), values[case, counts[case]])
            counts[case] += 1
        asked = set(rule.open)
    return int(counts.sum()), _is_right([each[:count] for each, count in zip(values, counts, strict=True)], on_front, STOPPED)


def _is_right(launches: list[np.ndarray], on_front: np.ndarray, q: float) -> bool:
    """Whether exactly the cases of the true front are not shown to be dominated."""
    objectives = [Estimates.of_values([each[:, k] for each in launches], MARGIN) for k in range(len(STEPS))]
    return bool((~dominates(objectives, q).any(axis=0) == on_front).all())
