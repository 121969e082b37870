"""Effect of each variant against dense in a sentence with its numbers, and what else the table reveals; no claim without separation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.decide.effects import DOUBTS, Effect, Ratio, as_data, effects, verdict_count
from harness.frame.baseline import JOINT_ALPHA, STOPPED_ALPHA
from harness.frame.rows import Row
from harness.frame.settings import is_text, setting_text, timing_of
from harness.report.tables import NS, provenance
from harness.report.words import words_of
from harness.schema import Header
from harness.text import counted, engine_text, number

ZEROS = 0.25
"""Share of weights that are exactly 0 from which a case is called pruned; an unpruned network has almost none."""
POINTS = ("accuracy", "multilabel_accuracy", "pixel_accuracy", "token_accuracy", "agreement")
"""Metrics between 0 and 1 whose differences are given in percentage points; the unit of a user's metric is unknown."""
CLAIMS = {
    ("cheaper", ""): "is cheaper",
    ("cheaper", "better"): "is cheaper and faster",
    ("cheaper", "worse"): "is cheaper but slower",
    ("same", ""): "uses the same energy within 1 %",
    ("same", "better"): "uses the same energy within 1 %, and is faster",
    ("same", "worse"): "uses the same energy within 1 %, and is slower",
    ("not_separated", ""): "is not shown to be cheaper or more expensive",
    ("not_separated", "better"): "is faster, but not shown to be cheaper or more expensive",
    ("not_separated", "worse"): "is slower, and not shown to be cheaper or more expensive",
    ("more_expensive", ""): "is more expensive",
    ("more_expensive", "better"): "is more expensive but faster",
    ("more_expensive", "worse"): "is more expensive and slower",
}
"""Claim of each answer on the energy and verdict on the latency."""
REASONS = {
    "failed": "the case did not complete ({status})",
    "no_dense": "the suite has no dense case with the same settings; add `dense` to `variants`",
    "dense_not_run": "its dense case has not run",
    "dense_failed": "its dense case did not complete ({dense_status})",
    "invalid": "its energy is invalid ({invalid})",
    "dense_invalid": "the energy of dense is invalid ({dense_invalid})",
    "absent": "its energy was not measured",
    "dense_absent": "the energy of dense was not measured",
    "other_environment": "dense was measured in another environment, so the ratio is also that of two machines or versions",
    "other_kind": "its energy is {kind} and that of dense {dense_kind}",
    "other_domains": "its energy sums {scope} and that of dense {dense_scope}",
    "not_positive": "an energy is not positive",
    "not_run": "{ran} ran, so this is not the ratio of {requested}",
    "not_confirmed": "nothing confirms that {requested} ran{reported}, so this may not be the ratio of {requested}",
    "one_launch": "a single launch has no interval",
    "no_scatter": "identical launches have no interval",
}
"""Why there is no answer, by code."""
KINDS = {"modelled": "modelled ", "simulated": "simulated "}


def sentences(header: Header, rows: Sequence[Row]) -> list[str]:
    """One sentence for each variant, the largest saving first.

    Args:
        header: Header of the run.
        rows: Rows of `cases` of the run.
    """
    return [": ".join(filter(None, parts)) for parts in claims(header, rows)]


def claims(header: Header, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The sentences as pairs of a claim and its figures."""
    listed = effects(rows, header.suite.quality_margin)
    common = _common_doubts(listed)
    several = _several_models(rows)
    return [_parts(effect, several, common) for effect in listed]


def output_sentences(rows: Sequence[Row]) -> list[str]:
    """Outputs of dense cases: those that are not finite, and those that differ between engines."""
    several = _several_models(rows)
    broken = [f"{_name(row, several)}: {text}" for row in rows if row["variant"] == "dense" and (text := _not_finite(row))]
    return [*broken, *_reference_sentences(rows)]


def run_effects(header: Header, rows: Sequence[Row]) -> dict[str, Any]:
    """Effects of the variants of a run and outputs of its dense cases as data, each effect with its sentence, for JSON."""
    columns = ("case_id", "reference_case_id", "reference_agreement", "reference_relative_diff", "reference_samples")
    several = _several_models(rows)
    return {
        "run_id": header.run_id,
        "joint_ratios": verdict_count(rows),
        "joint_alpha": joint_alpha(header),
        "effects": [
            as_data(each) | {"sentence": ": ".join(filter(None, _parts(each, several)))}
            for each in effects(rows, header.suite.quality_margin)
        ],
        "references": [{name: row[name] for name in columns} for row in rows if row["variant"] == "dense"],
    }


def joint_alpha(header: Header) -> float:
    """Probability that any verdict of a run is wrong."""
    return JOINT_ALPHA if header.profile.half_width is None else STOPPED_ALPHA


def preface(header: Header, rows: Sequence[Row]) -> str:
    """What the sentences compare, and what their brackets mean."""
    count = verdict_count(rows)
    kinds = {row["energy_kind"] for row in rows}
    doubts = _common_doubts(effects(rows, header.suite.quality_margin))
    parts = [
        "Variants against dense with all other settings equal; brackets: 95 % intervals, of quality one-sided 95 % bounds.",
        f"{provenance(rows)}.",
        f"The verdicts hold jointly for {count} ratios (Shaffer, {100 * joint_alpha(header):g} %); {NS} = not separated." if count else "",
        "Modelled energy follows the CPU load and was not measured." if "modelled" in kinds else "",
        "Simulated energy is not valid for any real machine." if "simulated" in kinds else "",
        f"All ratios are doubtful: {', '.join(doubts)}." if doubts else "",
    ]
    return " ".join(filter(None, parts))


def _common_doubts(listed: Sequence[Effect]) -> tuple[str, ...]:
    """Doubts of all effects, which are named once."""
    shared = set.intersection(*(set(each.doubts) for each in listed)) if len(listed) > 1 else set()
    return tuple(code for code in DOUBTS if code in shared)


def _parts(effect: Effect, several: bool, without: Sequence[str] = ()) -> tuple[str, str]:
    """(claim, its figures) of a variant, without some doubts; no figures of a case that did not complete."""
    claim = f"{_name(effect.row, several)} {_claim(effect)}"
    if effect.why_not == "failed":
        return claim, ""
    figures = ", ".join(filter(None, (_energy(effect), _latency(effect))))
    clauses = [
        _quality(effect),
        _noise_floor(effect.row),
        f"cost only: {effect.row['cost_only']}" if effect.row["cost_only"] else None,
        _precision(effect),
        _dense_precision(effect),
        _pruning(effect),
        _not_finite(effect.row),
        _payback(effect),
        _doubts(effect, without),
    ]
    return claim, "; ".join(filter(None, (figures, *clauses)))


def _several_models(rows: Sequence[Row]) -> bool:
    return len({row["model"] for row in rows}) > 1


def _name(row: Row, several: bool) -> str:
    """`int8 on litert (cpu, batch 1, 1 thread)`, after the model if there are several."""
    model = f"{row['model']}: " if several else ""
    threads = counted(row["threads"], "thread")
    place = f"{model}{row['variant']} on {engine_text(row)} ({row['device']}, {setting_text(row)}, {threads}"
    if is_text(row):
        return f"{place})"
    scenario = "" if row["scenario"] == "single_stream" else f", {row['scenario']}"
    timing = f", {text}" if (text := timing_of(row)) else ""
    return f"{place}{scenario}{timing})"


def _claim(effect: Effect) -> str:
    row, dense = effect.row, effect.dense or {}
    if effect.answer:
        speed = effect.latency.verdict if effect.latency else None
        kind = KINDS.get(row["energy_kind"], "").strip()
        return CLAIMS[effect.answer, speed if speed in ("better", "worse") else ""] + (f" ({kind})" if kind else "")
    values = {name: row[column] for name, column in (("kind", "energy_kind"), ("scope", "energy_scope"), ("status", "status"))}
    values |= {
        f"dense_{name}": dense.get(column) for name, column in (("kind", "energy_kind"), ("scope", "energy_scope"), ("status", "status"))
    }
    for prefix, each in (("", row), ("dense_", dense)):
        values[f"{prefix}invalid"] = (each.get("invalid_reasons") or "reason not recorded").replace(";", ", ")
    ran = row["precision_ran"]
    values |= {
        "requested": effect.requested or row["variant"],
        "ran": f"no {effect.requested} kernel" if ran and effect.requested and effect.requested in ran else ran or "another precision",
        "reported": f" (the engine reports {ran})" if ran else "",
    }
    return f"has no verdict: {REASONS[effect.why_not].format(**values)}"


def _energy(effect: Effect) -> str | None:
    if effect.energy is None:
        return None
    kind = "" if effect.answer else KINDS.get(effect.energy.kind, "")
    return f"{number(effect.energy.value)} x the {kind}{words_of(effect.row).energy} of dense{_bounds(effect.energy)}"


def _latency(effect: Effect) -> str | None:
    if effect.latency is None:
        return None
    than = "" if effect.energy else " of dense"
    return f"{number(effect.latency.value)} x the {KINDS.get(effect.latency.kind, '')}p50 {words_of(effect.row).latency}{than}{_bounds(effect.latency)}"


def _bounds(ratio: Ratio) -> str:
    """` [0.60, 0.65]`, with `n.s.` if the ratio is not separated from 1, jointly if its own interval does not contain 1."""
    if ratio.low is None or ratio.high is None:
        return ""
    separated = f" {NS}{' jointly' if ratio.excludes_one else ''}" if ratio.verdict == "not separated" else ""
    return f" [{number(ratio.low)}, {number(ratio.high)}]{separated}"


def _quality(effect: Effect) -> str:
    """Paired difference with its interval, and whether a loss above the margin is excluded."""
    cost = effect.quality
    if cost is None:
        return "quality not compared" if effect.row["quality_metric"] else "quality not measured"
    factor, unit = (100, " points") if cost.metric in POINTS else (1, "")
    name = "agreement with dense" if cost.metric == "agreement" else cost.metric
    text = f"{name} {_signed(factor * cost.difference)}{unit}"
    if cost.verdict is None or cost.low is None or cost.high is None or cost.samples is None:
        return f"{text}, without an interval"
    margin = f"{factor * cost.margin:g}{unit if factor * cost.margin != 1 else unit.removesuffix('s')}"
    needed = f" (about {cost.samples_needed:,} samples needed)" if cost.samples_needed else ""
    result = {
        "non_inferior": f"within the margin of {margin}",
        "inferior": f"a loss above the margin of {margin}",
        "inconclusive": f"a loss above the margin of {margin} is not excluded{needed}",
    }[cost.verdict]
    return f"{text} [{_signed(factor * cost.low)}, {_signed(factor * cost.high)}] ({counted(cost.samples, 'paired sample')}), {result}"


def _noise_floor(row: Row) -> str | None:
    """Agreement of dense with itself at the same load, below which an agreement is no evidence."""
    floor = row["agreement_noise_floor"]
    return f"dense agrees with itself to {100 * floor:.1f} %" if row["quality_metric"] == "agreement" and floor is not None else None


def _signed(value: float) -> str:
    """`+1.4`, `-0.28`, `0`."""
    return f"{value:+.2g}" if value else "0"


def _precision(effect: Effect) -> str | None:
    """The precision that ran, if it was requested, with the share of int8."""
    row, ran = effect.row, effect.row["precision_ran"]
    if effect.precision == "weights_only":
        return f"{ran}, arithmetic not reported" if ran.endswith(" weights") else f"{effect.requested} weights, {ran} arithmetic"
    if effect.precision != "confirmed":
        return None
    share = row["int8_share"] if effect.requested == "int8" else None
    basis = "multiply-accumulates" if "multiply-accumulates" in str(row["kernels"]) else "time"
    return f"{ran} ran" + (f" ({100 * share:.0f} % of the {basis})" if share else "")


def _dense_precision(effect: Effect) -> str | None:
    """The precision of dense if it is not float32, so that a ratio is not taken as one to float32."""
    dense = effect.dense or {}
    ran = "float32 with TF32 allowed" if dense.get("tf32") else dense.get("precision_ran")
    return f"dense ran in {ran}" if ran not in (None, "float32") and effect.energy else None


def _pruning(effect: Effect) -> str | None:
    """Zero weights that dense does not have, and whether a kernel used them."""
    zeros, before = _zeros(effect.row), _zeros(effect.dense or {}) or 0.0
    if zeros is None or zeros < ZEROS or zeros <= before + ZEROS / 2:
        return None
    unused = ", which no kernel used" if effect.row["kernels"] and "spars" not in str(effect.row["kernels"]).lower() else ""
    return f"{100 * zeros:.0f} % of its weights are zero{unused}"


def _zeros(row: Row) -> float | None:
    """Share of the weights that are exactly 0; None if the format does not store it."""
    if not row.get("parameters") or row["nonzero_parameters"] is None:
        return None
    return 1 - float(row["nonzero_parameters"]) / float(row["parameters"])


def _not_finite(row: Row) -> str | None:
    """Share of outputs that are not finite: a class is read from NaN as well."""
    share = row["not_finite_share"]
    return (
        f"{number(100 * share, 2)} % of its outputs are not finite: check whether the model overflows in this precision on this engine"
        if share
        else None
    )


def _payback(effect: Effect) -> str | None:
    """When the energy of the build is saved, if it is."""
    row = effect.row
    return (
        f"its build pays back after {payback(row)} {words_of(row).many}"
        if effect.answer == "cheaper" and row["payback_verdict"] == "pays_back"
        else None
    )


def payback(row: Row) -> str:
    """Number of inferences, or of output tokens, with its interval, or why there is none."""
    verdict, point = row["payback_verdict"], row["payback_inferences"]
    if verdict == "no_saving":
        return "never: no saving"
    if verdict == "not_separated":
        return f"at least {_count(row['payback_low'], 2)}, no upper bound: the saving is not separated from 0"
    if point is None:
        return "no saving; too few repetitions for an interval"
    if verdict is None:
        return f"{_count(point)}; too few repetitions for an interval"
    return f"{_count(point)} [{_count(row['payback_low'], 2)} {_count(row['payback_high'], 2)}]"


def _count(value: float, digits: int = 3) -> str:
    """A large number rounded to some digits: `1,250,000`."""
    return f"{float(f'{value:.{digits}g}'):,.0f}" if 100 <= value < 1e12 else f"{value:.{digits}g}"


def _doubts(effect: Effect, without: Sequence[str]) -> str | None:
    codes = [code for code in effect.doubts if code not in without]
    return f"doubtful: {', '.join(codes)}" if codes else None


def _reference_sentences(rows: Sequence[Row]) -> list[str]:
    """Agreement of the dense cases with each reference: whether an exported model answers as the original does."""
    dense = [row for row in rows if row["variant"] == "dense" and row["status"] == "ok"]
    by_id = {row["case_id"]: row for row in dense}
    others: dict[tuple[str, str], list[Row]] = {}
    for row in dense:
        reference = by_id.get(row["reference_case_id"])
        if reference and reference is not row:
            others.setdefault((row["model"], _place(reference)), []).append(row)
    several = _several_models(rows)
    return [
        f"{f'{model}: ' if several else ''}outputs of dense against those on {reference}: {'; '.join(_agreements(own))}"
        for (model, reference), own in others.items()
    ]


def _place(row: Row) -> str:
    return f"{engine_text(row)} ({row['device']})"


def _agreements(rows: Sequence[Row]) -> list[str]:
    """The least agreement and the largest difference on each engine and device."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_place(row), []).append(row)
    return [f"{name} {_agreement(own)}" for name, own in groups.items()]


def _agreement(rows: Sequence[Row]) -> str:
    compared = [row for row in rows if row["reference_agreement"] is not None]
    if not compared:
        return "not comparable (no outputs were kept, or they have another shape)"
    least = min(compared, key=lambda row: row["reference_agreement"])
    differences = [row["reference_relative_diff"] for row in compared]
    largest = "unknown (not finite)" if None in differences else f"{max(differences):.2g}"
    return f"agrees on {100 * least['reference_agreement']:.4g} % of {least['reference_samples']} samples, largest relative difference {largest}"
