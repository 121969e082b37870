"""Findings about the cases of a run as sentences with numbers: precision, time and quality relative to dense; no claim without separation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.text import engine_text, number

Row = Mapping[str, Any]

REQUESTED = re.compile(r"weight_int\d|int\d_weight_only|quantization_aware|bfloat16|float16|tf32|fp8|int16x8|int8|int4")
"""Precisions in names of recipes, of the weights alone or of all arithmetic."""
WEIGHTS = "weight_"
ALIASES = {"quantization_aware": "int8", "fp8": "float8", "int8_weight_only": f"{WEIGHTS}int8", "int4_weight_only": f"{WEIGHTS}int4"}
ZEROS = 0.25
"""Share of weights that are exactly 0 from which a case is called pruned; an unpruned network has almost none."""
NO_SAVING = 0.95
"""Lower bound of the ratio above which a relevant saving is excluded: only then the report states that no time was saved."""


def sentences(rows: Sequence[Row]) -> list[str]:
    """One sentence per case and finding, in the order of the rows of `cases`; none if nothing was optimised or is known about it."""
    by_id = {row["case_id"]: row for row in rows}
    lines = []
    for row in rows:
        if row["status"] != "ok":
            continue
        baseline = by_id.get(row["baseline_case_id"])
        findings = [_not_finite(row)]
        if baseline and baseline is not row and baseline["status"] == "ok":
            findings += [_precision(row, baseline) or _pruning(row, baseline), _quality(row)]
        name = _name(row, rows)
        lines += [f"{name}: {each}" for each in findings if each]
    return lines


def _name(row: Row, rows: Sequence[Row]) -> str:
    """Variant and engine, and the other columns in which the rows differ."""
    varying = [column for column in ("model", "device", "batch_size", "threads", "scenario") if len({r[column] for r in rows}) > 1]
    words = {"model": "{}", "device": "{}", "batch_size": "batch {}", "threads": "{} threads", "scenario": "{}"}
    return ", ".join([f"{row['variant']} on {engine_text(row)}", *(words[column].format(row[column]) for column in varying)])


def _not_finite(row: Row) -> str | None:
    """Share of outputs that are not finite: a class is read from NaN as well."""
    share = row["not_finite_share"]
    return (
        f"{number(100 * share, 2)} % of its outputs are not finite: check whether the model overflows in this precision on this engine"
        if share
        else None
    )


def _precision(row: Row, baseline: Row) -> str | None:
    """Whether the requested precision ran, and its effect on the time."""
    requested = _requested(row["variant"])
    ran, before = row["precision_ran"], baseline["precision_ran"]
    if requested and "optimisation_not_confirmed" in (row["warnings"] or "").split(";"):
        reported = f" (the engine reports {ran})" if ran else ""
        return f"{requested} was requested, but nothing confirms that it ran{reported}{_time(row)}"
    if not requested or not ran:
        return None
    if requested.startswith(WEIGHTS):
        return f"weights in {requested.removeprefix(WEIGHTS)}, {ran} ran{_time(row)}"
    if requested.removesuffix("x8") not in ran:
        return f"{requested} was requested, but {ran} ran{_time(row)}"
    share = row.get("int8_share")
    if share == 0 and requested == "int8":
        return f"int8 was requested, but no int8 kernel ran{_time(row)}"
    basis = "multiply-accumulates" if "multiply-accumulates" in str(row.get("kernels")) else "time"
    kernels = f", {100 * share:.0f} % of the {basis} in int8 kernels" if share and requested == "int8" else ""
    return f"{ran} ran{kernels}{_time(row, before if before and before != ran else 'dense')}"


def _requested(variant: str) -> str | None:
    """Last precision named by the chain of recipes, parameters aside; None if there is none."""
    names = REQUESTED.findall(re.sub(r"\([^()]*\)", "", variant))
    return ALIASES.get(names[-1], names[-1]) if names else None


def _pruning(row: Row, baseline: Row) -> str | None:
    """Effect of zero weights on the time; None for a chain that also changes the precision, since the two effects cannot be separated."""
    zeros, before = _zeros(row), _zeros(baseline) or 0.0
    low, high = row["latency_vs_baseline_low"], row["latency_vs_baseline_high"]
    if zeros is None or zeros < ZEROS or zeros <= before + ZEROS / 2 or _requested(row["variant"]) or low is None or high is None:
        return None
    pruned = f"pruned to {100 * zeros:.0f} % zeros"
    if low < NO_SAVING:
        return f"{pruned}{_time(row)}"
    unused = "; no kernel used the zeros" if row.get("kernels") and "spars" not in str(row["kernels"]).lower() else ""
    return f"{pruned}{unused}: no time was saved (p50 ratio {_ratio(row)})"


def _zeros(row: Row) -> float | None:
    """Share of the weights that are exactly 0; None if the format does not store it."""
    if not row["parameters"] or row["nonzero_parameters"] is None:
        return None
    return 1 - float(row["nonzero_parameters"]) / float(row["parameters"])


def _time(row: Row, than: str = "dense") -> str:
    """`, and was slower than float32 on this CPU (1.5 x [1.4, 1.6])`; empty without an interval."""
    low, high = row["latency_vs_baseline_low"], row["latency_vs_baseline_high"]
    if low is None or high is None:
        return ""
    if low <= 1 <= high:
        return f"; its time is not separated from {than}'s (p50 ratio {_ratio(row)})"
    return f", and was {'slower' if low > 1 else 'faster'} than {than} on this {row['device'].upper()} ({_ratio(row, ' x')})"


def _ratio(row: Row, unit: str = "") -> str:
    value, low, high = (row[f"latency_vs_baseline{end}"] for end in ("", "_low", "_high"))
    return f"{number(value)}{unit} [{number(low)}, {number(high)}]"


def _quality(row: Row) -> str | None:
    """Result of the paired comparison of quality; None if the case is non-inferior."""
    verdict, metric = row["quality_verdict"], row["quality_metric"]
    if verdict not in ("inferior", "inconclusive"):
        return None
    numbers = f"{row['quality_diff']:+.3g} [{row['quality_diff_low']:+.3g}, {row['quality_diff_high']:+.3g}], 90 %"
    if verdict == "inferior":
        return f"{metric} is worse than dense by more than the margin ({numbers})"
    needed = row["quality_samples_needed"]
    return f"{metric} may be worse than dense by more than the margin ({numbers})" + (
        f"; about {needed:,} test samples would be needed to decide this for two equal models" if needed else ""
    )
