"""Text of a constraint that a case does not satisfy."""

from __future__ import annotations

from harness.decide.limits import Miss
from harness.frame.rows import Row
from harness.text import Scale, number

NAMES = {
    "latency_p99_s": ("latency p99", "s"),
    "memory_bytes": ("peak memory", "B"),
    "device_memory_bytes": ("peak device memory", "B"),
    "energy_j": ("energy", "J"),
    "rate_per_s": ("throughput", "inferences/s"),
}
"""Name and unit of each constraint with a limit in SI."""
ONE_LAUNCH = "the spread of a single launch is unknown"


def miss_text(row: Row, miss: Miss) -> str:
    """`energy 500 µJ, upper 95 % bound 510 µJ: at most 400 µJ required`."""
    if miss.constraint == "non_inferior":
        return _inferior(row)
    if miss.constraint == "quality":
        return _quality(row, miss)
    name, unit = NAMES[miss.constraint]
    side, word = ("lower", "at least") if miss.constraint == "rate_per_s" else ("upper", "at most")
    if miss.value is None:
        return f"{name} unknown{' (a launch had fewer than 368 queries)' if miss.constraint == 'latency_p99_s' else ''}"
    if miss.bound is None:
        return f"{name} has no {side} bound: {ONE_LAUNCH}"
    scale = Scale([] if side == "lower" else [miss.value, miss.limit], unit)
    bound = "" if miss.bound == miss.value else f", {side} 95 % bound {number(scale(miss.bound))} {scale.unit}"
    return f"{name} {number(scale(miss.value))} {scale.unit}{bound}: {word} {number(scale(miss.limit))} {scale.unit} required"


def _quality(row: Row, miss: Miss) -> str:
    name = row["quality_metric"] or "quality"
    side, word = ("upper", "at most") if row["quality_direction"] == "lower" else ("lower", "at least")
    if miss.value is None:
        return f"{name} unknown"
    if miss.bound is None:
        return f"{name} {number(miss.value, 4)} has no {side} bound"
    return f"{name} {number(miss.value, 4)}, {side} 95 % bound {number(miss.bound, 5)}: {word} {number(miss.limit, 4)} required"


def _inferior(row: Row) -> str:
    if row["quality_verdict"] is None:
        return "quality was not compared with dense: it was not measured, or not on the same samples"
    inferior = row["quality_verdict"] == "inferior"
    result = "is worse than dense by more than the margin" if inferior else "may be worse than dense by more than the margin"
    low, high, needed = row["quality_diff_low"], row["quality_diff_high"], row["quality_samples_needed"]
    more = f"; about {needed:,} test samples would be needed to decide this for two equal models" if needed else ""
    return f"{row['quality_metric']} {result} ({row['quality_diff']:+.3g} [{low:+.3g}, {high:+.3g}], 90 %{more})"
