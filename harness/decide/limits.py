"""Constraints of a selection that a case does not satisfy, each with its bound and its shortfall."""

from __future__ import annotations

from typing import NamedTuple

from harness.frame.results import AGREEMENT
from harness.frame.rows import Row

AT_MOST = {
    "latency_p99_s": ("latency_p99_s", ("latency_p99_high_s",)),
    "memory_bytes": ("peak_memory_bytes", ("peak_memory_bytes",)),
    "device_memory_bytes": ("peak_device_memory_bytes", ("peak_device_memory_bytes",)),
    "energy_j": ("energy_j", ("energy_abs_high_j", "energy_high_j")),
}
"""Column of each upper limit, and the columns of its upper bound, of which the first that is not empty counts."""


class Constraints(NamedTuple):
    """Constraints of a selection; None: no such constraint, or for quality non-inferiority to dense on the same samples.

    Attributes:
        quality: Minimum quality, for the lower bound; if lower is better, the maximum, for the upper bound.
        latency_p99_s: Maximum 99th percentile latency in seconds, for the upper bound.
        memory_bytes: Maximum peak memory of any launch in bytes.
        energy_j: Maximum energy per inference in joules, compared with the absolute upper bound, or with that of repeatability if there is none.
        rate_per_s: Minimum inferences per second, for the lower bound of the throughput.
        device_memory_bytes: Maximum peak accelerator memory of any launch in bytes; every case on the CPU satisfies it.
    """

    quality: float | None = None
    latency_p99_s: float | None = None
    memory_bytes: float | None = None
    energy_j: float | None = None
    rate_per_s: float | None = None
    device_memory_bytes: float | None = None


class Miss(NamedTuple):
    """A constraint that a case does not satisfy at 95 % confidence.

    Attributes:
        constraint: Field of `Constraints`, or `non_inferior`.
        limit: Value of the constraint; of `non_inferior` 0.
        value: Measured value; None if unknown.
        bound: Bound compared with the limit; None if there is none.
        shortfall: Relative distance from the limit; infinite if unknown.
    """

    constraint: str
    limit: float
    value: float | None
    bound: float | None
    shortfall: float = float("inf")


def misses(row: Row, limits: Constraints) -> list[Miss]:
    """Constraints that a case does not satisfy."""
    checks = [
        _non_inferior(row) if limits.quality is None else _quality(row, limits.quality),
        *(_at_most(row, name, getattr(limits, name)) for name in AT_MOST),
        _rate(row, limits.rate_per_s),
    ]
    return [miss for miss in checks if miss]


def _quality(row: Row, limit: float) -> Miss | None:
    lower_is_better = row["quality_direction"] == "lower"
    # A baseline agrees with itself by definition, without an interval.
    exact = row["quality_metric"] == AGREEMENT and row["case_id"] == row["baseline_case_id"]
    bound = row["quality" if exact else "quality_high" if lower_is_better else "quality_low"]
    if bound is None:
        return Miss("quality", limit, row["quality"], None)
    short = bound - limit if lower_is_better else limit - bound
    return Miss("quality", limit, row["quality"], bound, short / max(abs(limit), 1e-12)) if short > 0 else None


def _non_inferior(row: Row) -> Miss | None:
    """Paired with dense on the same samples, within the suite's margin."""
    if row["quality"] is not None and (row["case_id"] == row["baseline_case_id"] or row["quality_verdict"] == "non_inferior"):
        return None
    if row["quality_verdict"] is None:
        return Miss("non_inferior", 0.0, None, None)
    worst = -row["quality_diff_high"] if row["quality_direction"] == "lower" else row["quality_diff_low"]
    return Miss("non_inferior", 0.0, row["quality_diff"], worst, max(0.0, -worst))


def _at_most(row: Row, name: str, limit: float | None) -> Miss | None:
    if limit is None or (name == "device_memory_bytes" and row["device"] == "cpu"):
        return None
    column, bounds = AT_MOST[name]
    bound = None if row[column] is None else next((row[each] for each in bounds if row[each] is not None), None)
    if bound is None:
        return Miss(name, limit, row[column], None)
    return Miss(name, limit, row[column], bound, bound / limit - 1 if limit else float("inf")) if bound > limit else None


def _rate(row: Row, limit: float | None) -> Miss | None:
    rate, low = row["throughput_per_s"], row["throughput_low_per_s"]
    if limit is None or (low is not None and low >= limit):
        return None
    return Miss("rate_per_s", limit, rate, low, float("inf") if low is None else 1 - low / limit)
