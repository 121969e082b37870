"""Agreement of two models' outputs, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.agreement import close, common_prefix, max_difference, relative_difference, same_class

NAN = float("nan")


@pytest.mark.parametrize(
    ("outputs", "dense", "same"),
    [
        ([[0.1, 0.9], [0.6, 0.4]], [[0.4, 0.6], [0.2, 0.8]], [True, False]),
        ([[[0.1, 0.9]], [[0.6, 0.4]]], [[[0.4, 0.6]], [[0.2, 0.8]]], [True, False]),
        ([[0.9], [0.4]], [[0.6], [0.7]], [True, False]),
        ([3, 4], [3, 5], [True, False]),
        ([[NAN, 1.0], [NAN]*2], [[NAN, 1.0], [0.0, 1.0]], [False, False]),
    ],
)  # fmt: skip
def test_the_largest_is_the_class(outputs, dense, same):
    """Of a vector; of one value the class by its number, or by a probability; NaN agrees with nothing, not even with itself."""
    assert same_class(np.array(outputs), np.array(dense)).tolist() == same


def test_outputs_without_classes_agree_within_a_hundredth_of_denses_range():
    """Every value of a sample must; the range is over all of dense's samples."""
    dense = np.array([[0.0, 100.0], [50.0, 50.0], [1.0, 2.0], [1.0, 2.0]], dtype=np.float32)
    outputs = dense + np.array([[1.0, -1.0], [0.0, 1.1], [0.0, NAN], [0.0, np.inf]], dtype=np.float32)
    assert close(outputs, dense).tolist() == [True, False, False, False]
    assert close(np.ones((2, 1)), np.ones((2, 1))).all()
    assert not close(np.full((2, 1), 1.001), np.ones((2, 1))).any()


def test_the_largest_difference():
    """Absolute; null where one is not finite, and whole numbers that would wrap do not."""
    assert max_difference(np.array([[1.0, 5.0]]), np.array([[1.5, 2.0]])) == 3.0
    assert max_difference(np.array([[1.0, NAN]]), np.array([[1.0, 2.0]])) is None
    assert max_difference(np.array([np.inf]), np.array([np.inf])) is None
    assert max_difference(np.array([1], np.uint8), np.array([2], np.uint8)) == 1.0


def test_a_single_score_names_a_class_by_its_threshold():
    """Logits of -2 and 0.3 are two classes at 0, and one at 0.5."""
    dense, other = np.array([[-2.0], [0.3], [4.0]]), np.array([[-1.0], [-0.1], [0.2]])
    assert same_class(other, dense, 0.0).tolist() == [True, False, True]
    assert same_class(other, dense).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("outputs", "reference", "difference"),
    [
        ([1.0, -2.0], [1.0, -4.0], 0.5),
        ([5.0, 5.0], [5.0, 5.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1.0, 0.0], [0.0, 0.0], None),
        ([NAN, 1.0], [1.0, 1.0], None),
        ([1.0, 1.0], [np.inf, 1.0], None),
        ([3, 4], [4, 4], 0.25),
    ],
)
def test_the_relative_difference_is_that_of_the_maximum_norm(outputs, reference, difference):
    """None if either is not finite, or only the reference is zero."""
    assert relative_difference(np.array([outputs]), np.array([reference])) == difference


def test_the_common_prefix_ends_at_the_first_difference():
    """Equal tokens after it do not count; an answer that ends early differs from there on."""
    dense = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, -1, -1], [-1, -1, -1, -1]])
    outputs = np.array([[1, 2, 3, 4], [1, 9, 3, 4], [1, 2, 3, -1], [1, 2, -1, -1], [-1, -1, -1, -1]])
    assert common_prefix(outputs, dense).tolist() == [1.0, 0.25, 0.75, 1.0, 1.0]
    assert common_prefix(outputs[2:3], dense[3:4]).tolist() == [pytest.approx(2 / 3)]
