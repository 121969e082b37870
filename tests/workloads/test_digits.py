"""The handwritten digits."""

from __future__ import annotations

import numpy as np

from harness.workloads.digits import DigitsCnn, DigitsCnnTorch
from tests.models import needs_torch, torch_report


def test_each_split_holds_every_digit_in_its_share():
    """Stratified, scaled to 0..1."""
    for split in DigitsCnn().data().values():
        assert np.bincount(split.labels, minlength=10).min() >= 0.09 * len(split.labels)
        assert split.inputs.shape[1:] == (8, 8, 1)
        assert split.inputs.min() == 0 and split.inputs.max() == 1


def test_pytorch_gets_the_same_images_with_the_channel_first():
    """The same samples in the same splits, so that both frameworks are tested on the same digits."""
    keras, torch = DigitsCnn().data(), DigitsCnnTorch().data()
    for name, split in keras.items():
        assert torch[name].inputs.shape == (len(split.labels), 1, 8, 8)
        assert np.array_equal(torch[name].inputs[:, 0], split.inputs[..., 0]) and np.array_equal(torch[name].labels, split.labels)


@needs_torch
def test_the_network_of_pytorch_is_that_of_keras():
    """Layer by layer; it learns ten patterns."""
    found = torch_report()["digits"]
    assert found["parameters"] == (9 * 16 + 16) + (9 * 16 * 32 + 32) + (512 * 32 + 32) + (32 * 10 + 10)
    assert found["accuracy"] > 0.9
