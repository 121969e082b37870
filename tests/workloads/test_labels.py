"""Labels in any notation, and the refusal of those of another task."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.workloads.labels import binary, class_labels, is_one_hot
from harness.workloads.metrics import accuracy


@pytest.mark.parametrize(
    ("outputs", "labels", "hint"),
    [
        (np.zeros((2, 4)), np.ones((2, 4)), "multilabel_accuracy"),
        (np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), int), "pixel_accuracy"),
        (np.zeros((2, 3, 8, 8)), np.zeros((2, 8, 8, 1), int), "pixel_accuracy"),
        (np.zeros((2, 9, 3)), np.zeros((2, 9), int), "token_accuracy"),
    ],
)
def test_the_refusal_names_the_metric_of_the_task(outputs, labels, hint):
    """Several labels, a class per pixel, a class per token."""
    with pytest.raises(EngineError) as caught:
        accuracy(outputs, labels)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([2, 0], [2, 0]),
        ([[2.0], [0.0]], [2, 0]),
        ([True, False], [1, 0]),
        (["cat", "dog"], ["cat", "dog"]),
        ([[0, 0, 1], [1, 0, 0]], [2, 0]),
        ([[-1, -1, 1], [1, -1, -1]], [2, 0]),
        ([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]], [2, 0]),
    ],
)
def test_every_notation_is_one_class_per_sample(labels, classes):
    """Numbers, booleans, words, one class marked, shares."""
    assert class_labels(np.zeros((2, 3)), np.array(labels)).tolist() == classes


@pytest.mark.parametrize(
    ("labels", "binary_labels"), [([0, 1, 1], [0, 1, 1]), ([-1, 1, 1], [0, 1, 1]), ([1, 2, 1], None), ([0, -1, 1], None)]
)
def test_two_classes_are_0_and_1_or_minus_1_and_1(labels, binary_labels):
    """Other values do not decide which is class 1."""
    if binary_labels:
        assert binary(np.array(labels)).tolist() == binary_labels
    else:
        with pytest.raises(EngineError, match="number the two classes 0 and 1"):
            binary(np.array(labels))


def test_a_class_is_marked_along_any_axis():
    """Exactly one at every position."""
    marked = np.eye(3)[[[0, 2], [1, 1]]]
    assert is_one_hot(marked, -1) and is_one_hot(np.moveaxis(marked, -1, 1), 1)
    assert not is_one_hot(marked, 1) and not is_one_hot(np.ones((2, 3)), 1)
