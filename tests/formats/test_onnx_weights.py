"""What is counted as a weight of an ONNX file, wherever in the file it is stored, and the rewrites that tools need."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.formats import onnx as files
from harness.formats.onnx_rewrite import beyond_half, to_half, with_initializers
from tests.onnx_models import save

RNG = np.random.default_rng(4)
KERNEL = RNG.normal(size=(5, 6)).astype(np.float32)
KERNEL[0] = 0


def constant(name: str, array: np.ndarray):
    """A `Constant` node, as Paddle's exporter writes weights."""
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def model(nodes, inits=(), sparse=(), opset=17, domains=(), functions=()):
    """A model of an input x of shape (n, 5) and an output y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in inits],
        sparse_initializer=list(sparse),
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, functions=list(functions))


def branch(name: str, nodes, inits=()):
    """A branch of If with one output of that name."""
    return helper.make_graph(
        nodes,
        name,
        [],
        [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, key) for key, array in inits],
    )


def branched(shared: bool = False):
    """An If: one branch multiplies by its own initializer, the other by a constant or by the outer graph's."""
    inner = [] if shared else [("w1", KERNEL)]
    yes = branch("yes", [helper.make_node("MatMul", ["x", "w" if shared else "w1"], ["yes_out"])], inner)
    no = branch("no", [constant("w2", 2 * KERNEL), helper.make_node("MatMul", ["x", "w2"], ["no_out"])])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=yes, else_branch=no),
    ]
    return model(nodes, [("zero", np.zeros((), np.float32)), *([("w", KERNEL)] if shared else [])])


def sparse_kernel():
    """KERNEL as a sparse initializer: 24 of its 30 numbers are stored."""
    at = np.flatnonzero(KERNEL)
    return helper.make_sparse_tensor(
        numpy_helper.from_array(KERNEL.ravel()[at], "w"), numpy_helper.from_array(at.astype(np.int64), "w_indices"), KERNEL.shape
    )


def product(weight: str = "w"):
    """X times a weight."""
    return helper.make_node("MatMul", ["x", weight], ["y"])


def quantized_lstm():
    """Only the inputs that matter of ONNX Runtime's own quantized LSTM."""
    weights = [("W", np.ones((1, 5, 8), np.uint8)), ("R", np.zeros((1, 2, 8), np.uint8))]
    scales = [(f"{w}_s", np.ones(1, np.float32)) for w in "WR"] + [(f"{w}_z", np.zeros(1, np.uint8)) for w in "WR"]
    inputs = ["x", "W", "R", "", "", "", "", "", "W_s", "W_z", "R_s", "R_z"]
    return model(
        [helper.make_node("DynamicQuantizeLSTM", inputs, ["y"], domain="com.microsoft")], weights + scales, domains=["com.microsoft"]
    )


def packed(zero_points: bool = False):
    """MatMulNBits of four bits with its scales: 5 x 6 numbers in blocks of 16."""
    inits = [
        ("B", np.full((6, 1, 8), 0x88, np.uint8)),
        ("s", np.ones(6, np.float32)),
        *([("z", np.zeros(6, np.uint8))] if zero_points else []),
    ]
    names = ["x", "B", "s", *(["z"] if zero_points else [])]
    node = helper.make_node("MatMulNBits", names, ["y"], domain="com.microsoft", K=5, N=6, bits=4, block_size=16)
    return model([node], inits, domains=["com.microsoft"])


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
    """Once each, without scales; None where they are stored in a way that is not read."""
    facts = files.facts(made)
    assert (facts.parameters, facts.nonzero_parameters) == (parameters, nonzero)


def test_multiply_accumulates_that_are_not_known():
    """What an operator of ai.onnx.ml multiplies, and what a sparse kernel does."""
    assert files.facts(model([product()], sparse=[sparse_kernel()])).macs is None
    node = helper.make_node("LinearRegressor", ["x"], ["y"], domain="ai.onnx.ml", coefficients=[1.0] * 5)
    assert files.facts(model([node], domains=["ai.onnx.ml"])).macs is None


def answers(made, x):
    """What ONNX Runtime computes."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(made.SerializeToString(), settings, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


X = RNG.normal(size=(3, 5)).astype(np.float32)


@pytest.mark.parametrize(
    "made", [model([constant("w", KERNEL), product()]), branched(), branched(shared=True)], ids=["flat", "if", "if-outer"]
)
def test_constants_become_initializers_of_the_graph_that_uses_them(made):
    """The same answers; no weight is left in a `Constant` node or in the graph around a branch, and each node has a name of its own."""
    rewritten = with_initializers(made)
    assert all(np.array_equal(answers(rewritten, sign * X), answers(made, sign * X)) for sign in (1, -1))
    graphs = [rewritten.graph, *(a.g for node in rewritten.graph.node for a in node.attribute if a.HasField("g"))]
    nodes = [node for graph in graphs for node in graph.node]
    assert not any(node.op_type == "Constant" for node in nodes) and len({node.name for node in nodes}) == len(nodes)
    for graph in graphs:
        own = {tensor.name for tensor in graph.initializer}
        assert all(node.input[1] in own for node in graph.node if node.op_type == "MatMul")


def test_weights_alone_in_half_precision():
    """In branches too, and computed as before within float16's step; what float16 cannot hold stays as it is."""
    made = with_initializers(branched())
    reference = [answers(made, sign * X) for sign in (1, -1)]
    assert to_half(made) == 2 and files.stored_types(made) == {"float16"}
    assert all(np.allclose(answers(made, sign * X), was, rtol=2e-3, atol=2e-3) for sign, was in zip((1, -1), reference, strict=True))
    large = with_initializers(model([product()], [("w", 1e8 * KERNEL)]))
    assert to_half(large) == 0 and beyond_half(large) == ["MatMul_0_0"]


def test_precision_of_weights_in_constant_nodes(tmp_path):
    """As of initializers: float32, and not None, which would let an already quantized file pass."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 5])], [("y", "MatMul", ["x", "w"])], w=KERNEL)
    assert files.precision(files.load_onnx(path)) == files.precision(model([constant("w", KERNEL), product()])) == "float32"
