"""Every built-in workload: disjoint splits, the same each time, and a model trained without test data."""

from __future__ import annotations

import numpy as np
import pytest

from harness.plugins import load
from tests.models import rows, workload_facts

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
    """Inputs are float32 and identical bit by bit."""
    workload = load("workloads", name)()
    first, second = workload.data(), workload.data()
    for split, found in first.items():
        assert found.inputs.dtype == np.float32 and np.isfinite(found.inputs).all()
        assert np.array_equal(found.inputs, second[split].inputs) and np.array_equal(found.labels, second[split].labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("digits-mlp", 64 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10),
        ("keyword-spotting", 32 * 16 + 16 + 8 * 16 * 32 + 32 + 8 * 32 * 32 + 32 + 4 * 32 * 64 + 64 + 64 * 8 + 8),
        ("anomaly-detection", 64 * 64 + 64 + 64 * 8 + 8 + 8 * 64 + 64 + 64 * 64 + 64),
    ],
)
def test_training_sees_no_test_data(name, parameters):
    """It succeeds with the test file deleted."""
    found = workload_facts()["trained"][name]
    assert found["facts"]["parameters"] == parameters and found["facts"]["macs"] > 8000
    assert found["notes"]["epochs"] == 1 and found["notes"]["validation_loss"] > 0
    assert all(split["labels"] for split in found["splits"].values())
