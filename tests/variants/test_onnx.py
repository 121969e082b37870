"""Variants of unusual ONNX files: branches, Cast, Pad, weights in `Constant` nodes, values beyond float16."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from harness.errors import EngineError
from harness.formats import onnx as files
from harness.formats.onnx_rewrite import has_subgraphs
from tests.onnx_models import KERNEL, X, answers, branch, branched, constant, model, product
from tests.variants.made import applied


def cast():
    """A comparison cast to float32 and multiplied, on which float16 converters disagree."""
    nodes = [
        helper.make_node("Greater", ["x", "half"], ["over"]),
        helper.make_node("Cast", ["over"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["as_float", "w"], ["y"]),
    ]
    return model(nodes, [("half", np.float32(0.5)), ("w", KERNEL)])


def pad():
    """A Pad with a float32 value in a Constant node, before a product."""
    nodes = [
        constant("pads", np.array([0, 0, 0, 1], np.int64)),
        constant("value", np.array(0.25, np.float32)),
        helper.make_node("Pad", ["x", "pads", "value"], ["wide"]),
        helper.make_node("MatMul", ["wide", "w"], ["y"]),
    ]
    return model(nodes, [("w", np.vstack([KERNEL, KERNEL[1:2]]))])


def sorting_branch():
    """A branch with TopK, which the converter leaves in float32 and then casts in the wrong graph."""
    top = [
        helper.make_node("MatMul", ["x", "w1"], ["m"]),
        helper.make_node("TopK", ["m", "k"], ["yes_out", "at"]),
    ]
    yes = branch("yes", top, [("w1", KERNEL), ("k", np.array([2], np.int64))])
    no = branch(
        "no",
        [helper.make_node("Slice", ["x", "from", "to", "axis"], ["no_out"])],
        [("from", np.array([0])), ("to", np.array([2])), ("axis", np.array([1]))],
    )
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=yes, else_branch=no),
    ]
    return model(nodes, [("zero", np.zeros((), np.float32))])


def normalized():
    """A normalisation by a variance of 1e8: clipped to the largest float16, outputs would be 40 times as large."""
    inits = [
        ("w", 1e4 * KERNEL.T.reshape(6, 5, 1, 1)),
        ("one", np.ones(6, np.float32)),
        ("none", np.zeros(6, np.float32)),
        ("var", np.full(6, 1e8, np.float32)),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axes"], ["image"]),
        helper.make_node("Conv", ["image", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "one", "none", "none", "var"], ["y"]),
    ]
    return model(nodes, [("axes", np.array([2, 3])), *inits])


@pytest.mark.parametrize("made", [cast(), pad(), branched(), sorting_branch(), normalized()], ids=["cast", "pad", "if", "if-topk", "large"])
def test_float16_of_unusual_models(made, tmp_path):
    """The result loads, stores float16, and gives nearly the same answers."""
    half, _, _ = applied("float16", made, tmp_path)
    assert "float16" in files.stored_types(half)
    for sign in (1, -1):
        assert np.allclose(answers(half, sign * X), answers(made, sign * X), rtol=1e-2, atol=1e-2)


def test_float32_parts_of_float16_are_noted(tmp_path):
    """Weights alone if the converted model does not load; the names of operators with values beyond float16."""
    assert "weights alone" in applied("float16", sorting_branch(), tmp_path)[2]["float16"]
    (tmp_path / "b").mkdir()
    assert len(applied("float16", normalized(), tmp_path / "b")[2]["float32"]) == 1


@pytest.mark.parametrize(
    "made", [model([constant("w", KERNEL), product()]), branched(), branched(shared=True)], ids=["constant", "if", "if-outer"]
)
def test_dynamic_int8_finds_weights_wherever_they_are(made, tmp_path):
    """In `Constant` nodes, in branches, and in the outer graph; every kernel becomes int8."""
    small, facts, _ = applied("dynamic_int8", made, tmp_path)
    assert files.stored_types(small) == {"uint8"}
    kernels = [tensor for tensor in files.tensors(small) if tensor.data_type == TensorProto.UINT8 and len(tensor.dims) == 2]
    assert len(kernels) == (2 if has_subgraphs(made) else 1) and 30 * len(kernels) <= facts.parameters <= 30 * len(kernels) + 1
    assert all(np.allclose(answers(small, sign * X), answers(made, sign * X), atol=0.2) for sign in (1, -1))


def test_a_quantized_model_is_not_converted_to_float16(tmp_path):
    """Integer and float16 models."""
    (tmp_path / "b").mkdir()
    for recipe, folder in (("dynamic_int8", tmp_path), ("float16", tmp_path / "b")):
        small = applied(recipe, model([product()], [("w", KERNEL)]), folder)[0]
        (folder / "again").mkdir()
        with pytest.raises(EngineError, match="it is already") as caught:
            applied("float16", small, folder / "again")
        assert caught.value.refused
