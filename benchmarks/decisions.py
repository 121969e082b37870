"""Fronts of simulated cases with known truth: time for 100,000 cases, and shares of wrong fronts by point estimates and by our rule."""

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
"""Cases of a small world agree in an objective or differ by multiples of this, three times the margin, so the true front is known."""


def rows(worlds: int = 400) -> list[Row]:
    """Time for 100,000 cases in two worlds; shares of wrong fronts of 8 cases."""
    scattered = _seconds(np.random.default_rng(0).uniform(0, 1, (CASES, 2)))
    # Every case trades energy for latency: all are on the front of the estimates.
    x = np.random.default_rng(1).uniform(0, 1, CASES)
    traded = _seconds(np.column_stack([x, 1 - x]))
    table = [
        row(
            f"front, p_front, dominated, groups of {CASES:,} cases of 3 objectives, scattered",
            "<= 10 s",
            "{:.1f} s ({:.1f} s of CPU time)".format(*scattered),
        ),
        row(
            "the same, every case trades energy for latency: all are on the front",
            "<= 10 s",
            "{:.1f} s ({:.1f} s of CPU time)".format(*traded),
        ),
    ]
    for alike in (True, False):
        point, lost, ours, missing, false = np.mean([_wrong(seed, alike=alike) for seed in range(worlds)], axis=0)
        cases = "8 identical cases" if alike else "8 cases, in each objective equal or 3 % and more apart"
        table += [
            row(f"wrong front by point estimates, {cases}, 5 launches", "reported", f"{point:.1%}"),
            row("- without a case of the true front, which counts as dominated", "reported", f"{lost:.1%}"),
            row("wrong front by our rule (cases not dominated at 95 %)", "reported", f"{ours:.1%}"),
            row("- without a case of the true front", "below point estimates", f"{missing:.1%}"),
            row("- with a case that is not on it, reported as not separated", "reported", f"{false:.1%}"),
        ]
    return table


def _seconds(logs: np.ndarray) -> tuple[float, float]:
    """Wall time and CPU time in s of the front, its probabilities, the dominated cases and the groups."""
    rng = np.random.default_rng(2)
    energy, latency = (np.exp(logs[:, k, None] + rng.normal(0, SPREAD, (CASES, LAUNCHES))) for k in (0, 1))
    losses = list((rng.random((CASES, SAMPLES)) < rng.uniform(0.0, 0.3, (CASES, 1))).astype(np.float64))
    launches = [np.column_stack([energy[i], np.full(LAUNCHES, losses[i].mean()), latency[i]]) for i in range(CASES)]
    dominates([Estimates.of_launches([[1.0, 2.0]], 0.01)])  # imports SciPy outside the timed part
    began, spent = time.perf_counter(), time.process_time()
    objectives = [Estimates.of_launches(list(each), 0.01) for each in (energy, latency)] + [PairedObjective(losses, 0.01)]
    front(np.stack(launches).mean(axis=1))
    p_front(launches, paired=(1, losses))
    groups(objectives, np.flatnonzero(~dominated(objectives)))
    return time.perf_counter() - began, time.process_time() - spent


def _wrong(seed: int, *, alike: bool) -> tuple[bool, bool, bool, bool, bool]:
    """Whether the front of the estimates is wrong and lacks a true case; whether ours is wrong, lacks a true case, has one too many."""
    rng = np.random.default_rng([seed, alike])
    truth = np.zeros((8, 3)) if alike else np.asarray(rng.integers(0, 4, (8, 3)) * STEP, dtype=np.float64)
    values = truth[:, None, :] + rng.normal(0, SPREAD, (8, LAUNCHES, 3))
    true, estimated = front(truth), front(values.mean(axis=1))
    kept = ~dominates([Estimates.of_values(list(values[:, :, k]), MARGIN) for k in range(3)]).any(axis=0)
    return (
        bool((estimated != true).any()),
        bool((true & ~estimated).any()),
        bool((kept != true).any()),
        bool((true & ~kept).any()),
        bool((kept & ~true).any()),
    )
