"""Ratios of a case's energy and latency to those of its baseline, and their joint verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.interval import FIXED
from harness.analysis.multiple_testing import Adjustment, shaffer, verdicts
from harness.analysis.ratio import log_ratio, log_welch, offset_term
from harness.frame.results import Result, known
from harness.frame.rows import Row
from harness.frame.uncertainty import gain_moves, offset_w

MARGIN = 0.01
"""Relative difference of energy or time up to which two cases are equivalent."""
JOINT_ALPHA, STOPPED_ALPHA = 0.05, 0.01
"""Familywise error of the verdicts on many ratios, at a fixed number of launches and after a stopping rule (measurement.md, section 5)."""


class Pair(NamedTuple):
    """Values of a quantity of a case and of its baseline, one per launch, with the uncertainty that their launches share."""

    quantity: str
    values: Sequence[float]
    baseline: Sequence[float]
    u: float


def ratios(result: Result, baseline: Result | None) -> Row:
    """Ratio columns of `cases`; energies only of the same domains and kind, empty without a baseline."""
    row: Row = {}
    for name, values, others, u in _pairs(result, baseline):
        ratio = log_welch(values, others, result.q, u)
        # The ratio of a baseline to itself is 1 by definition; an interval would compare the same launches twice.
        low, high = (None, None) if result.is_baseline else (ratio.low, ratio.high)
        row |= {f"{name}_vs_baseline": ratio.value, f"{name}_vs_baseline_low": low, f"{name}_vs_baseline_high": high}
    return row


def joint_verdicts(of_run: Sequence[Result], adjust: Adjustment = shaffer) -> dict[str, Row]:
    """`energy_verdict` and `latency_verdict` of the cases of a run, by case_id.

    The probability that any verdict of the run is wrong is at most 5 %, after a stopping rule 1 % (Shaffer), as in `decide.compare`.
    """
    pairs = [(result, pair) for result in of_run if not result.is_baseline for pair in _pairs(result, result.baseline)]
    ratios_of = [(result, pair, log_ratio(pair.values, pair.baseline, pair.u)) for result, pair in pairs]
    tested = [(result, pair, ratio) for result, pair, ratio in ratios_of if ratio[1] > 0]
    alpha = JOINT_ALPHA if all(result.q == FIXED for result in of_run) else STOPPED_ALPHA
    joint = verdicts([ratio for _, _, ratio in tested], float(np.log1p(MARGIN)), alpha, adjust)
    rows: dict[str, Row] = {}
    for (result, pair, _), verdict in zip(tested, joint, strict=True):
        rows.setdefault(result.case.case_id, {})[f"{pair.quantity}_verdict"] = verdict
    return rows


def p50s(result: Result) -> list[float]:
    """Median latency of each launch that has one, in seconds."""
    return [r.latency.p50_s for r in result.ok if r.latency and r.latency.p50_s > 0]


def shared_u(result: Result, baseline: Result) -> float:
    """Standard uncertainty of the logarithm of an energy ratio from the sensors that two cases share.

    The offset (measurement.md, section 5), and the part of each domain's gain g that does not cancel: g times the difference of its
    shares of the two sums.
    """
    moves, baseline_moves = gain_moves(result), gain_moves(baseline)
    names = dict.fromkeys((*moves, *baseline_moves))
    return math.hypot(_offset_u(result, baseline), *(moves.get(name, 0.0) - baseline_moves.get(name, 0.0) for name in names))


def _pairs(result: Result, baseline: Result | None) -> list[Pair]:
    """Energies, if they are positive and of the same domains and kind, and latencies of a case and its baseline."""
    if baseline is None:
        return []
    same = result.scope == baseline.scope and result.kind == baseline.kind and min(result.energies + baseline.energies, default=0) > 0
    pairs = [Pair("energy", result.energies, baseline.energies, shared_u(result, baseline))] if same else []
    pairs.append(Pair("latency", p50s(result), p50s(baseline), 0.0))
    return [pair for pair in pairs if pair.values and pair.baseline]


def _offset_u(result: Result, baseline: Result) -> float:
    watts = offset_w(result)
    powers = [_power_w(each) for each in (result, baseline)]
    return offset_term(watts, *known(powers)) if watts and None not in powers else 0.0


def _power_w(result: Result) -> float | None:
    return float(np.mean(result.energies)) * result.throughput_per_s if result.throughput_per_s else None
