"""Effect of each variant against its dense case: whether it is cheaper, by how much, and what it costs in quality."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.frame.reference import is_double
from harness.frame.rows import Row

Answer = Literal["cheaper", "same", "not_separated", "more_expensive"]
Precision = Literal["confirmed", "weights_only", "not_confirmed", "not_run"]

ANSWERS: dict[str, Answer] = {"better": "cheaper", "same": "same", "not separated": "not_separated", "worse": "more_expensive"}
"""Answer of each verdict on the energy."""
RUNS_IN = {"quantization_aware": "int8", "fp8": "float8"}
"""Precision of recipes that are not named after it."""
OF_TEXT = ("load", "energy_j_per_output_token", "input_tokens", "output_tokens", "concurrency", "agreement_noise_floor", "cost_only")
"""Columns of generated text that belong to an effect; null for other cases."""
REQUESTED = re.compile(r"bfloat16|float16|tf32|int16x8|fp8|int8|int4|quantization_aware")
"""Precisions in names of recipes."""
WEIGHTS_ONLY = re.compile(r"weight_int|int\d_weight_only")
"""Names of recipes that store smaller weights and leave the arithmetic as it is."""
DOUBTS = (
    *("card_not_used", "device_not_confirmed", "card_shared", "foreign_load", "differs_from_reference"),
    *("tokens_disagree", "batch_not_reached", "rate_not_reached", "prompt_cache_used", "answers_short"),
)
"""Warnings of the case or its baseline that make their ratio doubtful."""


@dataclass(frozen=True)
class Ratio:
    """Ratio of a quantity to the baseline's.

    Attributes:
        value: Ratio of the geometric means.
        low: Lower bound of its individual 95 % interval; None without one.
        high: Upper bound.
        verdict: better, worse, same or not separated, jointly for all ratios of the run; None without an interval.
        kind: Kind of the values: counter, sampled, modelled or simulated; of a latency measured or simulated.
    """

    value: float
    low: float | None
    high: float | None
    verdict: str | None
    kind: str

    @property
    def excludes_one(self) -> bool:
        """Whether the individual interval does not contain 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


@dataclass(frozen=True)
class QualityCost:
    """Paired difference in quality from the baseline.

    Attributes:
        metric: Name of the metric; `agreement` with the baseline if there are no labels.
        difference: Case minus baseline; of means if the samples were not kept.
        low: One-sided lower 95 % bound; None without an interval.
        high: One-sided upper 95 % bound.
        samples: Number of paired samples; None without an interval.
        margin: Largest loss that is still as good, in the metric's unit.
        verdict: non_inferior, inferior or inconclusive; None without an interval.
        samples_needed: Samples that would decide an inconclusive verdict of two equal models.
    """

    metric: str
    difference: float
    low: float | None
    high: float | None
    samples: int | None
    margin: float
    verdict: str | None
    samples_needed: int | None


@dataclass(frozen=True)
class Effect:
    """Effect of one variant.

    Attributes:
        row: Row of `cases` of the variant.
        dense: Row of its baseline; None if it is not in the suite or did not run.
        answer: Whether the variant is cheaper in energy; None without an answer.
        why_not: Code of why there is no answer: a key of `harness.report.sentences.REASONS`; empty with one.
        energy: Ratio of the energies; None if there is none.
        latency: Ratio of the median latencies; None if there is none.
        quality: Cost in quality; None if quality was not measured or not compared.
        requested: Precision that the variant requests; None: none.
        precision: Whether the requested precision ran; None if none is requested, or it is unknown what ran.
        doubts: Codes of warnings of either case that make the ratios doubtful.
    """

    row: Row
    dense: Row | None
    answer: Answer | None
    why_not: str
    energy: Ratio | None
    latency: Ratio | None
    quality: QualityCost | None
    requested: str | None
    precision: Precision | None
    doubts: tuple[str, ...]


def effects(rows: Sequence[Row], margin: float) -> list[Effect]:
    """Effect of each variant, the largest saving first, those without an answer last.

    Args:
        rows: Rows of `cases` of one run.
        margin: Margin of the quality in the suite.
    """
    by_id = {row["case_id"]: row for row in rows}
    listed = [_effect(row, by_id.get(row["baseline_case_id"]), margin) for row in rows if row["variant"] != "dense"]
    return sorted(listed, key=_order)


def as_data(effect: Effect) -> dict[str, Any]:
    """Values of an effect, for JSON."""
    row = effect.row
    named = {name: row[name] for name in ("run_id", "case_id", "baseline_case_id", "model", "variant", "engine", "engine_options")}
    payback = {name: row[f"payback_{name}"] for name in ("inferences", "low", "high", "verdict")} if row["build_j"] is not None else None
    return {
        **named,
        **{name: row[name] for name in ("device", "batch_size", "threads", "scenario", "status", "repetitions", "unit", *OF_TEXT)},
        "answer": effect.answer,
        "why_not": effect.why_not or None,
        **{name: _dict(getattr(effect, name)) for name in ("energy", "latency", "quality")},
        "precision": {"requested": effect.requested, "ran": row["precision_ran"], "result": effect.precision},
        "reference_case_id": row["reference_case_id"],
        "reference_agreement": row["reference_agreement"],
        "reference_relative_diff": row["reference_relative_diff"],
        "not_finite_share": row["not_finite_share"],
        "build_j": row["build_j"],
        "payback": payback,
        "doubts": list(effect.doubts),
    }


def _dict(value: Ratio | QualityCost | None) -> dict[str, Any] | None:
    return dataclasses.asdict(value) if value else None


def _order(effect: Effect) -> tuple[int, bool, float]:
    ratio = effect.energy or effect.latency
    place = list(ANSWERS.values()).index(effect.answer) if effect.answer else len(ANSWERS)
    return place, effect.energy is None, ratio.value if ratio else float("inf")


def _effect(row: Row, dense: Row | None, margin: float) -> Effect:
    requested = requested_precision(row["variant"])
    precision = _precision(row, requested)
    energy = _ratio(row, "energy", row["energy_kind"])
    latency = _ratio(row, "latency", "simulated" if is_double(row["engine"]) else "measured")
    why_not = _no_ratio(row, dense) or _not_comparable(row, dense) or _no_verdict(row, dense, energy, precision)
    warnings = {code for each in (row, dense or {}) for code in (each.get("warnings") or "").split(";")}
    return Effect(
        row=row,
        dense=dense,
        answer=None if why_not or energy is None else ANSWERS[energy.verdict or "not separated"],
        why_not=why_not,
        energy=energy,
        latency=latency,
        quality=_quality(row, margin),
        requested=requested,
        precision=precision,
        doubts=tuple(code for code in DOUBTS if code in warnings),
    )


def requested_precision(variant: str) -> str | None:
    """Last precision that the chain of recipes names, parameters aside; None if there is none."""
    names = REQUESTED.findall(_names(variant))
    return RUNS_IN.get(names[-1], names[-1]) if names else None


def _names(variant: str) -> str:
    """The chain of recipes without their parameters."""
    return re.sub(r"\([^()]*\)", "", variant)


def _precision(row: Row, requested: str | None) -> Precision | None:
    """Whether the requested precision ran: by the findings on the kernels, otherwise by the precision that ran."""
    warnings = (row["warnings"] or "").split(";")
    if "optimisation_not_run" in warnings:
        return "not_run"
    if "optimisation_not_confirmed" in warnings:
        return "not_confirmed"
    ran = row["precision_ran"]
    if requested is None or ran is None:
        return None
    if WEIGHTS_ONLY.search(_names(row["variant"])) or ran == f"{requested} weights":
        return "weights_only"
    if requested.removesuffix("x8") in ran.replace("uint8", "int8"):
        return "not_run" if requested == "int8" and row["int8_share"] == 0 else "confirmed"
    # A recipe named after float16 that requests no arithmetic stores it: its engine computes in float32 (else there is a finding).
    return "weights_only" if requested == "float16" else "not_run"


def _ratio(row: Row, quantity: str, kind: str) -> Ratio | None:
    value, low, high = (row[f"{quantity}_vs_baseline{end}"] for end in ("", "_low", "_high"))
    return None if value is None else Ratio(value, low, high, row[f"{quantity}_verdict"], kind)


def _no_ratio(row: Row, dense: Row | None) -> str:
    """Why one of the cases has no energy; empty if both have one."""
    if row["status"] != "ok":
        return "failed"
    if dense is None:
        return "no_dense" if row["baseline_case_id"] is None else "dense_not_run"
    if dense["status"] != "ok":
        return "dense_failed"
    for each, prefix in ((row, ""), (dense, "dense_")):
        if each["energy_j"] is None:
            return f"{prefix}{'invalid' if each['valid'] is False else 'absent'}"
    return ""


def _not_comparable(row: Row, dense: Row | None) -> str:
    """Why the two energies have no ratio; empty if they have one."""
    if dense is None or row["environment_id"] != dense["environment_id"]:
        return "other_environment"
    if row["energy_kind"] != dense["energy_kind"]:
        return "other_kind"
    if row["energy_vs_baseline"] is None:
        return "other_domains" if row["energy_scope"] != dense["energy_scope"] else "not_positive"
    return ""


def _no_verdict(row: Row, dense: Row | None, energy: Ratio | None, precision: Precision | None) -> str:
    """Why the ratio is no answer about the variant; empty if it is."""
    if precision in ("not_run", "not_confirmed"):
        return precision
    if min(each["energy_repetitions"] for each in (row, dense or row)) < 2:
        return "one_launch"
    return "no_scatter" if energy is None or energy.verdict is None else ""


def _quality(row: Row, margin: float) -> QualityCost | None:
    difference = row["quality_diff"] if row["quality_diff"] is not None else row["quality_vs_baseline"]
    if difference is None:
        return None
    names = ("quality_diff_low", "quality_diff_high", "quality_samples")
    low, high, samples = (row[name] for name in names)
    return QualityCost(row["quality_metric"], difference, low, high, samples, margin, row["quality_verdict"], row["quality_samples_needed"])


def verdict_count(rows: Sequence[Mapping[str, Any]]) -> int:
    """Number of ratios whose verdicts hold jointly."""
    return sum(row[f"{quantity}_verdict"] is not None for row in rows for quantity in ("energy", "latency"))
