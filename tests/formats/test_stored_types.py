"""Types of the weights as files store them."""

from __future__ import annotations

import pytest

from harness.formats.stored_types import stored_types
from tests.models import models


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("small.tflite", {"float32"}),
        ("small.onnx", {"float32"}),
        ("small.ir", {"float32"}),
        ("float16.tflite", {"float16"}),
        ("float16.onnx", {"float16"}),
        ("float16.ir", {"float16"}),
        ("dynamic_int8.onnx", {"int8", "float32"}),
        ("small.keras", None),
    ],
)
def test_types_of_each_format(name, types):
    """8-bit integers are int8, signed or not; None for a format without a reader; biases may stay float32."""
    found = stored_types(models() / name, name.split(".")[1])
    assert found == types if types is None or len(types) == 1 else "int8" in found <= types
