"""The generated spectra."""

from __future__ import annotations

import numpy as np

from harness.plugins import load


def test_training_data_are_normal_spectra_alone():
    """With themselves as labels; half of the test data are anomalous."""
    splits = load("workloads", "anomaly-detection")().data()
    assert splits["train"].labels is splits["train"].inputs
    assert np.bincount(splits["test"].labels).tolist() == [400, 400]
