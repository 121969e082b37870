"""Threshold of binary metrics, and a check that the outputs fit it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from harness.engines.base import Array, Session
from harness.errors import EngineError
from harness.schema.worker import MeasureTask
from harness.workloads.metrics import Metric, ties
from harness.workloads.positions import has_single_scores

THRESHOLDS: dict[str, float] = {"probability": 0.5, "logit": 0.0}
ROUNDING = 1e-3
"""How far a coarse number format may round a probability beyond 0 and 1."""


class Decision(NamedTuple):
    """A metric with its threshold.

    Attributes:
        metric: The metric, cutting at the threshold if it cuts at all.
        threshold: The threshold; None if the metric does not cut.
        source: Where the threshold comes from: the suite, or the last operator of the model.
    """

    metric: Metric
    threshold: float | None = None
    source: Literal["suite", "probability", "logit"] | None = None


def choose_threshold(session: Session, scored: int, answer: Array, metric: Metric, labels: Array, task: MeasureTask) -> Decision:
    """The threshold of an output, from the suite or the model's last operators.

    Raises:
        EngineError: The threshold is unknown.
    """
    if not _cuts(metric, answer, labels):
        return Decision(metric)
    if (threshold := task.metric_threshold) is not None:
        return Decision(metric.at(threshold), threshold, "suite")
    head = session.head(scored)
    if head == "class":
        return Decision(metric.at(None)) if metric.cuts == "sample" else Decision(metric.at(0.5))
    if head is None:
        name = session.outputs[scored].name
        raise unknown_threshold(f"the model's file does not state whether the output {name!r} is a probability or a logit", task)
    return Decision(metric.at(THRESHOLDS[head]), THRESHOLDS[head], head)


def check_range(answers: Array, decision: Decision, name: str, task: MeasureTask) -> None:
    """Check all values of an output against the kind that the file states.

    Raises:
        EngineError: The values are of another kind, or may be.
    """
    finite = answers[np.isfinite(answers)] if answers.dtype.kind == "f" else answers
    if not finite.size or decision.source in (None, "suite"):
        return
    low, high = float(finite.min()), float(finite.max())
    if decision.source == "probability" and not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise unknown_threshold(
            f"according to the model's file the output {name!r} is a probability, but its values range from {low:.4g} to {high:.4g}", task
        )
    if decision.source == "logit" and low >= 0 and high <= 1:
        raise unknown_threshold(
            f"according to the model's file the output {name!r} is a logit, but all its values are between {low:.4g} and {high:.4g}, "
            "as those of probabilities are",
            task,
        )


def unknown_threshold(reason: str, task: MeasureTask) -> EngineError:
    """The refusal of an output whose threshold is unknown."""
    return EngineError(
        f"{task.metric} cannot be measured: {reason}",
        f"add `metric: {{name: {task.metric}, threshold: 0.5}}` to the model in the suite for a probability, `threshold: 0` for a logit",
        refused=True,
    )


def quality_fields(decision: Decision, answers: Array, references: Array, labels: Array) -> dict[str, Any]:
    """Fields of `Scores` about the threshold, exact ties and the quality at 0.5."""
    fields: dict[str, Any] = {"threshold": decision.threshold, "threshold_from": decision.source}
    if decision.metric.cuts == "sample":
        fields["ties"] = ties(answers, decision.threshold)
    if decision.source == "logit":
        fields["rival"] = float(np.mean(decision.metric.at(0.5).per_sample(answers, references)))
    return fields


def _cuts(metric: Metric, answer: Array, labels: Array) -> bool:
    """Whether the metric cuts single floats of this output at a threshold."""
    if answer.dtype.kind != "f" or metric.cuts is None:
        return False
    if metric.cuts == "sample":
        return int(np.size(answer[:1])) == 1
    return metric.cuts == "labels" or has_single_scores(answer, labels, metric.axes)
