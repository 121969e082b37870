"""Calibration samples: a seeded choice, in the shapes and types of the inputs."""

from __future__ import annotations

import numpy as np

from harness.variants.calibration import calibration


def test_calibration_takes_training_samples_by_seed():
    """The same each time, the same rows of each input, never more than there are."""
    rows = np.arange(50)
    first, second = calibration([rows, rows * 2], 20, seed=1)
    assert len(set(first)) == 20 and np.array_equal(first * 2, second)
    assert np.array_equal(first, calibration([rows], 20, seed=1)[0])
    assert len(calibration([rows], 80, seed=1)[0]) == 50
