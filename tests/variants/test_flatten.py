"""Nested Keras models as one graph of layers."""

from __future__ import annotations

import pytest

from tests.variants.made import cuts


@pytest.mark.slow
def test_an_inner_model_stays_in_the_mode_it_was_called_in():
    """`inner(x, training=True)` normalises by the batch, flat too."""
    same, other = cuts()["mode"]
    assert same < 1e-6 and other > 1
