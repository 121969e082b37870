"""ONNX files: multiply-accumulates, precision, and whether ONNX Runtime loads them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from harness.errors import EngineError
from harness.formats import onnx as files
from harness.formats import onnx as onnx_files
from tests.onnx_models import KERNEL, constant, model, product, save, sparse_kernel


def test_multiply_accumulates_that_are_not_known():
    """Those of an operator of ai.onnx.ml, and of a sparse kernel."""
    assert files.facts(model([product()], sparse=[sparse_kernel()])).macs is None
    node = helper.make_node("LinearRegressor", ["x"], ["y"], domain="ai.onnx.ml", coefficients=[1.0] * 5)
    assert files.facts(model([node], domains=["ai.onnx.ml"])).macs is None


def test_precision_of_weights_in_constant_nodes(tmp_path):
    """Float32, as for initializers; None would let a quantized file pass."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 5])], [("y", "MatMul", ["x", "w"])], w=KERNEL)
    assert files.precision(files.load_onnx(path)) == files.precision(model([constant("w", KERNEL), product()])) == "float32"


FILTERS = np.ones((4, 3, 3, 3), np.float32)
IMAGE = [("x", "FLOAT", ["n", 3, 8, 8])]


DENSE = {"w": np.ones((5, 6), np.float32)}


@pytest.mark.parametrize(
    ("inputs", "nodes", "constants", "truth"),
    [
        (IMAGE, [("y", "Conv", ["x", "w"])], {"w": FILTERS}, 36 * 4 * 27),
        (IMAGE, [("y", "Conv", ["x", "w"], {"strides": [2, 2]})], {"w": FILTERS}, 9 * 4 * 27),
        (IMAGE, [("y", "Conv", ["x", "w"], {"group": 3})], {"w": FILTERS[:3, :1]}, 36 * 3 * 9),
        (IMAGE, [("y", "ConvTranspose", ["x", "w"])], {"w": FILTERS.transpose(1, 0, 2, 3)}, 64 * 4 * 27),
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
def test_multiply_accumulates(tmp_path, inputs, nodes, constants, truth):
    """Computed by hand; None if the batch is fixed, a dimension is dynamic, or an operator may multiply uncounted."""
    path = save(tmp_path, inputs, nodes, outputs=["y"], **constants)
    assert onnx_files.facts(onnx_files.load_onnx(path)).macs == truth


def test_a_converted_file_that_onnx_runtime_rejects_is_refused(tmp_path):
    """An operator with a float16 and a float32 argument, as some converters write it."""
    half = save(
        tmp_path,
        [("x", "FLOAT16", ["n", 3])],
        [("y", "MatMul", ["x", "w"])],
        outputs=["y"],
        name="half.onnx",
        w=np.ones((3, 2), np.float32),
    )
    with pytest.raises(EngineError, match="was converted, and ONNX Runtime cannot load it") as refusal:
        files.check_loads(half)
    assert refusal.value.refused
