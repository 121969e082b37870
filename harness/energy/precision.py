"""Check that the requested precision ran, by the kernels that ran and the types that the artifact stores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.analysis.kernels import BASES, precision_of, share_of
from harness.energy.codes import finding
from harness.schema import Finding, Kernel

STORED_AS = {"int16x8": "int8"}
"""Stored type of a precision that is named after activations and weights; any other is stored as itself."""
LEAST_SHARE, LISTED_SHARE = 0.5, 0.005
"""Least share of the parameters that must be stored as requested, and least share of a type that is listed."""
CAST_WHEN_LOADED = ("float16", "bfloat16", "tf32")
"""Precisions that an engine may cast floating-point numbers to, whatever the artifact stores."""


def examine_precision(
    requested: str | None, reported: str | None, kernels: Sequence[Kernel], stored: Collection[str] | None = None, *, profiled: bool = True
) -> list[Finding]:
    """Findings on the requested precision; it is confirmed by kernels that the artifact does not contradict, not by the engine's report.

    Args:
        requested: Precision that the variant requests; None: none.
        reported: Precision that the engine reports; None: not reported.
        kernels: Kernels that ran; empty: unknown.
        stored: Types of the numbers in the artifact; None: unknown.
        profiled: Whether the kernels were requested in this repetition. If not, nothing is found: the engine's report on the whole file would
            contradict the kernels of another repetition where a model is int8 in its multiplications and float32 in the rest.
    """
    if requested is None or not profiled:
        return []
    observed = precision_of(kernels)
    ran = observed or reported
    if ran and requested not in ran.replace("uint8", "int8").split():
        return [finding("optimisation_not_run", asked=requested, ran=ran, share=_share_text(kernels, requested))]
    why = ""
    if observed is None:
        why = f"the engine reports no kernels, only {reported!r}" if reported else "the engine reports neither kernels nor precision"
    elif stored is not None and requested not in CAST_WHEN_LOADED and STORED_AS.get(requested, requested) not in stored:
        why = f"its kernels are {requested}, but the artifact stores only {' and '.join(sorted(stored)) or 'no numbers'}"
    return [finding("optimisation_not_confirmed", asked=requested, why=why)] if why else []


def examine_weights(weights: Mapping[str, Any]) -> list[Finding]:
    """Findings on the stored weights: other types than the variant requests, and weights whose quality means nothing.

    Args:
        weights: `stored` (share of the parameters by type), `requested_types`, `requantized_from` and `random_weights`, each if it is known.
    """
    findings = []
    stored, requested = weights.get("stored") or {}, weights.get("requested_types") or []
    share = sum(stored.get(name, 0.0) for name in requested)
    if requested and share < LEAST_SHARE:
        listed = ", ".join(f"{part:.0%} {name}" for name, part in stored.items() if part >= LISTED_SHARE)
        findings.append(finding("stored_types_differ", asked="/".join(requested), share=share, stored=listed))
    if weights.get("random_weights"):
        findings.append(finding("cost_only", why="its weights are random"))
    elif before := weights.get("requantized_from"):
        findings.append(
            finding("cost_only", why=f"its weights were quantized to {' and '.join(before)} before, and keep the quality of that")
        )
    return findings


def examine_instructions(facts: Mapping[str, Any]) -> list[Finding]:
    """Finding on a type that the CPU has no instructions for, by the engine's facts; none if they do not report it."""
    return [finding("precision_emulated", precision=name) for name in CAST_WHEN_LOADED if facts.get(f"{name}_instructions") is False]


def _share_text(kernels: Sequence[Kernel], precision: str) -> str:
    share = share_of(kernels, precision)
    basis = BASES[kernels[0].basis] if kernels else BASES["macs"]
    return "" if share is None else f" ({100 * share:.0f} % of the {basis} in {precision} kernels)"
