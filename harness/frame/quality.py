"""Quality columns of a case: its quality, its agreement with the baseline and their paired difference."""

from __future__ import annotations

import numpy as np

from harness.analysis.paired import paired_difference, samples_needed, verdict
from harness.frame.results import AGREEMENT, Result, mean
from harness.frame.rows import Row


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
        "quality_verdict": outcome,
        "quality_samples_needed": samples_needed(case - base, margin) if outcome == "inconclusive" else None,
    }
