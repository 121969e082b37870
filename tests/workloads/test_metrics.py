"""Quality metrics: right where the answer is known, refused where outputs and labels cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.workloads.metrics import accuracy, squared_error

ROWS = np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [np.nan, 0.2, 0.1]])


@pytest.mark.parametrize(
    ("outputs", "labels", "right"),
    [
        (ROWS, [1, 2, 0], [1, 0, 0]),
        (ROWS, [[1], [0], [1]], [1, 1, 0]),
        (ROWS, [[0, 1, 0], [1, 0, 0], [1, 0, 0]], [1, 1, 0]),
        (ROWS.reshape(3, 1, 1, 3), [1, 0, 0], [1, 1, 0]),
        ([0.7, 0.2, np.nan], [1, 1, 0], [1, 0, 0]),
        (np.array([5, 3]), [5, 4], [1, 0]),
        (np.array(["cat", "dog"], object), ["cat", "cat"], [1, 0]),
    ],
)
def test_accuracy(outputs, labels, right):
    """Classes by scores, by number, by name, by a probability; NaN is wrong."""
    assert accuracy(np.asarray(outputs), np.asarray(labels)).tolist() == right


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (np.zeros((2, 3)), [0, 3]),
        (np.zeros((2, 3)), [-1, 0]),
        (np.zeros(2), [0, 5]),
        (np.zeros((2, 4, 4, 3)), [0, 1]),
        (np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4))),
        (np.zeros((2, 3)), ["a", "b"]),
    ],
)
def test_accuracy_of_what_cannot_be_compared(outputs, labels):
    """A sentence, and no number."""
    with pytest.raises(EngineError):
        accuracy(outputs, np.asarray(labels))


def test_squared_error():
    """Mean over a sample's values; other sizes and infinities are refused."""
    assert squared_error(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])).tolist() == [2.0, 0.0]
    for outputs in (np.zeros((2, 3)), np.full((2, 2), np.inf)):
        with pytest.raises(EngineError):
            squared_error(outputs, np.zeros((2, 2)))
