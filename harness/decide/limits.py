"""Constraints of a selection that a case does not satisfy, each with its bound and its shortfall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from harness.frame.results import AGREEMENT
from harness.frame.rows import Row
from harness.frame.settings import is_text

AT_MOST = {
    "latency_p99_s": ("latency_p99_s", ("latency_p99_high_s",)),
    "memory_bytes": ("peak_memory_bytes", ("peak_memory_bytes",)),
    "device_memory_bytes": ("peak_device_memory_bytes", ("peak_device_memory_bytes",)),
    "energy_j": ("energy_j", ("energy_abs_high_j", "energy_high_j")),
}
"""Column of each upper limit, and the columns of its upper bound, of which the first that is not empty counts."""

OF_TEXT = {"ttft_s": "ttft", "tpot_s": "tpot", "e2e_s": "e2e"}
"""Stem of the columns of each upper limit that only cases that generate text have."""
PERCENTILES = ("p99", "p90", "p50")
"""Percentiles of such a limit, of which the first that all compared cases have counts."""


class Constraints(NamedTuple):
    """Constraints of a selection; None: no such constraint, or for quality non-inferiority to dense on the same samples.

    Attributes:
        quality: Minimum quality, for the lower bound; if lower is better, the maximum, for the upper bound.
        latency_p99_s: Maximum 99th percentile latency in seconds, for the upper bound.
        memory_bytes: Maximum peak memory of any launch in bytes.
        energy_j: Maximum energy per inference in joules, compared with the absolute upper bound, or with that of repeatability if there is none.
        rate_per_s: Minimum inferences per second, for the lower bound of the throughput.
        device_memory_bytes: Maximum peak accelerator memory of any launch in bytes; every case on the CPU satisfies it.
        ttft_s: Maximum time to the first text in seconds, for the upper bound of `percentile_of`; applies to generated text only.
        tpot_s: Maximum time per output token in seconds, in the same way.
        e2e_s: Maximum duration of a request in seconds, in the same way.
    """

    quality: float | None = None
    latency_p99_s: float | None = None
    memory_bytes: float | None = None
    energy_j: float | None = None
    rate_per_s: float | None = None
    device_memory_bytes: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


class Miss(NamedTuple):
    """A constraint that a case does not satisfy at 95 % confidence.

    Attributes:
        constraint: Field of `Constraints`, or `non_inferior`; of generated text the column that was compared, `ttft_p90_s`.
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


def percentile_of(rows: Iterable[Row], stem: str) -> str:
    """The highest percentile of a latency of generated text that all cases have: the same for all, or a case with few requests would be favoured.

    Cases without any value do not count; without a case with one it is p99. p99 needs 368 requests in each launch, p90 36.

    Args:
        rows: Rows of `cases` that are compared.
        stem: ttft, tpot or e2e.
    """
    known = [row for row in rows if row[f"{stem}_p50_s"] is not None]
    return next((p for p in PERCENTILES[:-1] if all(row[f"{stem}_{p}_s"] is not None for row in known)), PERCENTILES[-1])


def misses(row: Row, limits: Constraints, percentiles: Mapping[str, str] = MappingProxyType({})) -> list[Miss]:
    """Constraints that a case does not satisfy.

    Args:
        row: Row of `cases`.
        limits: The constraints.
        percentiles: Percentile of each field of `OF_TEXT`: see `percentile_of`.
    """
    checks = [
        _non_inferior(row) if limits.quality is None else _quality(row, limits.quality),
        *(_at_most(row, name, getattr(limits, name)) for name in AT_MOST),
        *(_of_text(row, f"{stem}_{percentiles.get(name, 'p50')}", getattr(limits, name)) for name, stem in OF_TEXT.items() if is_text(row)),
        _rate(row, limits.rate_per_s),
    ]
    return [miss for miss in checks if miss]


def _quality(row: Row, limit: float) -> Miss | None:
    lower_is_better = row["quality_direction"] == "lower"
    # A baseline agrees with itself by definition, without an interval.
    exact = row["quality_metric"] == AGREEMENT and row["case_id"] == row["baseline_case_id"]
    bound = row["quality" if exact else "quality_high" if lower_is_better else "quality_low"]
    if bound is None and row["quality_metric"] == AGREEMENT and is_text(row) and row["quality_diff_low"] is not None:
        bound = 1 + row["quality_diff_low"]  # paired with a baseline that agrees with itself by definition
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


def _of_text(row: Row, column: str, limit: float | None) -> Miss | None:
    """An upper limit of a percentile over launches, for its upper bound."""
    if limit is None:
        return None
    value, bound = row[f"{column}_s"], row[f"{column}_high_s"]
    if bound is None:
        return Miss(f"{column}_s", limit, value, None)
    return Miss(f"{column}_s", limit, value, bound, bound / limit - 1) if bound > limit else None


def _rate(row: Row, limit: float | None) -> Miss | None:
    rate, low = row["throughput_per_s"], row["throughput_low_per_s"]
    if limit is None or (low is not None and low >= limit):
        return None
    return Miss("rate_per_s", limit, rate, low, float("inf") if low is None else 1 - low / limit)
