"""Results of one run -> each case against its baseline, and its place on the front of energy, quality and latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.analysis.pareto import Objective, PairedObjective, p_front
from harness.analysis.ratio import log_welch, offset_term
from harness.frame.results import AGREEMENT, Result, known
from harness.frame.uncertainty import offset_w

MARGIN = 0.01
"""How much more energy or time still counts as as good."""

Row = dict[str, Any]


def against(result: Result, baseline: Result | None) -> Row:
    """The case over its baseline: ratios of energy and latency."""
    if baseline is None:
        return {}
    row: Row = {}
    if result.scope == baseline.scope and result.kind == baseline.kind and min(result.energies + baseline.energies, default=0) > 0:
        row |= _ratio("energy", result, result.energies, baseline.energies, _offset(result, baseline))
    return row | _ratio("latency", result, _p50s(result), _p50s(baseline), 0.0)


def _p50s(result: Result) -> list[float]:
    return [r.latency.p50_s for r in result.ok if r.latency and r.latency.p50_s > 0]


def _ratio(name: str, result: Result, values: Sequence[float], baseline: Sequence[float], offset: float) -> Row:
    if not values or not baseline:
        return {}
    ratio = log_welch(values, baseline, result.q, offset)
    # A baseline over itself is 1 by definition; an interval would compare the same launches twice.
    low, high = (None, None) if result.is_baseline else (ratio.low, ratio.high)
    return {f"{name}_vs_baseline": ratio.value, f"{name}_vs_baseline_low": low, f"{name}_vs_baseline_high": high}


def _offset(result: Result, baseline: Result) -> float:
    """What the offset of the sensors adds to the uncertainty of the energy ratio."""
    watts = offset_w(result) or 0.0
    powers = [_power_w(each) for each in (result, baseline)]
    return offset_term(watts, *known(powers)) if watts and None not in powers else 0.0


def _power_w(result: Result) -> float | None:
    return float(np.mean(result.energies)) * result.throughput_per_s if result.throughput_per_s else None


def fronts(results: Sequence[Result]) -> dict[str, Row]:
    """`p_front` and `dominated` of each case, among its peers."""
    rows: dict[str, Row] = {result.case.case_id: {} for result in results}
    complete = [result for result in results if len(_launches(result))]
    for peers in dict.fromkeys(result.peers for result in complete):
        group = [result for result in complete if result.peers == peers]
        p, dominated = _p_front(group), np.any(dominates(_objectives(group), group[0].q), axis=0)
        for i, result in enumerate(group):
            rows[result.case.case_id] = {"p_front": float(p[i]), "dominated": bool(dominated[i])}
    return rows


def _launches(result: Result) -> np.ndarray:
    """(energy, quality as a loss, median latency) of each launch that has all three, shape (R, 3)."""
    sign = {"higher": -1.0, "lower": 1.0}
    rows = [
        (each.energy_j, sign[quality.direction] * quality.value, r.latency.p50_s)
        for r, each in result.launches
        if (quality := result.quality_of(r)) and r.latency and (each.energy_j or 0) > 0 and r.latency.p50_s > 0
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _p_front(group: Sequence[Result]) -> np.ndarray:
    shared = np.zeros((1, len(group), 3))
    for i, result in enumerate(group):
        shared[0, i, 0] = (offset_w(result) or 0.0) / result.throughput_per_s if result.throughput_per_s else 0.0
    return p_front([_launches(result) for result in group], shared)


def _objectives(group: Sequence[Result]) -> list[Objective | PairedObjective]:
    launches = [_launches(result) for result in group]
    energy, latency = (Objective.of_launches([list(each[:, k]) for each in launches], MARGIN) for k in (0, 2))
    return [energy, _quality_objective(group, launches), latency]


def _quality_objective(group: Sequence[Result], launches: Sequence[np.ndarray]) -> Objective | PairedObjective:
    """Quality on the same samples; where they were not all kept, each with an error of its own, which errs to the safe side."""
    margin = group[0].run.header.suite.quality_margin
    per_sample = [each.per_sample for each in group]
    if len(per_sample[0]) > 1 and len({len(each) for each in per_sample}) == 1 and np.isfinite(per_sample).all():
        sign = -1.0 if group[0].qualities[-1].direction == "higher" else 1.0
        return PairedObjective([sign * each for each in per_sample], margin)
    u = np.array([_quality_u(result) for result in group])
    loss = np.array([np.mean(each[:, 1]) for each in launches])
    return Objective(loss, u, np.full(len(group), np.inf), margin)


def _quality_u(result: Result) -> float:
    """Standard error of the quality over test samples, from its 95 % interval; infinite where the metric has none. The baseline agrees with itself for certain."""
    quality = result.qualities[-1]
    if quality.metric == AGREEMENT and result.is_baseline:
        return 0.0
    return (quality.high - quality.low) / 2 / 1.96 if quality.low is not None and quality.high is not None else float("inf")
