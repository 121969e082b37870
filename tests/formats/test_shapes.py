"""Shapes of samples against those of a model's input."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.formats.shapes import dynamic_text, fit_shape, shape_hint, stored_sample_shape, takes


@pytest.mark.parametrize(
    ("have", "target", "shape"),
    [
        ((8, 8), (8, 8), (8, 8)),
        ((8, 8), (8, 8, 1), (8, 8, 1)),
        ((1, 8, 8), (None, None, 1), (8, 8, 1)),
        ((8, 8, 1), (8, 8), (8, 8)),
        ((), (1,), (1,)),
        ((3, 8, 8), (8, 8, 3), None),
        ((64,), (8, 8), None),
        ((8, 4), (8, None, 2), None),
    ],
)
def test_only_axes_of_1_are_added_or_dropped(have, target, shape):
    """Values keep their order; anything else could swap axes and is None."""
    assert fit_shape(have, target) == shape


def test_a_dynamic_dimension_takes_any_size():
    """In a shape of the same rank."""
    assert takes((None, 3), (7, 3)) and not takes((None, 3), (7, 4)) and not takes((None, 3), (3,))


def test_dynamic_dimensions_are_shown_and_filled():
    """224 for images, 128 for sequences, 1 next to fixed sizes: a line to paste into the suite."""
    assert dynamic_text((3, None, None)) == "[3, ?, ?]"
    shapes = {"image": (3, None, None), "tokens": (None,), "state": (2, None, 64)}
    assert shape_hint(shapes) == "input_shapes: {image: [3, 224, 224], tokens: [128], state: [2, 1, 64]}"


def test_the_shape_of_a_sample_is_read_from_the_head_of_the_array(tmp_path):
    """Without the array itself."""
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.zeros((5, 28, 1)), **{"y:0": np.array(["a", "b"])}, one=np.float32(1))
    assert (stored_sample_shape(path, "x"), stored_sample_shape(path, "y:0")) == ((28, 1), ())
    with pytest.raises(EngineError, match="single number"):
        stored_sample_shape(path, "one")
    with pytest.raises(EngineError, match=r"cannot be read as \.npz"):
        stored_sample_shape(path, "missing")
    path.write_bytes(b"text")
    with pytest.raises(EngineError, match=r"cannot be read as \.npz"):
        stored_sample_shape(path, "x")
