"""Small ONNX models, written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def save(
    folder: Path,
    inputs: list[tuple],
    nodes: list[tuple],
    name: str = "model.onnx",
    outputs: list[str] | None = None,
    **constants: np.ndarray,
) -> Path:
    """A model in a file.

    Args:
        folder: Folder of the file.
        inputs: (name, type, shape), None or a word for a dynamic dimension.
        nodes: (output, operator, inputs) or (output, operator, inputs, attributes); an output may be a list.
        name: Name of the file.
        outputs: Names of the outputs; None: those of each node.
        constants: Initializers by name.
    """
    made = [helper.make_node(n[1], n[2], n[0] if isinstance(n[0], list) else [n[0]], **(n[3] if len(n) > 3 else {})) for n in nodes]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info(n, getattr(onnx.TensorProto, kind), shape) for n, kind, shape in inputs],
        [onnx.ValueInfoProto(name=n) for n in outputs or [output for node in made for output in node.output]],
        [numpy_helper.from_array(array, n) for n, array in constants.items()],
    )
    path = folder / name
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


RNG = np.random.default_rng(4)


KERNEL = RNG.normal(size=(5, 6)).astype(np.float32)


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
    """ONNX Runtime's quantized LSTM with the inputs that matter."""
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


def answers(made, x):
    """The answer of ONNX Runtime."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(made.SerializeToString(), settings, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


X = RNG.normal(size=(3, 5)).astype(np.float32)
