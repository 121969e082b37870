"""The threshold of an output: from the suite or from the model's file, checked against the answers, or refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from harness.engines.base import Tensor
from harness.errors import EngineError
from harness.worker.thresholds import check_range, choose_threshold, quality_fields
from harness.workloads.metrics import METRICS
from tests.launch import on_onnx
from tests.onnx_models import save
from tests.tasks import child_task

LABELS = np.array([0, 1, 1, 0])
COLUMN = np.zeros((4, 1), np.float32)


def session(head):
    """A session whose only output has this head."""
    return SimpleNamespace(outputs=[Tensor("y", (None, 1), np.dtype(np.float32))], head=lambda output: head)


def decided(head, answer=COLUMN, metric="accuracy", labels=LABELS, **task):
    """The threshold of one output."""
    return choose_threshold(session(head), 0, np.asarray(answer), METRICS[metric], labels, child_task(metric=metric, **task))


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
def test_an_output_that_is_not_cut_needs_no_threshold(answer):
    """A score for each class, or the number of a class."""
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
def test_an_unknown_threshold_is_refused_with_the_line_to_add(metric, answer, labels):
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
def test_the_answers_are_checked_against_the_file(head, values, fits):
    """A probability is between 0 and 1; logits that all are could be probabilities. A threshold in the suite is not checked."""
    given, decision = np.array(values), decided(head)
    check_range(given, decided(head, metric_threshold=0.5), "y", child_task(metric="accuracy"))
    if fits:
        check_range(given, decision, "y", child_task(metric="accuracy"))
    else:
        with pytest.raises(EngineError, match=r"'y'.*\n.*threshold: 0`"):
            check_range(given, decision, "y", child_task(metric="accuracy"))


def test_a_record_has_the_threshold_and_its_source():
    """The threshold, its source, exact ties, and for a logit the quality at 0.5."""
    given = np.array([[-1.0], [0.2], [3.0], [0.0]])
    assert quality_fields(decided("logit"), given, LABELS, LABELS) == {
        "threshold": 0.0,
        "threshold_from": "logit",
        "ties": 1,
        "rival": 0.75,
    }
    assert quality_fields(decided(None, np.zeros((4, 2), np.float32)), np.zeros((4, 2)), LABELS, LABELS)["ties"] == 4


BINARY = [("x", "FLOAT", ["n", 3])]


WEIGHT = {"w": np.array([[1.0], [-1.0], [0.5]], np.float32)}


SAMPLES = np.random.default_rng(8).normal(size=(40, 3)).astype(np.float32)


TRUTH = (SAMPLES @ WEIGHT["w"])[:, 0] > 0


@pytest.mark.parametrize(
    ("nodes", "labels", "threshold", "source"),
    [
        ([("y", "MatMul", ["x", "w"])], TRUTH.astype(int), 0.0, "logit"),
        ([("y", "MatMul", ["x", "w"])], 2 * TRUTH.astype(int) - 1, 0.0, "logit"),
        ([("z", "MatMul", ["x", "w"]), ("y", "Sigmoid", ["z"])], TRUTH, 0.5, "probability"),
    ],
    ids=["logits", "signed-labels", "sigmoid"],
)
def test_the_last_operator_determines_the_threshold(tmp_path, nodes, labels, threshold, source):
    """Every sample is classified correctly, and the record has the source of the threshold."""
    path = save(tmp_path, BINARY, nodes, outputs=["y"], **WEIGHT)
    quality = on_onnx(path, tmp_path, {"x": SAMPLES}, labels, "accuracy").record.quality
    assert (quality.value, quality.threshold, quality.threshold_from, quality.ties) == (1.0, threshold, source, 0)


def test_an_unknown_operator_is_refused_with_the_line_to_add(tmp_path):
    """Before anything is measured."""
    path = save(tmp_path, BINARY, [("z", "MatMul", ["x", "w"]), ("y", "Elu", ["z"])], outputs=["y"], **WEIGHT)
    record = on_onnx(path, tmp_path, {"x": SAMPLES}, TRUTH, "accuracy").record
    assert record.status == "refused" and "metric: {name: accuracy, threshold: 0.5}" in record.reason and record.latency is None
