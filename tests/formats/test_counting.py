"""What is counted in a file: weights, true zeros by tensor, multiply-accumulates; and null where it would be a guess."""

from __future__ import annotations

import numpy as np
import pytest

from harness.formats import onnx as onnx_files
from harness.formats import tflite as tflite_files
from harness.formats.counting import LISTED, Weight, count
from harness.schema import ArtifactFacts
from tests.models import model_facts, models
from tests.onnx_models import save


def test_zeros_are_shares_by_name():
    """Vectors count and are not listed; a name that comes again gets a number; a tensor without one too."""
    half = np.array([[0, 1], [2, 0]])
    found = count([Weight("a", half, True), Weight("b", np.zeros(3), False), Weight("a", half + 1, True), Weight("", half, True)], 7)
    assert found == ArtifactFacts(parameters=15, nonzero_parameters=8, macs=7, zeros={"a": 0.5, "a #1": 0.0, "tensor 3": 0.5})


def test_only_the_largest_are_listed():
    """In the order of the model."""
    weights = [Weight(f"w{i}", np.ones((1 + i % 7, 10 + i)), True) for i in range(LISTED + 20)]
    listed = [weight.name for weight in sorted(weights, key=lambda w: -w.values.size)[:LISTED]]
    zeros = count(weights, None).zeros
    assert set(zeros) == set(listed)
    assert list(zeros) == [weight.name for weight in weights if weight.name in zeros]


def test_one_unreadable_weight_leaves_all_untold():
    """The rest would be too few."""
    assert count([Weight("a", np.ones((2, 2)), True), Weight("b", None, True)], 7) == ArtifactFacts(macs=7)


def test_fours_are_unpacked_with_their_sign():
    """The low half of a byte first."""
    assert tflite_files._nibbles(np.array([0x1F, 0x80], np.uint8)).tolist() == [-1, 1, 0, -8]


KERNEL = np.ones((4, 3, 3, 3), np.float32)
IMAGE = [("x", "FLOAT", ["n", 3, 8, 8])]
DENSE = {"w": np.ones((5, 6), np.float32)}


@pytest.mark.parametrize(
    ("inputs", "nodes", "constants", "truth"),
    [
        (IMAGE, [("y", "Conv", ["x", "w"])], {"w": KERNEL}, 36 * 4 * 27),
        (IMAGE, [("y", "Conv", ["x", "w"], {"strides": [2, 2]})], {"w": KERNEL}, 9 * 4 * 27),
        (IMAGE, [("y", "Conv", ["x", "w"], {"group": 3})], {"w": KERNEL[:3, :1]}, 36 * 3 * 9),
        (IMAGE, [("y", "ConvTranspose", ["x", "w"])], {"w": KERNEL.transpose(1, 0, 2, 3)}, 64 * 4 * 27),
        ([("x", "FLOAT", ["n", 5])], [("y", "Gemm", ["x", "w"])], DENSE, 30),
        ([("x", "FLOAT", ["n", 6])], [("y", "Gemm", ["x", "w"], {"transB": 1})], DENSE, 30),
        ([("x", "FLOAT", ["n", 7, 5])], [("y", "MatMul", ["x", "w"])], DENSE, 7 * 30),
        ([("x", "FLOAT", ["n", 7, 5])], [("t", "Transpose", ["x"], {"perm": [0, 2, 1]}), ("y", "MatMul", ["x", "t"])], {}, 7 * 7 * 5),
        ([("x", "FLOAT", ["n", 5])], [("y", "Relu", ["x"])], {}, 0),
        ([("x", "FLOAT", [2, 5])], [("y", "MatMul", ["x", "w"])], DENSE, None),
        ([("x", "FLOAT", ["n", "time", 5])], [("y", "MatMul", ["x", "w"])], DENSE, None),
        ([("x", "FLOAT", ["n", 5])], [("y", "Einsum", ["x", "w"], {"equation": "ab,bc->ac"})], DENSE, None),
    ],
    ids=[
        "conv",
        "strided",
        "depthwise",
        "transposed",
        "gemm",
        "gemm-transposed",
        "matmul",
        "attention",
        "none",
        "batch",
        "open",
        "unknown",
    ],
)
def test_multiply_accumulates_of_a_users_onnx(tmp_path, inputs, nodes, constants, truth):
    """By hand; null where the batch is fixed, a size is open, or an operator may multiply in ways that are not counted."""
    path = save(tmp_path, inputs, nodes, outputs=["y"], **constants)
    assert onnx_files.facts(onnx_files.load_onnx(path)).macs == truth


@pytest.mark.parametrize(("name", "truth"), [("small", 11264), ("two", 16), ("fixed", None), ("int8", 11264)])
def test_multiply_accumulates_of_a_users_tflite(name, truth):
    """As many as in the Keras model it came from; null where the file fixes another batch than 1."""
    assert tflite_files.facts(models() / f"{name}.tflite").macs == truth


@pytest.mark.parametrize("name", ["small.tflite", "small.onnx", "pruned.keras", "int8.tflite", "int8.onnx", "float16.onnx"])
def test_every_format_tells_the_zeros_of_both_kernels(name):
    """And what is 0 in all is what is 0 in each, where no bias is."""
    facts = model_facts()["built"][name]
    sizes = sorted([16 * 9, 2048], reverse=True)
    shares = list(facts["zeros"].values())
    assert len(shares) == 2
    zeros = facts["parameters"] - facts["nonzero_parameters"]
    possible = {round(a * sizes[0] + b * sizes[1]) for a, b in (shares, shares[::-1])}
    assert any(zeros - 18 <= count <= zeros for count in possible)
