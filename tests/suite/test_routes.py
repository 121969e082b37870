"""Routes from a model to the format of an engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import plugins
from harness.schema import EngineSpec, Model, Step, VariantSpec
from harness.suite.routes import find_route


@pytest.mark.parametrize("native", ["keras", "onnx"])
def test_of_two_ways_as_short_the_one_that_exports_first_is_taken(native):
    """`int8` is then that of the engine's own format: an ONNX model is quantized for OpenVINO by OpenVINO's tool."""
    both = (("keras", "tflite"), ("onnx", "onnx"), ("ir", "ir"))
    variants = {
        "int8": VariantSpec(name="int8", conversions=both),
        "ir": VariantSpec(name="ir", conversions=(("keras", "ir"), ("onnx", "ir")), exporter=True),
        "onnx": VariantSpec(name="onnx", conversions=(("keras", "onnx"),), exporter=True),
    }
    model = Model(name="m", path="m", format=native, sha256="-")
    route = find_route(
        model, [Step(recipe="int8")], EngineSpec(name="openvino", formats=("ir",)), replace(plugins.catalogue(), variants=variants)
    )
    assert [hop.step.recipe for hop in route] == ["source", "ir", "int8"]
