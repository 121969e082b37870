"""The precision of a model as text."""

from __future__ import annotations

import pytest

from harness.formats.precision import precision_text


@pytest.mark.parametrize(
    ("activations", "weights", "text"),
    [
        ("int8", "int8", "int8"),
        ("float32", "int8", "int8 weights"),
        ("int16", "int8", "int16x8"),
        ("int16", "int4", "int16x4"),
        ("int8", "float32", "int8 activations, float32 weights"),
        (None, "float32", "float32"),
        ("float32", None, "float32"),
        (None, None, None),
    ],
)
def test_one_phrase_for_activations_and_weights(activations, weights, text):
    """The type alone if both agree or one is unknown."""
    assert precision_text(activations, weights) == text
