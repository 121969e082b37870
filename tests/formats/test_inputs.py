"""Inputs of a model: declared in the file, and matched to named arrays."""

from __future__ import annotations

import pytest

from harness.errors import EngineError
from harness.formats.inputs import base_name, model_inputs, positions, stored_inputs
from tests.models import models


@pytest.mark.parametrize(
    ("given", "found"),
    [([None, None], [0, 1]), (["b", "a"], [1, 0]), (["a:0", "b"], None), (["a", None], None), (["a", "b", "c"], None), (["a"], None)],
)
def test_arrays_find_their_inputs(given, found):
    """By name, or in their order if none is named; a missing or extra name is refused."""
    wanted = ["serving_default_a:0", "b"]
    if found:
        assert positions(wanted, given) == found
    else:
        with pytest.raises(EngineError, match="name each input once"):
            positions(wanted, given)


@pytest.mark.parametrize("name", ["small.keras", "small.h5", "small.tflite", "small.onnx"])
def test_stored_inputs_are_those_of_the_file(name):
    """The same in every format, without loading the model."""
    (declared,) = stored_inputs(models() / name, name.split(".")[1])
    assert (base_name(declared.name), declared.shape) == ("image", (None, 8, 8, 1))


@pytest.mark.parametrize("name", ["small.tflite", "small.onnx"])
def test_inputs_of_a_loaded_model(name):
    """As stored; a format without a reader is refused."""
    format_ = name.split(".")[1]
    assert model_inputs(models() / name, format_) == stored_inputs(models() / name, format_)
    with pytest.raises(EngineError, match="the format 'ir' cannot be read"):
        model_inputs(models() / name, "ir")


@pytest.mark.parametrize("format_", ["keras", "h5", "tflite", "onnx"])
def test_a_damaged_file_declares_nothing(tmp_path, format_):
    """The build reports the damage; the suite is checked without it."""
    path = tmp_path / f"bad.{format_}"
    path.write_bytes(b"nonsense")
    assert stored_inputs(path, format_) is None
    assert stored_inputs(path, "savedmodel") is None
