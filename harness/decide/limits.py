"""A row of `cases` and the limits asked for -> which it misses, by how much, in a sentence each."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.text import Scale, number

Row = dict[str, Any]


class Constraints(NamedTuple):
    """What a choice must keep; null: no such limit. Without a least quality a case must be shown as good as dense, on the same samples.

    Attributes:
        quality: The least quality, judged by the lower bound; of a metric of which less is better, the most, by the upper bound.
        latency_p99_s: The most, by the upper bound.
        memory_bytes: The most peak memory of any launch.
        energy_j: The most per inference, by the upper absolute bound, where there is none by that of repeatability.
        device_memory_bytes: The most memory of its accelerator that any launch held; a case on the CPU holds none.
        rate_per_s: Inferences a second that it must keep up with, by the lower bound of its throughput.
    """

    quality: float | None = None
    latency_p99_s: float | None = None
    memory_bytes: float | None = None
    energy_j: float | None = None
    rate_per_s: float | None = None
    device_memory_bytes: float | None = None


class Miss(NamedTuple):
    """A limit that a case does not keep.

    Attributes:
        sentence: Measured value and constraint.
        shortfall: By what share of the limit; infinite where it is not known.
    """

    sentence: str
    shortfall: float


def misses(row: Row, limits: Constraints) -> list[Miss]:
    """The limits that a case is not shown to keep.

    Args:
        row: Of the table `cases`.
        limits: As asked for.
    """
    found = [
        _quality(row, limits.quality) if limits.quality is not None else _as_good(row),
        _most(row, "latency p99", "latency_p99_s", ("latency_p99_high_s",), limits.latency_p99_s, "s"),
        _most(row, "peak memory", "peak_memory_bytes", ("peak_memory_bytes",), limits.memory_bytes, "B"),
        _device_memory(row, limits.device_memory_bytes),
        _most(row, "energy", "energy_j", ("energy_abs_high_j", "energy_high_j"), limits.energy_j, "J"),
        _rate(row, limits.rate_per_s),
    ]
    return [miss for miss in found if miss]


def _quality(row: Row, wanted: float) -> Miss | None:
    higher = row["quality_direction"] != "lower"
    side, column = ("lower", "quality_low") if higher else ("upper", "quality_high")
    # A baseline agrees with itself for certain, and has no interval.
    own = row["quality_metric"] == "agreement" and row["case_id"] == row["baseline_case_id"]
    bound = row["quality"] if own else row[column]
    if bound is None:
        known = "is unknown" if row["quality"] is None else f"{number(row['quality'], 4)} has no {side} bound"
        return Miss(f"its {row['quality_metric'] or 'quality'} {known}", float("inf"))
    short = wanted - bound if higher else bound - wanted
    if short <= 0:
        return None
    word = "at least" if higher else "at most"
    return Miss(
        f"{row['quality_metric']} {number(row['quality'], 4)}, {side} 95 % bound {number(bound, 5)}: {word} {number(wanted, 4)} required",
        short / max(abs(wanted), 1e-12),
    )


def _as_good(row: Row) -> Miss | None:
    """Paired with its dense on the same samples, within the suite's margin."""
    if row["quality"] is not None and (row["case_id"] == row["baseline_case_id"] or row["quality_verdict"] == "non_inferior"):
        return None
    if row["quality_verdict"] is None:
        return Miss("its quality is not compared with dense: not measured, or not on the same samples", float("inf"))
    low, high = row["quality_diff_low"], row["quality_diff_high"]
    shown = (
        "is worse than dense by more than the margin"
        if row["quality_verdict"] == "inferior"
        else "is not shown to be non-inferior to dense"
    )
    needed = row["quality_samples_needed"]
    more = f"; about {needed:,} test samples would decide it for two equal models" if needed else ""
    worst = low if row["quality_direction"] != "lower" else -high
    return Miss(f"{row['quality_metric']} {shown} ({row['quality_diff']:+.3g} [{low:+.3g}, {high:+.3g}], 90 %{more})", max(0.0, -worst))


def _most(row: Row, name: str, column: str, bounds: tuple[str, ...], wanted: float | None, unit: str) -> Miss | None:
    if wanted is None:
        return None
    if row[column] is None:
        few = " (a launch had fewer than 368 queries)" if column == "latency_p99_s" else ""
        return Miss(f"its {name} is unknown{few}", float("inf"))
    bound = next((row[each] for each in bounds if row[each] is not None), None)
    if bound is None:
        return Miss(f"its {name} has no upper bound: a single launch has no measured spread", float("inf"))
    if bound <= wanted:
        return None
    scale = Scale([row[column], wanted], unit)
    upper = "" if bound == row[column] else f", upper 95 % bound {number(scale(bound))} {scale.unit}"
    found = f"{name} {number(scale(row[column]))} {scale.unit}{upper}"
    return Miss(f"{found}: at most {number(scale(wanted))} {scale.unit} required", bound / wanted - 1 if wanted else float("inf"))


def _device_memory(row: Row, wanted: float | None) -> Miss | None:
    """A case on the CPU keeps every limit of an accelerator's memory."""
    if row["device"] == "cpu":
        return None
    return _most(row, "peak device memory", "peak_device_memory_bytes", ("peak_device_memory_bytes",), wanted, "B")


def _rate(row: Row, wanted: float | None) -> Miss | None:
    if wanted is None:
        return None
    rate, low = row["throughput_per_s"], row["throughput_low_per_s"]
    if rate is None:
        return Miss("its throughput is unknown", float("inf"))
    if low is None:
        return Miss("its throughput has no lower bound: a single launch has no measured spread", float("inf"))
    if low >= wanted:
        return None
    return Miss(f"it does {number(rate)} inferences/s, lower 95 % bound {number(low)}: {number(wanted)} required", 1 - low / wanted)
