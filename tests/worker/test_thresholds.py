"""The threshold of an output: from the suite, from the model's file, held against the numbers that came, or refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from harness.engines.base import Tensor
from harness.errors import EngineError
from harness.worker.thresholds import check, decide, judged
from harness.workloads.metrics import METRICS
from tests.tasks import child_task

LABELS = np.array([0, 1, 1, 0])
COLUMN = np.zeros((4, 1), np.float32)


def session(head):
    """A session whose only output has this head."""
    return SimpleNamespace(outputs=[Tensor("y", (None, 1), np.dtype(np.float32))], head=lambda output: head)


def decided(head, answer=COLUMN, metric="accuracy", labels=LABELS, **task):
    """The decision about one output."""
    return decide(session(head), 0, np.asarray(answer), METRICS[metric], labels, child_task(metric=metric, **task))


@pytest.mark.parametrize(
    ("head", "task", "threshold", "source"),
    [
        ("probability", {}, 0.5, "probability"),
        ("logit", {}, 0.0, "logit"),
        ("logit", {"metric_threshold": 0.5}, 0.5, "suite"),
        (None, {"metric_threshold": -1.5}, -1.5, "suite"),
        ("class", {}, None, None),
    ],
)
def test_the_suite_comes_before_the_file(head, task, threshold, source):
    """And the file before anything else."""
    assert decided(head, **task)[1:] == (threshold, source)


@pytest.mark.parametrize("answer", [np.zeros((4, 3), np.float32), np.zeros((4, 1), np.int64), np.zeros((4,), bool)])
def test_what_is_not_cut_needs_no_threshold(answer):
    """A score for each class, and the number of a class."""
    assert decided(None, answer)[1:] == (None, None)


@pytest.mark.parametrize(
    ("metric", "answer", "labels"),
    [
        ("accuracy", np.zeros((4, 1), np.float32), LABELS),
        ("multilabel_accuracy", np.zeros((4, 3), np.float32), np.zeros((4, 3), int)),
        ("pixel_accuracy", np.zeros((4, 5, 6, 1), np.float32), np.zeros((4, 5, 6), int)),
        ("token_accuracy", np.zeros((4, 5), np.float32), np.zeros((4, 5), int)),
    ],
)
def test_undecidable_is_refused_with_the_line_to_add(metric, answer, labels):
    """For every metric that cuts."""
    with pytest.raises(EngineError, match=rf"metric: {{name: {metric}, threshold: 0.5}}") as caught:
        decided(None, answer, metric, labels)
    assert caught.value.refused


@pytest.mark.parametrize(
    ("head", "values", "fits"),
    [
        ("probability", [0.0, 0.3, 1.0004], True),
        ("probability", [0.0, 0.3, 1.7], False),
        ("probability", [-0.2, 0.3], False),
        ("logit", [-3.0, 0.2, 5.0], True),
        ("logit", [0.1, 0.9, 0.4], False),
        ("logit", [0.1, 3.9], True),
        ("logit", [np.nan], True),
    ],
)
def test_the_numbers_are_held_against_the_file(head, values, fits):
    """No probability lies outside of 0 and 1; scores that all lie in it could be probabilities. What the suite names is not questioned."""
    given, decision = np.array(values), decided(head)
    check(given, decided(head, metric_threshold=0.5), "y", child_task(metric="accuracy"))
    if fits:
        check(given, decision, "y", child_task(metric="accuracy"))
    else:
        with pytest.raises(EngineError, match=r"'y'.*\n.*threshold: 0`"):
            check(given, decision, "y", child_task(metric="accuracy"))


def test_a_record_keeps_what_was_decided():
    """The threshold, its source, exact ties, and of a logit what 0.5 would give."""
    given = np.array([[-1.0], [0.2], [3.0], [0.0]])
    assert judged(decided("logit"), given, LABELS, LABELS) == {"threshold": 0.0, "threshold_from": "logit", "ties": 1, "rival": 0.75}
    assert judged(decided(None, np.zeros((4, 2), np.float32)), np.zeros((4, 2)), LABELS, LABELS)["ties"] == 4
