"""Place of each case of a run on the Pareto front of the requested objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.estimates import Estimates, PairedObjective
from harness.analysis.front_probability import p_front
from harness.analysis.pareto import dominated, groups
from harness.frame.baseline import MARGIN
from harness.frame.objectives import EXACT, margin, separates, values
from harness.frame.results import AGREEMENT, Result
from harness.frame.rows import Row
from harness.frame.uncertainty import gain_moves, offset_w
from harness.schema import OBJECTIVES, Objective

LEAST_LAUNCHES = 2
"""Fewest launches of a case with a place: a single one has no scatter, so that its place would look certain."""
ALIKE = 1e-9
"""Relative difference of two equal shares by rounding."""


def fronts(results: Sequence[Result], rows: Sequence[Row], objectives: Sequence[Objective] = OBJECTIVES) -> dict[str, Row]:
    """`p_front`, `dominated` and `front_group` of each case of a run among its peers, by case_id, from its other columns."""
    columns: dict[str, Row] = {result.case.case_id: {} for result in results}
    launches = {result.case.case_id: _launches(result, row, objectives) for result, row in zip(results, rows, strict=True)}
    peers: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        if len(launches[result.case.case_id]) >= LEAST_LAUNCHES:
            peers.setdefault(result.peers, []).append(result)
    count = 0
    for group in peers.values():
        own = [launches[result.case.case_id] for result in group]
        gains = _gains(group)
        estimates = [_estimates(k, each, group, own, gains) for k, each in enumerate(objectives)]
        lost = dominated(estimates, group[0].q)
        p = _p_front(group, own, objectives, estimates, gains)
        for i, result in enumerate(group):
            columns[result.case.case_id] = {"p_front": float(p[i]), "dominated": bool(lost[i])}
        for members in groups(estimates, np.flatnonzero(~lost), group[0].q):
            count += 1
            for i in members:
                columns[group[i].case.case_id]["front_group"] = count
    return columns


def _launches(result: Result, row: Row, objectives: Sequence[Objective]) -> np.ndarray:
    """Objectives of each launch that has all of them, shape (launches, objectives), smaller is better."""
    array = np.array([values(objective, result, row) for objective in objectives], dtype=np.float64)
    return array[:, np.isfinite(array).all(axis=0)].T


def _p_front(
    group: Sequence[Result],
    launches: Sequence[np.ndarray],
    objectives: Sequence[Objective],
    estimates: Sequence[Estimates | PairedObjective],
    gains: np.ndarray,
) -> np.ndarray:
    # A gain that moves all cases alike does not change their order: only the rest is drawn.
    apart = gains - gains.mean(axis=0)
    apart = apart[:, np.abs(apart).max(axis=0, initial=0.0) > ALIKE]
    shared = np.zeros((1 + apart.shape[1], len(group), len(objectives)))
    for k, objective in enumerate(objectives):
        if objective.column == "energy_j":
            shared[0, :, k] = [(offset_w(each) or 0.0) / each.throughput_per_s if each.throughput_per_s else 0.0 for each in group]
            energies_j = np.array([np.mean(each.energies) for each in group])
            shared[1:, :, k] = (apart * energies_j[:, None]).T
    paired = next(((k, each.losses) for k, each in enumerate(estimates) if isinstance(each, PairedObjective)), None)
    return p_front(launches, shared, paired=paired)


def _estimates(
    k: int, objective: Objective, group: Sequence[Result], launches: Sequence[np.ndarray], gains: np.ndarray
) -> Estimates | PairedObjective:
    """One objective of a group with its uncertainty."""
    columns = [each[:, k] for each in launches]
    if objective.column == "quality":
        return _quality_objective(group, columns)
    every = np.concatenate(columns)
    if (every > 0).all() or (every < 0).all():
        # A relative margin: logarithms, negated where more is better.
        sign = 1.0 if every[0] > 0 else -1.0
        estimates = Estimates.of_values([sign * np.log(np.abs(each)) for each in columns], float(np.log1p(MARGIN)))
    else:
        estimates = Estimates.of_values(columns, margin(every, MARGIN))
    if objective.column == "energy_j":
        return replace(estimates, common=gains)
    if objective.column in EXACT:
        return replace(estimates, u=np.zeros(len(group)))
    return estimates if separates(objective) else replace(estimates, u=np.full(len(group), np.inf))


def _gains(group: Sequence[Result]) -> np.ndarray:
    """Relative change of each case's energy by one standard uncertainty of each domain's gain, shape (cases, domains)."""
    moves = [gain_moves(each) for each in group]
    names = list(dict.fromkeys(name for each in moves for name in each))
    return np.array([[each.get(name, 0.0) for name in names] for each in moves]).reshape(len(group), len(names))


def _quality_objective(group: Sequence[Result], losses: Sequence[np.ndarray]) -> Estimates | PairedObjective:
    """Quality paired by sample; unpaired, and so with wider intervals, if the samples were not all kept."""
    least = group[0].run.header.suite.quality_margin
    per_sample = [each.per_sample for each in group]
    if len(per_sample[0]) > 1 and len({len(each) for each in per_sample}) == 1 and np.isfinite(per_sample).all():
        sign = -1.0 if group[0].qualities[-1].direction == "higher" else 1.0
        return PairedObjective([sign * each for each in per_sample], least)
    u = np.array([_quality_u(result) for result in group])
    loss = np.array([np.mean(each) for each in losses])
    return Estimates(loss, u, np.full(len(group), np.inf), least)


def _quality_u(result: Result) -> float:
    """Standard error of the quality over test samples, from its 95 % interval; infinite without one, 0 for a baseline's agreement."""
    quality = result.qualities[-1]
    if quality.metric == AGREEMENT and result.is_baseline:
        return 0.0
    return (quality.high - quality.low) / 2 / 1.96 if quality.low is not None and quality.high is not None else float("inf")
