"""The digits: three splits that share nothing, the same each time."""

from __future__ import annotations

import numpy as np

from harness.workloads.base import rows_sha256
from harness.workloads.digits import DigitsCnn


def test_no_sample_is_in_two_splits():
    """By the hash of each image."""
    splits = DigitsCnn().data()
    hashes = {name: rows_sha256(split.inputs) for name, split in splits.items()}
    assert {name: len(found) for name, found in hashes.items()} == {"train": 1077, "validation": 360, "test": 360}
    assert len(set().union(*hashes.values())) == 1797


def test_each_split_holds_every_digit_in_its_share():
    """Stratified, scaled to 0..1, the same on each call."""
    first, second = DigitsCnn().data(), DigitsCnn().data()
    for name, split in first.items():
        assert np.bincount(split.labels, minlength=10).min() >= 0.09 * len(split.labels)
        assert split.inputs.dtype == np.float32 and split.inputs.shape[1:] == (8, 8, 1)
        assert split.inputs.min() == 0 and split.inputs.max() == 1
        assert np.array_equal(split.inputs, second[name].inputs)
