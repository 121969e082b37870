"""Several classes per sample: labels, pixels, tokens."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.workloads.metrics import METRICS, metric_named


def test_several_labels_per_sample():
    """The share that is right at the output's threshold; -1 and 1 are labels too, NaN is never right."""
    metric = METRICS["multilabel_accuracy"]
    outputs, labels = np.array([[0.9, 0.1, 0.8, np.nan], [-1.0, 2.0, 0.2, 0.1]]), np.array([[1, 0, 0, 0], [0, 1, 1, 0]])
    assert metric.per_sample(outputs, labels).tolist() == [0.5, 0.75]
    assert metric.at(0.0).per_sample(outputs, 2 * labels - 1).tolist() == [0.25, 0.75]
    for wrong in (np.array([[1, 2, 0, 0], [0, 1, 1, 0]]), labels[:, :2], labels.astype(str)):
        with pytest.raises(EngineError):
            metric.per_sample(outputs, wrong)


MAP = np.array([[[0, 1], [2, 0]], [[1, 1], [0, 0]]])


@pytest.mark.parametrize("layout", ["last", "first", "one-hot", "classes", "channel"])
def test_a_class_per_pixel(layout):
    """Classes along the last or the second axis, marked labels, class numbers as outputs, and labels with an axis of 1."""
    metric, scores = METRICS["pixel_accuracy"], np.eye(4)[MAP] + 0.1
    scores[0, 0, 0] = [0, 0, 0, 1]
    outputs, labels = {
        "last": (scores, MAP),
        "first": (np.moveaxis(scores, -1, 1), MAP),
        "one-hot": (scores, np.eye(4)[MAP]),
        "classes": (np.argmax(scores, axis=-1), MAP),
        "channel": (scores, MAP[..., None].astype(np.float32)),
    }[layout]
    assert metric.per_sample(outputs, labels).tolist() == [0.75, 1.0]


def test_positions_that_do_not_count_are_left_out():
    """The padding of a sequence, the border of a map; without `ignore`, the error names the line to add."""
    scores, labels = np.eye(3)[[[0, 1, 2, 0], [1, 1, 1, 1]]], np.array([[0, 1, 0, -100], [1, -100, -100, -100]])
    metric = metric_named("token_accuracy", "higher", None, ignore=-100)
    assert metric.per_sample(scores, labels) == pytest.approx([2 / 3, 1.0])
    with pytest.raises(EngineError, match=r"ignore: -100"):
        METRICS["token_accuracy"].per_sample(scores, labels)
    with pytest.raises(EngineError, match="every position has the ignored label"):
        metric.per_sample(scores, np.full((2, 4), -100))


def test_a_binary_map_is_cut_at_its_threshold():
    """One float per pixel, with or without an axis of 1."""
    outputs, labels = np.array([[[-1.0, 2.0], [0.2, -3.0]]]), np.array([[[0, 1], [1, 0]]])
    metric = METRICS["pixel_accuracy"]
    assert metric.at(0.0).per_sample(outputs[..., None], labels).tolist() == [1.0]
    assert metric.per_sample(outputs, labels).tolist() == [0.75]


@pytest.mark.parametrize(
    ("outputs", "labels"), [((2, 8, 8, 8), (2, 8, 8)), ((2, 5, 4), (2, 6)), ((2, 4), (2, 4, 4)), ((2, 3, 3, 2), (2, 4, 4))]
)
def test_maps_that_do_not_fit_are_refused(outputs, labels):
    """If both ends could be the classes, or sizes differ."""
    for name in ("pixel_accuracy", "token_accuracy"):
        with pytest.raises(EngineError):
            METRICS[name].per_sample(np.zeros(outputs), np.zeros(labels, int))
