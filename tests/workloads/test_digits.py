"""The handwritten digits."""

from __future__ import annotations

import numpy as np

from harness.workloads.digits import DigitsCnn


def test_each_split_holds_every_digit_in_its_share():
    """Stratified, scaled to 0..1."""
    for split in DigitsCnn().data().values():
        assert np.bincount(split.labels, minlength=10).min() >= 0.09 * len(split.labels)
        assert split.inputs.shape[1:] == (8, 8, 1)
        assert split.inputs.min() == 0 and split.inputs.max() == 1
