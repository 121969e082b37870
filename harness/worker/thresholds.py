"""What an output's numbers are -> the threshold that a metric cuts them at, and whether the numbers that came are of that kind."""

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
"""How far beyond 0 and 1 a probability may come by a coarse number format."""


class Decision(NamedTuple):
    """A metric with its threshold.

    Attributes:
        metric: Cuts at the threshold where it cuts at all.
        threshold: None where it does not.
        source: Why it is that: the suite names it, or what the model's last operator gives.
    """

    metric: Metric
    threshold: float | None = None
    source: Literal["suite", "probability", "logit"] | None = None


def decide(session: Session, scored: int, answer: Array, metric: Metric, labels: Array, task: MeasureTask) -> Decision:
    """The threshold of an output, from the suite or from the operators before the output.

    Args:
        session: Of the engine.
        scored: Which of its outputs.
        answer: What that gave to the first query, decoded, first axis the sample.
        metric: As the suite names it.
        labels: Of all samples.
        task: With `metric` and `metric_threshold`.

    Raises:
        EngineError: Neither says it.
    """
    if not _cuts(metric, answer, labels):
        return Decision(metric)
    if (threshold := task.metric_threshold) is not None:
        return Decision(metric.at(threshold), threshold, "suite")
    head = session.head(scored)
    if head == "class":
        return Decision(metric.at(None)) if metric.cuts == "sample" else Decision(metric.at(0.5))
    if head is None:
        raise undecided(
            f"the model's file does not say whether the output {session.outputs[scored].name!r} is a probability or a logit", task
        )
    return Decision(metric.at(THRESHOLDS[head]), THRESHOLDS[head], head)


def check(given: Array, decision: Decision, name: str, task: MeasureTask) -> None:
    """Hold the numbers that came against what the file says of them.

    Args:
        given: What the output gave to all samples.
        decision: As `decide` made it.
        name: Of the output.
        task: With `metric`.

    Raises:
        EngineError: They are not of that kind, or could as well be of the other.
    """
    finite = given[np.isfinite(given)] if given.dtype.kind == "f" else given
    if not finite.size or decision.source in (None, "suite"):
        return
    low, high = float(finite.min()), float(finite.max())
    if decision.source == "probability" and not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise undecided(f"by the model's file the output {name!r} is a probability, but it reaches from {low:.4g} to {high:.4g}", task)
    if decision.source == "logit" and low >= 0 and high <= 1:
        raise undecided(
            f"by the model's file the output {name!r} is a score around 0, but all its values lie between {low:.4g} and {high:.4g}, as "
            "probabilities do",
            task,
        )


def undecided(what: str, task: MeasureTask) -> EngineError:
    """The refusal of an output whose threshold is not known, with the line that names it.

    Args:
        what: Why it is not.
        task: With `metric`.
    """
    return EngineError(
        f"{task.metric} cannot be measured: {what}",
        f"add `metric: {{name: {task.metric}, threshold: 0.5}}` to the model in the suite for a probability, `threshold: 0` for a logit",
        refused=True,
    )


def judged(decision: Decision, given: Array, data: Array, labels: Array) -> dict[str, Any]:
    """What a record keeps of the decisions: the threshold and its source, exact ties, and of logits what 0.5 would give.

    Args:
        decision: As `decide` made it.
        given: What the output gave to all samples.
        data: What the metric compares with.
        labels: Of all samples.
    """
    found: dict[str, Any] = {"threshold": decision.threshold, "threshold_from": decision.source}
    if decision.metric.cuts == "sample":
        found["ties"] = ties(given, decision.threshold)
    if decision.source == "logit":
        found["rival"] = float(np.mean(decision.metric.at(0.5).per_sample(given, data)))
    return found


def _cuts(metric: Metric, answer: Array, labels: Array) -> bool:
    """Whether the metric takes single floats of this output above a threshold as class 1."""
    if answer.dtype.kind != "f" or metric.cuts is None:
        return False
    if metric.cuts == "sample":
        return int(np.size(answer[:1])) == 1
    return metric.cuts == "labels" or has_single_scores(answer, labels, metric.axes)
