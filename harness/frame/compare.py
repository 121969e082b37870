"""Results of one run -> each case against its baseline, and its place on the front of the objectives asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.estimates import Estimates, PairedObjective
from harness.analysis.front_probability import p_front
from harness.analysis.pareto import dominated, groups
from harness.analysis.ratio import log_welch, offset_term
from harness.frame.objectives import EXACT, margin, separates, values
from harness.frame.results import AGREEMENT, Result, known
from harness.frame.rows import Row
from harness.frame.uncertainty import gain_moves, offset_w
from harness.schema import OBJECTIVES, Objective

MARGIN = 0.01
"""How much more energy or time still counts as as good."""
ALIKE = 1e-9
"""Relative: what rounding leaves of two equal shares."""


def against(result: Result, baseline: Result | None) -> Row:
    """The case over its baseline: ratios of energy and latency."""
    if baseline is None:
        return {}
    row: Row = {}
    if result.scope == baseline.scope and result.kind == baseline.kind and min(result.energies + baseline.energies, default=0) > 0:
        row |= _ratio("energy", result, result.energies, baseline.energies, shared_u(result, baseline))
    return row | _ratio("latency", result, p50s(result), p50s(baseline), 0.0)


def p50s(result: Result) -> list[float]:
    """The median latency of each launch that has one, s."""
    return [r.latency.p50_s for r in result.ok if r.latency and r.latency.p50_s > 0]


def _ratio(name: str, result: Result, values: Sequence[float], baseline: Sequence[float], offset: float) -> Row:
    if not values or not baseline:
        return {}
    ratio = log_welch(values, baseline, result.q, offset)
    # A baseline over itself is 1 by definition; an interval would compare the same launches twice.
    low, high = (None, None) if result.is_baseline else (ratio.low, ratio.high)
    return {f"{name}_vs_baseline": ratio.value, f"{name}_vs_baseline_low": low, f"{name}_vs_baseline_high": high}


def shared_u(result: Result, baseline: Result) -> float:
    """What the sensors that two cases share add to the standard uncertainty of the logarithm of their energy ratio.

    The offset (measurement.md, section 5), and of each domain's gain g what does not cancel: g times the difference of its shares of the sums.
    """
    mine, theirs = gain_moves(result), gain_moves(baseline)
    names = dict.fromkeys((*mine, *theirs))
    return math.hypot(_offset_u(result, baseline), *(mine.get(name, 0.0) - theirs.get(name, 0.0) for name in names))


def _offset_u(result: Result, baseline: Result) -> float:
    watts = offset_w(result)
    if not watts:
        return 0.0
    powers = [_power_w(each) for each in (result, baseline)]
    return offset_term(watts, *known(powers)) if None not in powers else 0.0


def _power_w(result: Result) -> float | None:
    return float(np.mean(result.energies)) * result.throughput_per_s if result.throughput_per_s else None


def fronts(results: Sequence[Result], rows: Sequence[Row], objectives: Sequence[Objective] = OBJECTIVES) -> dict[str, Row]:
    """`p_front`, `dominated` and `front_group` of each case, among its peers.

    Args:
        results: Of one run.
        rows: Of each the other columns of `cases`.
        objectives: What the front is of.
    """
    found: dict[str, Row] = {result.case.case_id: {} for result in results}
    launches = {result.case.case_id: _launches(result, row, objectives) for result, row in zip(results, rows, strict=True)}
    peers: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        if len(launches[result.case.case_id]):
            peers.setdefault(result.peers, []).append(result)
    numbered = 0
    for group in peers.values():
        own = [launches[result.case.case_id] for result in group]
        gains = _gains(group)
        judged = [_judged(k, each, group, own, gains) for k, each in enumerate(objectives)]
        lost = dominated(judged, group[0].q)
        p = _p_front(group, own, objectives, judged, gains)
        for i, result in enumerate(group):
            found[result.case.case_id] = {"p_front": float(p[i]), "dominated": bool(lost[i])}
        for members in groups(judged, np.flatnonzero(~lost), group[0].q):
            numbered += 1
            for i in members:
                found[group[i].case.case_id]["front_group"] = numbered
    return found


def _launches(result: Result, row: Row, objectives: Sequence[Objective]) -> np.ndarray:
    """The objectives of each launch that has them all, shape (R, k), smaller is better."""
    array = np.array([values(objective, result, row) for objective in objectives], dtype=np.float64)
    return array[:, np.isfinite(array).all(axis=0)].T


def _p_front(
    group: Sequence[Result],
    launches: Sequence[np.ndarray],
    objectives: Sequence[Objective],
    judged: Sequence[Estimates | PairedObjective],
    gains: np.ndarray,
) -> np.ndarray:
    # What moves all cases alike leaves their order as it is: only the rest is drawn, and nothing where all use one sensor.
    apart = gains - gains.mean(axis=0)
    apart = apart[:, np.abs(apart).max(axis=0, initial=0.0) > ALIKE]
    shared = np.zeros((1 + apart.shape[1], len(group), len(objectives)))
    for k, objective in enumerate(objectives):
        if objective.column == "energy_j":
            shared[0, :, k] = [(offset_w(each) or 0.0) / each.throughput_per_s if each.throughput_per_s else 0.0 for each in group]
            energies_j = np.array([np.mean(each.energies) for each in group])
            shared[1:, :, k] = (apart * energies_j[:, None]).T
    paired = next(((k, each.losses) for k, each in enumerate(judged) if isinstance(each, PairedObjective)), None)
    return p_front(launches, shared, paired=paired)


def _judged(
    k: int, objective: Objective, group: Sequence[Result], launches: Sequence[np.ndarray], gains: np.ndarray
) -> Estimates | PairedObjective:
    """One objective of a group with what is known of its scatter."""
    if objective.column == "quality":
        return _quality_objective(group, [each[:, k] for each in launches])
    columns = [each[:, k] for each in launches]
    every = np.concatenate(columns)
    if (every > 0).all() or (every < 0).all():
        # A relative margin: logarithms, negated where more is better.
        way = 1.0 if every[0] > 0 else -1.0
        found = Estimates.of_values([way * np.log(np.abs(each)) for each in columns], float(np.log1p(MARGIN)))
    else:
        found = Estimates.of_values(columns, margin(every, MARGIN))
    if objective.column == "energy_j":
        found = replace(found, common=gains)
    known = 0.0 if objective.column in EXACT else np.inf
    return found if separates(objective) and objective.column not in EXACT else replace(found, u=np.full(len(group), known))


def _gains(group: Sequence[Result]) -> np.ndarray:
    """By how much one standard uncertainty of each domain's gain moves each case's energy, relative, shape (n, domains)."""
    moves = [gain_moves(each) for each in group]
    names = list(dict.fromkeys(name for each in moves for name in each))
    return np.array([[each.get(name, 0.0) for name in names] for each in moves]).reshape(len(group), len(names))


def _quality_objective(group: Sequence[Result], losses: Sequence[np.ndarray]) -> Estimates | PairedObjective:
    """Quality on the same samples; where they were not all kept, each with an error of its own, which errs to the safe side."""
    least = group[0].run.header.suite.quality_margin
    per_sample = [each.per_sample for each in group]
    if len(per_sample[0]) > 1 and len({len(each) for each in per_sample}) == 1 and np.isfinite(per_sample).all():
        sign = -1.0 if group[0].qualities[-1].direction == "higher" else 1.0
        return PairedObjective([sign * each for each in per_sample], least)
    u = np.array([_quality_u(result) for result in group])
    loss = np.array([np.mean(each) for each in losses])
    return Estimates(loss, u, np.full(len(group), np.inf), least)


def _quality_u(result: Result) -> float:
    """Standard error of the quality over test samples, from its 95 % interval; infinite where the metric has none. The baseline agrees with itself for certain."""
    quality = result.qualities[-1]
    if quality.metric == AGREEMENT and result.is_baseline:
        return 0.0
    return (quality.high - quality.low) / 2 / 1.96 if quality.low is not None and quality.high is not None else float("inf")
