"""A case and its baseline -> how good it is, and whether it is shown to be as good on the same samples."""

from __future__ import annotations

import numpy as np

from harness.analysis.paired import paired_difference, samples_needed, verdict
from harness.frame.results import AGREEMENT, Result, mean
from harness.frame.rows import Row


def quality(result: Result) -> Row:
    """The quality with its interval over test samples, the agreement with the baseline, and what is no answer; empty where nothing is known."""
    found, agreement = result.qualities, result.agreement
    row: Row = {}
    if found:
        row = {
            "quality_metric": found[-1].metric,
            "quality_direction": found[-1].direction,
            "quality": mean(q.value for q in found),
            "quality_low": mean(q.low for q in found),
            "quality_high": mean(q.high for q in found),
        }
    row |= {"agreement": agreement.quality.value, "output_max_diff": agreement.max_diff} if agreement else {}
    return row | {"not_finite_share": _not_finite_share(result)}


def _not_finite_share(result: Result) -> float | None:
    answers = result.run.answers.get(result.case.case_id)
    if answers is None or not len(answers.outputs):
        return None
    if answers.outputs.dtype.kind not in "fc":
        return 0.0
    finite = np.isfinite(answers.outputs).reshape(len(answers.outputs), -1).all(axis=1)
    return float(1 - finite.mean())


def paired(result: Result) -> Row:
    """The difference to the baseline's quality: of the means, and sample by sample with what it shows; empty where there is no baseline.

    A baseline beside itself differs by 0 without an interval. Where the samples were not kept, or are not the same ones, there is no verdict.
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
    found, margin = paired_difference(case, base), result.run.header.suite.quality_margin
    shown = verdict(found, margin, result.qualities[-1].direction)
    return row | {
        "quality_diff": found.value,
        "quality_diff_low": found.low,
        "quality_diff_high": found.high,
        "quality_verdict": shown,
        "quality_samples_needed": samples_needed(case - base, margin) if shown == "inconclusive" else None,
    }
