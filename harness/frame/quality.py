"""Quality columns of a case: its quality, its agreement with the baseline and the reference, and the paired difference from the baseline."""

from __future__ import annotations

import numpy as np

from harness.analysis.paired import paired_difference, samples_needed, verdict
from harness.energy.codes import finding
from harness.frame.results import AGREEMENT, Result, mean, precision_ran, tf32
from harness.frame.rows import Row
from harness.schema import Finding

LEAST_AGREEMENT = 0.99
"""Share of samples on which a dense case is expected to agree with the reference."""
FLOAT32_TOLERANCE = 1e-3
"""Largest relative difference of two dense cases that both ran in float32: rounding leaves some 1e-6, another algorithm up to 1e-4."""
DIFFERS = "differs_from_reference"
"""Code of the finding on a dense case."""


def quality(result: Result) -> Row:
    """Quality with its interval over test samples, agreement with the baseline, and share of outputs that are not finite."""
    qualities, agreement = result.qualities, result.agreement
    row: Row = {"not_finite_share": _not_finite_share(result)}
    if qualities:
        row |= {
            "quality_metric": qualities[-1].metric,
            "quality_direction": qualities[-1].direction,
            "quality": mean(q.value for q in qualities),
            "quality_low": mean(q.low for q in qualities),
            "quality_high": mean(q.high for q in qualities),
        }
    return row | ({"agreement": agreement.quality.value, "output_max_diff": agreement.max_diff} if agreement else {})


def _not_finite_share(result: Result) -> float | None:
    answers = result.run.outputs.get(result.case.case_id)
    if answers is None or not len(answers.outputs):
        return None
    if answers.outputs.dtype.kind not in "fc":
        return 0.0
    finite = np.isfinite(answers.outputs).reshape(len(answers.outputs), -1).all(axis=1)
    return float(1 - finite.mean())


def paired(result: Result) -> Row:
    """Difference in quality from the baseline, of the means and paired by sample, with the verdict.

    Empty without a baseline; 0 without an interval for the baseline itself; no verdict if the samples differ or were not kept.
    """
    baseline = result.baseline
    if baseline is None or not result.qualities or not baseline.qualities or result.qualities[-1].metric != baseline.qualities[-1].metric:
        return {}
    own, other = (mean(q.value for q in each.qualities) for each in (result, baseline))
    row: Row = {"quality_vs_baseline": None if own is None or other is None else own - other}
    case, base = result.per_sample, baseline.per_sample
    if result.qualities[-1].metric == AGREEMENT:
        base = np.ones(len(case))
    if result.is_baseline:
        return row | {"quality_diff": 0.0}
    if not len(case) or case.shape != base.shape:
        return row
    difference, margin = paired_difference(case, base), result.run.header.suite.quality_margin
    outcome = verdict(difference, margin, result.qualities[-1].direction)
    return row | {
        "quality_diff": difference.value,
        "quality_diff_low": difference.low,
        "quality_diff_high": difference.high,
        "quality_samples": len(case),
        "quality_verdict": outcome,
        "quality_samples_needed": samples_needed(case - base, margin) if outcome == "inconclusive" else None,
    }


def against_reference(result: Result) -> Row:
    """Reference of the outputs, and agreement with it; only its id for the reference itself, or outputs that cannot be compared."""
    reference, agreement = result.reference, result.reference_agreement
    row: Row = {"reference_case_id": reference.case.case_id} if reference else {}
    return row | (
        {
            "reference_agreement": agreement.quality.value,
            "reference_relative_diff": agreement.relative_diff,
            "reference_samples": agreement.quality.samples,
        }
        if agreement
        else {}
    )


def differs_from_reference(result: Result) -> Finding | None:
    """The finding on a dense case that does not give the outputs of the reference; None if it does, or for a variant."""
    row = against_reference(result)
    if result.case.variant != "dense" or row.get("reference_agreement") is None or result.reference is None:
        return None
    exact = all(precision_ran(each) == "float32" and tf32(each) is not True for each in (result, result.reference))
    difference = row["reference_relative_diff"]
    apart = row["reference_agreement"] < LEAST_AGREEMENT or (exact and (difference is None or difference > FLOAT32_TOLERANCE))
    return reference_finding(row) if apart else None


def reference_finding(row: Row) -> Finding:
    """The finding of a row of `cases` whose warnings name it."""
    share, difference = row["reference_agreement"], row["reference_relative_diff"]
    if share < LEAST_AGREEMENT:
        how = f"they agree on {share:.1%} of {row['reference_samples']} samples, at least {LEAST_AGREEMENT:.0%} are expected"
    elif difference is None:
        how = "some are not finite"
    else:
        how = f"they differ by up to {difference:.2g} of its largest output, at most {FLOAT32_TOLERANCE:g} is expected of float32"
    return finding(DIFFERS, reference=row["reference_case_id"], how=how)
