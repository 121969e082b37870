"""Calibration samples: a seeded choice, in the shapes and types of the inputs."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.variants.calibration import Input, calibration, queries


def test_calibration_takes_training_samples_by_seed():
    """The same each time, the same rows of each input, at most all of them."""
    rows = np.arange(50)
    first, second = calibration([rows, rows * 2], 20, seed=1)
    assert len(set(first)) == 20 and np.array_equal(first * 2, second)
    assert np.array_equal(first, calibration([rows], 20, seed=1)[0])
    assert len(calibration([rows], 80, seed=1)[0]) == 50


INPUTS = [Input("image", (None, 4, 4, 1), np.dtype(np.uint8)), Input("scale", (None, 1), np.dtype(np.float32))]


def test_queries_have_a_batch_of_one_and_the_shapes_and_types_of_the_inputs():
    """Samples in their order; an axis of 1 may be missing."""
    found = queries(INPUTS, [np.arange(32.0).reshape(2, 4, 4), np.array([0.5, 0.25])])
    assert [[(array.shape, array.dtype.name) for array in query] for query in found] == [[((1, 4, 4, 1), "uint8"), ((1, 1), "float32")]] * 2
    assert [query[0].ravel()[0] for query in found] == [0, 16] and [query[1].item() for query in found] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([np.zeros((2, 4, 4))], r"2 inputs \(image, scale\), the training data 1 arrays"),
        ([np.zeros((2, 16)), np.zeros((2, 1))], r"input 'image' takes samples of shape \(4, 4, 1\), the training data has \(16,\)"),
    ],
)
def test_samples_that_do_not_fit_are_refused(samples, words):
    """With the shapes of both."""
    with pytest.raises(EngineError, match=words):
        queries(INPUTS, samples)
