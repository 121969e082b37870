"""Text of a constraint that a case does not satisfy."""

from __future__ import annotations

from harness.decide.limits import Miss
from harness.frame.rows import Row
from harness.frame.settings import is_text
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


NAMES_OF_TEXT = {
    "latency_p99_s": ("TPOT p99", "s"),
    "energy_j": ("energy per output token", "J"),
    "rate_per_s": ("throughput", "output tokens/s"),
}
"""Those that differ for generated text."""
LATENCIES = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "end to end"}


def name_of(constraint: str, row: Row) -> tuple[str, str]:
    """Name and unit of a constraint with a limit in SI, for a row; of a column of a latency `TTFT p90`."""
    if constraint in NAMES:
        return (NAMES | NAMES_OF_TEXT)[constraint] if is_text(row) else NAMES[constraint]
    stem, percentile, unit = constraint.split("_")
    return f"{LATENCIES[stem]} {percentile}", unit


def miss_text(row: Row, miss: Miss) -> str:
    """`energy 500 µJ, upper 95 % bound 510 µJ: at most 400 µJ required`."""
    if miss.constraint == "non_inferior":
        return _inferior(row)
    if miss.constraint == "quality":
        return _quality(row, miss)
    name, unit = name_of(miss.constraint, row)
    side, word = ("lower", "at least") if miss.constraint == "rate_per_s" else ("upper", "at most")
    if miss.value is None:
        few = f"fewer than 368 {'requests' if is_text(row) else 'queries'}"
        single = " (its answers have a single token)" if miss.constraint.startswith("tpot") else ""
        return f"{name} unknown{f' (a launch had {few})' if miss.constraint == 'latency_p99_s' else single}"
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
