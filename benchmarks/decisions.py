"""Simulated cases of known truth -> the time of a front of 100,000 cases, and how often the rule of point estimates and ours name a front that is not the true one."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.cost import Row, row
from harness.analysis.estimates import Estimates, PairedObjective
from harness.analysis.front_probability import p_front
from harness.analysis.pareto import dominated, dominates, front, groups

CASES, LAUNCHES, SAMPLES = 100_000, 5, 100
SPREAD, MARGIN = 0.01, float(np.log1p(0.01))
STEP = 0.03
"""Cases of a small world agree in an objective or differ by at least this: three times the margin, so that the true front is known."""


def rows(worlds: int = 400) -> list[Row]:
    """Seconds for 100,000 cases, worst of two worlds; shares of wrong fronts of 8 cases."""
    scattered = _seconds(np.random.default_rng(0).uniform(0, 1, (CASES, 2)))
    # Energy for latency all along a curve: every case is on the front of the estimates.
    x = np.random.default_rng(1).uniform(0, 1, CASES)
    traded = _seconds(np.column_stack([x, 1 - x]))
    found = [
        row(
            f"front, p_front, dominated, groups of {CASES:,} cases of 3 objectives, scattered",
            "<= 10 s",
            "{:.1f} s ({:.1f} s of processors)".format(*scattered),
        ),
        row(
            "the same where every case trades energy for latency: all are on the front",
            "<= 10 s",
            "{:.1f} s ({:.1f} s of processors)".format(*traded),
        ),
    ]
    for alike in (True, False):
        point, lost, ours, missing, false = np.mean([_wrong(seed, alike=alike) for seed in range(worlds)], axis=0)
        where = "8 identical cases" if alike else "8 cases, in each objective alike or 3 % and more apart"
        found += [
            row(f"point estimates name a front that is not the true one, {where}, 5 launches", "told", f"{point:.1%}"),
            row("- by leaving out a case of the true front: it is called dominated and is not", "told", f"{lost:.1%}"),
            row("ours (who is not shown to be dominated) is another set than the true front", "told", f"{ours:.1%}"),
            row("- by leaving out a case of the true front", "below theirs", f"{missing:.1%}"),
            row("- by keeping one that is not on it: told as not separated", "told", f"{false:.1%}"),
        ]
    return found


def _seconds(logs: np.ndarray) -> tuple[float, float]:
    """(on the clock, of the processor) from launches to the front, the chances, who is dominated and who is not separated."""
    rng = np.random.default_rng(2)
    energy, latency = (np.exp(logs[:, k, None] + rng.normal(0, SPREAD, (CASES, LAUNCHES))) for k in (0, 1))
    losses = list((rng.random((CASES, SAMPLES)) < rng.uniform(0.0, 0.3, (CASES, 1))).astype(np.float64))
    launches = [np.column_stack([energy[i], np.full(LAUNCHES, losses[i].mean()), latency[i]]) for i in range(CASES)]
    dominates([Estimates.of_launches([[1.0, 2.0]], 0.01)])  # SciPy is imported, which is no part of the work
    began, spent = time.perf_counter(), time.process_time()
    objectives = [Estimates.of_launches(list(each), 0.01) for each in (energy, latency)] + [PairedObjective(losses, 0.01)]
    front(np.stack(launches).mean(axis=1))
    p_front(launches, paired=(1, losses))
    groups(objectives, np.flatnonzero(~dominated(objectives)))
    return time.perf_counter() - began, time.process_time() - spent


def _wrong(seed: int, *, alike: bool) -> tuple[bool, bool, bool, bool, bool]:
    """(the estimates' front is wrong, lacks one of the true front, ours is, it lacks one of the true front, it holds one too many)."""
    rng = np.random.default_rng([seed, alike])
    truth = np.zeros((8, 3)) if alike else rng.integers(0, 4, (8, 3)) * STEP
    values = truth[:, None, :] + rng.normal(0, SPREAD, (8, LAUNCHES, 3))
    true, named = front(truth), front(values.mean(axis=1))
    kept = ~dominates([Estimates.of_values(list(values[:, :, k]), MARGIN) for k in range(3)]).any(axis=0)
    return (
        bool((named != true).any()),
        bool((true & ~named).any()),
        bool((kept != true).any()),
        bool((true & ~kept).any()),
        bool((kept & ~true).any()),
    )
