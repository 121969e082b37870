"""The generated spectra."""

from __future__ import annotations

import numpy as np

from harness.plugins import load


def test_an_anomaly_detector_is_taught_normal_spectra_alone():
    """Which it shall give back; half of the test data are anomalous."""
    splits = load("workloads", "anomaly-detection")().data()
    assert splits["train"].labels is splits["train"].inputs
    assert np.bincount(splits["test"].labels).tolist() == [400, 400]
