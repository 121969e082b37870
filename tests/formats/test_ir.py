"""OpenVINO models: reading, writing, counts."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.errors import EngineError
from harness.formats import ir
from harness.formats import onnx as files
from harness.plugins import load
from harness.variants.base import Job
from tests.models import models
from tests.onnx_models import KERNEL, branched, model, product
from tests.variants.made import applied


def in_openvino(made, folder):
    """The counts of an ONNX model converted to OpenVINO."""
    source = folder / "source.onnx"
    onnx.save(made, str(source))
    (folder / "ir").mkdir()
    return load("variants", "ir")().apply(Job(source, "onnx", "ir", folder / "ir"))[1]


def test_recurrent_and_integer_weights_are_counted(tmp_path):
    """Those of an LSTM, and those that OpenVINO widens to 32 bits; None for a model with branches."""
    gates, states = np.ones((1, 8, 5), np.float32), np.ones((1, 8, 2), np.float32)
    gates[0, 0, 0] = 0
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axes"], ["steps"]),
        helper.make_node("LSTM", ["steps", "W", "R"], ["", "y"], hidden_size=2),
    ]
    (tmp_path / "lstm").mkdir()
    counted = in_openvino(model(nodes, [("axes", np.array([0])), ("W", gates), ("R", states)]), tmp_path / "lstm").nonzero_parameters
    assert counted == 39 + 16
    (tmp_path / "int8").mkdir()
    small = applied("dynamic_int8", model([product()], [("w", KERNEL)]), tmp_path / "int8")[0]
    assert in_openvino(small, tmp_path / "int8").nonzero_parameters == files.facts(small).nonzero_parameters
    (tmp_path / "if").mkdir()
    assert in_openvino(branched(), tmp_path / "if").nonzero_parameters is None


def test_a_damaged_model_is_refused(tmp_path):
    """With the name of its folder and the next step."""
    (tmp_path / "model.xml").write_text("<net")
    with pytest.raises(EngineError, match=rf"{tmp_path.name} cannot be read as an OpenVINO model(.|\n)*convert it again"):
        ir.read_ir(tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    """With weights in float16 if asked for; the counts stay."""
    model = ir.read_ir(models() / "small.ir")
    half = ir.read_ir(ir.write_ir(model, tmp_path, float16=True))
    assert (ir.stored_types(model), ir.stored_types(half)) == ({"float32"}, {"float16"})
    assert ir.facts(half).nonzero_parameters == ir.facts(model).nonzero_parameters
