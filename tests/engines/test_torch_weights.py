"""Weights in layouts that only a card has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.engines.torch import Torch
from harness.engines.torch_weights import LAYOUTS, convert
from harness.errors import EngineError


def card(major, minor):
    """A PyTorch with a card of this compute capability."""
    return SimpleNamespace(cuda=SimpleNamespace(get_device_capability=lambda: (major, minor), get_device_name=lambda: "NVIDIA Old"))


@pytest.mark.parametrize(
    ("layout", "capability", "sentence"),
    [
        ("fp8", (8, 6), "fp8 needs a card of compute capability 8.9 or higher; NVIDIA Old has 8.6"),
        ("int4_weight_only", (7, 5), "int4_weight_only needs a card of compute capability 8.0 or higher; NVIDIA Old has 7.5"),
        ("sparse_2_4", (7, 0), "sparse_2_4 needs a card of compute capability 8.0 or higher; NVIDIA Old has 7.0"),
    ],
)
def test_an_old_card_is_refused(layout, capability, sentence):
    """By its compute capability."""
    with pytest.raises(EngineError, match=sentence) as caught:
        convert(card(*capability), None, layout)
    assert caught.value.refused


def test_each_layout_is_a_variant_of_the_engine():
    """With the option that requests it."""
    by_options = Torch.spec.by_options
    assert {name: by_options[name]["weights"] for name in LAYOUTS} == {name: name for name in LAYOUTS}
