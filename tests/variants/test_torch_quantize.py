"""Quantization of PyTorch models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import plugins
from harness.schema import Model, Step
from harness.suite.routes import find_route
from tests.models import models, needs_torch, torch_variants


@pytest.mark.parametrize(
    ("format_", "engine", "variant", "recipes"),
    [
        ("python", "torch", "int8", ["source", "torch_int8"]),
        ("pt2", "torch", "int8", ["source", "torch_int8"]),
        ("python", "onnxruntime", "int8", ["source", "torch_onnx", "int8"]),
        ("python", "openvino", "int8", ["source", "torch_ir", "int8"]),
        ("python", "litert", "int8", ["source", "torch_tflite", "int8"]),
        ("python", "torch", "int8_dynamic", ["source", "int8_dynamic"]),
        ("python", "torch", "prune", ["source", "torch_prune"]),
        ("python", "onnxruntime", "channel_prune", ["source", "torch_channel_prune", "torch_onnx"]),
    ],
)
def test_a_variant_is_made_by_the_recipe_of_the_format(format_, engine, variant, recipes):
    """The name in the suite is one; after an export it is that of the engine's own format."""
    catalogue = plugins.catalogue()
    model = Model(name="m", path="m", format=format_, framework="torch", sha256="-")
    route = find_route(model, [Step(recipe=variant)], catalogue.engines[engine], catalogue)
    assert [hop.step.recipe for hop in route] == recipes


def test_an_implementation_takes_the_parameters_and_data_of_its_variant():
    """They are validated against those of the variant; a suite cannot name the implementation."""
    catalogue = plugins.catalogue()
    made = [spec for spec in catalogue.variants.values() if spec.implements]
    assert {spec.implements for spec in made} >= {"int8", "prune", "channel_prune"}
    for spec in made:
        variant = catalogue.variants[spec.implements]
        assert (spec.parameters, spec.needs, spec.precision) == (variant.parameters, variant.needs, variant.precision)
        assert spec.name not in catalogue.named_variants() and variant.name in catalogue.named_variants()


def test_a_format_that_no_recipe_takes_is_named():
    """With all that are taken."""
    catalogue = plugins.catalogue()
    model = Model(name="m", path="m", format="pt2", framework="torch", sha256="-")
    reason = find_route(model, [Step(recipe="int8_dynamic")], catalogue.engines["torch"], catalogue)
    assert "int8_dynamic takes torch, but the model is available only as" in reason
    engines = {**catalogue.engines, "torch": catalogue.engines["torch"].model_copy(update={"by_options": {}})}
    reason = find_route(model, [Step(recipe="compile")], engines["torch"], replace(catalogue, engines=engines))
    assert reason == "torch does not apply compile: no option of it does; engines that do: transformers"


@needs_torch
@pytest.mark.parametrize(
    "case",
    ["torch_int8 {}", 'torch_int8 {"mode": "compile"}', "int8_dynamic {}", "int8_weight_only {}", 'int8_weight_only {"dtype": "bfloat16"}'],
)
def test_a_quantized_module_is_stored_loaded_and_answers_like_dense(case):
    """With weights of int8 in the artifact."""
    report = torch_variants()
    dense, answer = np.array(report["dense {}"]["answer"]), np.array(report[case]["answer"])
    assert 0 < np.abs(answer - dense).max() < 0.1 * np.abs(dense).max()
    assert report[case]["stored"] == ["float32", "int8"]


@needs_torch
def test_an_exported_program_is_quantized_as_its_module_is():
    """Though a program that was not exported strictly does not name its layers."""
    report = torch_variants()
    assert report["torch_int8"]["notes"]["quantized_weights"] == report["int8 of a program"]["notes"]["quantized_weights"] == 3


@needs_torch
def test_the_artifact_of_int8_holds_no_float_weights():
    """A quarter of the dense size, and a little for the program."""
    folder = models() / "torch-variants"
    dense = (folder / "net" / "model" / "module.pt").stat().st_size
    assert (folder / "net-torch-torch_int8" / "model.pt2").stat().st_size < 0.5 * dense


@needs_torch
def test_a_model_with_nothing_to_quantize_is_refused():
    """With what it lacks."""
    nothing = torch_variants()["nothing"]
    assert "no convolution or linear layer" in nothing["torch_int8"] and nothing["torch_int8"].endswith("True")
    assert "no nn.Linear" in nothing["int8_dynamic"] and "no nn.Linear" in nothing["int8_weight_only"]
