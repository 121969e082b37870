"""Weights of ONNX models, wherever they are stored."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from harness.formats import onnx as files
from harness.formats import onnx as onnx_files
from tests.onnx_models import KERNEL, branched, constant, model, packed, product, quantized_lstm, save, sparse_kernel

KERNEL[0] = 0


@pytest.mark.parametrize(
    ("made", "parameters", "nonzero"),
    [
        (model([product()], [("w", KERNEL)]), 30, 24),
        (model([constant("w", KERNEL), product()]), 30, 24),
        (model([product()], sparse=[sparse_kernel()]), 30, 24),
        (
            model([helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "a"], ["b"]), product()], [("w", KERNEL)]),
            30,
            24,
        ),
        (branched(), 61, 48),  # a scalar of the main graph is an initializer as well
        (model([helper.make_node("Mul", ["x", "h"], ["y"]), constant("h", np.float32(0.5))]), 0, 0),
        (quantized_lstm(), 56, 40),
        (packed(), 30, 0),
        (packed(zero_points=True), None, None),
        (model([helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml")], domains=["ai.onnx.ml"]), None, None),
        (
            model([helper.make_node("Odd", ["x", "w"], ["y"], domain="com.acme")], [("w", np.ones((5, 6), np.int8))], domains=["com.acme"]),
            None,
            None,
        ),
    ],
    ids=["initializer", "constant", "sparse", "shared", "branches", "coefficient", "lstm", "packed", "packed-zeros", "trees", "unknown"],
)
def test_weights_are_counted_where_they_are_stored(made, parameters, nonzero):
    """Once each, without scales; None if the storage is not supported."""
    facts = files.facts(made)
    assert (facts.parameters, facts.nonzero_parameters) == (parameters, nonzero)


def test_packed_4_bit_values_are_counted(tmp_path):
    """MatMulNBits: two values in a byte, 8 is zero, padding of the last block is not counted."""
    packed = np.full((1, 2, 8), 0x88, np.uint8)
    packed[0, 0, 0] = 0x81
    packed[0, 1, 3:] = 0x17
    path = save(tmp_path, [("x", "FLOAT", ["n", 22])], [], B=packed, scales=np.ones(2, np.float32))
    model = onnx.load(path)
    node = onnx.helper.make_node("MatMulNBits", ["x", "B", "scales"], ["y"], domain="com.microsoft", K=22, N=1, bits=4, block_size=16)
    model.graph.node.append(node)
    found = onnx_files.facts(model)
    assert found.zeros == {"B": pytest.approx(21 / 22)}
    assert found.macs is None
