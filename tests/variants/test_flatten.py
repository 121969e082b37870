"""Nested Keras models as one graph of layers."""

from __future__ import annotations

import pytest

from tests.variants.made import cuts


@pytest.mark.slow
def test_a_nested_model_keeps_the_mode_of_its_call():
    """`inner(x, training=True)` still normalises by the batch."""
    same, other = cuts()["mode"]
    assert same < 1e-6 and other > 1
