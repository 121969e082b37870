"""Ratios of a case's energy and latency to those of its baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis.ratio import log_welch, offset_term
from harness.frame.results import Result, known
from harness.frame.rows import Row
from harness.frame.uncertainty import gain_moves, offset_w

MARGIN = 0.01
"""Relative difference of energy or time up to which two cases are equivalent."""


def ratios(result: Result, baseline: Result | None) -> Row:
    """Ratio columns of `cases`; energies only of the same domains and kind, empty without a baseline."""
    if baseline is None:
        return {}
    row: Row = {}
    if result.scope == baseline.scope and result.kind == baseline.kind and min(result.energies + baseline.energies, default=0) > 0:
        row |= _ratio("energy", result, result.energies, baseline.energies, shared_u(result, baseline))
    return row | _ratio("latency", result, p50s(result), p50s(baseline), 0.0)


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


def _ratio(name: str, result: Result, values: Sequence[float], baseline: Sequence[float], offset: float) -> Row:
    if not values or not baseline:
        return {}
    ratio = log_welch(values, baseline, result.q, offset)
    # The ratio of a baseline to itself is 1 by definition; an interval would compare the same launches twice.
    low, high = (None, None) if result.is_baseline else (ratio.low, ratio.high)
    return {f"{name}_vs_baseline": ratio.value, f"{name}_vs_baseline_low": low, f"{name}_vs_baseline_high": high}


def _offset_u(result: Result, baseline: Result) -> float:
    watts = offset_w(result)
    powers = [_power_w(each) for each in (result, baseline)]
    return offset_term(watts, *known(powers)) if watts and None not in powers else 0.0


def _power_w(result: Result) -> float | None:
    return float(np.mean(result.energies)) * result.throughput_per_s if result.throughput_per_s else None
