"""The built-in data: splits that share nothing, the same each time, in the proportions that are promised."""

from __future__ import annotations

import numpy as np
import pytest

from harness.plugins import load
from harness.workloads.digits import DigitsCnn
from tests.models import rows

LABELLED = {
    "digits-cnn": {"train": 1077, "validation": 360, "test": 360},
    "digits-mlp": {"train": 1077, "validation": 360, "test": 360},
    "keyword-spotting": {"train": 2400, "validation": 480, "test": 800},
    "anomaly-detection": {"train": 3000, "validation": 500, "test": 800},
}


@pytest.mark.parametrize("name", LABELLED)
def test_no_sample_is_in_two_splits(name):
    """By the hash of each sample."""
    splits = load("workloads", name)().data()
    hashes = {split: rows(found.inputs) for split, found in splits.items()}
    assert {split: len(found) for split, found in hashes.items()} == LABELLED[name]
    assert len(set().union(*hashes.values())) == sum(LABELLED[name].values())


@pytest.mark.parametrize("name", LABELLED)
def test_each_call_gives_the_same(name):
    """Inputs are float32, and bit for bit what they were."""
    workload = load("workloads", name)()
    first, second = workload.data(), workload.data()
    for split, found in first.items():
        assert found.inputs.dtype == np.float32 and np.isfinite(found.inputs).all()
        assert np.array_equal(found.inputs, second[split].inputs) and np.array_equal(found.labels, second[split].labels)


def test_each_split_holds_every_digit_in_its_share():
    """Stratified, scaled to 0..1."""
    for split in DigitsCnn().data().values():
        assert np.bincount(split.labels, minlength=10).min() >= 0.09 * len(split.labels)
        assert split.inputs.shape[1:] == (8, 8, 1)
        assert split.inputs.min() == 0 and split.inputs.max() == 1


def test_each_sound_is_as_frequent():
    """Eight kinds in each split."""
    for split in load("workloads", "keyword-spotting")().data().values():
        assert set(np.bincount(split.labels)) == {len(split.labels) // 8}


def test_an_anomaly_detector_is_taught_normal_spectra_alone():
    """Which it shall give back; half of the test data are anomalous."""
    splits = load("workloads", "anomaly-detection")().data()
    assert splits["train"].labels is splits["train"].inputs
    assert np.bincount(splits["test"].labels).tolist() == [400, 400]
