"""Exports of PyTorch models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.formats.ir import read_ir
from harness.formats.onnx import load_onnx
from harness.schema import Model
from harness.suite.routes import find_route
from tests.models import models, needs_torch, torch_report


@pytest.mark.parametrize(
    ("format_", "engine", "recipes"),
    [
        ("pt2", "torch", ["source"]),
        ("pt2", "onnxruntime", ["source", "torch_onnx"]),
        ("pt2", "openvino", ["source", "torch_ir"]),
        ("python", "litert", ["source", "torch_tflite"]),
        ("python", "openvino", ["source", "torch_ir"]),
    ],
)
def test_the_shortest_route_is_taken(format_, engine, recipes):
    """A direct converter before one by way of ONNX."""
    catalogue = plugins.catalogue()
    model = Model(name="m", path="m", format=format_, framework="torch", sha256="-")
    route = find_route(model, [], catalogue.engines[engine], catalogue)
    assert [hop.step.recipe for hop in route] == recipes


@needs_torch
@pytest.mark.parametrize("source", ["torch", "pt2"])
def test_exports_answer_as_the_module_and_take_any_batch(source):
    """ONNX Runtime and OpenVINO, which run in the harness's own environment."""
    import onnxruntime
    import openvino

    report = torch_report()
    with np.load(models() / "query.npz") as arrays:
        query, expected = arrays["query"], arrays["expected"]
    path = report[f"{source} torch_onnx"]["path"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(None, {session.get_inputs()[0].name: query})[0], expected, atol=1e-5)
    assert not load_onnx(Path(path)).graph.input[0].type.tensor_type.shape.dim[0].dim_value
    compiled = openvino.Core().compile_model(
        read_ir(Path(report[f"{source} torch_ir"]["path"])), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    assert np.allclose(compiled([query])[0], expected, atol=1e-5)
    assert compiled.inputs[0].partial_shape.to_string() == "[?,1,8,8]"
