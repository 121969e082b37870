"""Weights of an ONNX model: which constants they are, wherever the model stores them, and their zero points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from harness.formats.counting import Weight

FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")
SMALL = ("INT8", "INT4", "INT2")
# Operators with quantized constants -> indices of the inputs that are the constant, its scale and its zero point.
QUANTIZED: Mapping[str, tuple[tuple[int, int | None, int | None], ...]] = {
    "DequantizeLinear": ((0, 1, 2),),
    "MatMulInteger": ((1, None, 3),),
    "ConvInteger": ((1, None, 3),),
    "QLinearConv": ((3, 4, 5), (8, None, None)),
    "QLinearMatMul": ((3, 4, 5),),
    "QGemm": ((3, 4, 5), (6, None, None)),
    "DynamicQuantizeMatMul": ((1, 2, 3),),
    "MatMulIntegerToFloat": ((1, 3, 5),),
    "QAttention": ((1, 4, 7),),
    "DynamicQuantizeLSTM": ((1, 8, 9), (2, 10, 11)),
}
PACKED = ("MatMulNBits",)
LEARNED = ("TreeEnsemble", "Linear", "SVM")
"""Prefixes of the operators of `ai.onnx.ml` that keep learned values in attributes."""


class Stored(NamedTuple):
    """One constant of a model.

    Attributes:
        name: Name of the tensor.
        type: Its type as ONNX names it: `FLOAT`.
        shape: Its sizes.
        tensor: A TensorProto, or a SparseTensorProto, which holds only the nonzero values.
        node: Whether it is an attribute of a `Constant` node, not an initializer.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    tensor: Any
    node: bool

    @property
    def sparse(self) -> bool:
        """Whether only the nonzero values are stored."""
        return hasattr(self.tensor, "indices")


Scope = Mapping[str, Stored]
"""Constants by the name by which the nodes of a graph refer to them, with those of outer graphs."""


def subgraphs(node: Any) -> Iterator[Any]:
    """The subgraphs of a node: branches of If, bodies of Loop and Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nodes(model: Any) -> Iterator[Any]:
    """Every node of a model, in subgraphs and functions too."""
    for each, _, _ in scopes(model):
        yield from each


def weights(model: Any) -> list[Stored]:
    """The constants that take part in the computation: floats except scales, and the integers that quantized operators take.

    A scalar in a `Constant` node is a coefficient of the graph, not a weight.
    """
    return [stored for stored, _ in _roles(model)]


def counted(model: Any) -> Iterator[Weight]:
    """The weights for `counting.count`; without values where the storage is not supported."""
    for stored, zero in _roles(model):
        yield Weight(stored.name, _values(stored, zero), len(stored.shape) > 1, prod(stored.shape) if stored.sparse else None)
    for each, scope, _ in scopes(model):
        for node in each:
            if node.op_type in PACKED:
                yield _packed(node, scope)
            elif node.domain == "ai.onnx.ml" and node.op_type.startswith(LEARNED):
                yield Weight(node.op_type, None, listed=True)
            elif hidden := _unknown_matrix(node, scope):
                yield Weight(hidden, None, listed=True)


# --- constants by graph ------------------------------------------------------------------------------------------------


def scopes(model: Any) -> Iterator[tuple[Sequence[Any], Scope, Scope]]:
    """(nodes, constants that they see, constants of their own graph) of every graph and function."""
    yield from _graph_scopes(model.graph, {})
    for function in model.functions:
        yield from _node_scopes(function.node, {}, {})


def _graph_scopes(graph: Any, outer: Scope) -> Iterator[tuple[Sequence[Any], Scope, Scope]]:
    stored = [_dense(tensor.name, tensor) for tensor in graph.initializer]
    stored += [_sparse(sparse.values.name, sparse) for sparse in graph.sparse_initializer]
    yield from _node_scopes(graph.node, outer, {each.name: each for each in stored})


def _node_scopes(each: Sequence[Any], outer: Scope, own: Scope) -> Iterator[tuple[Sequence[Any], Scope, Scope]]:
    own = {**own, **{node.output[0]: stored for node in each if node.op_type == "Constant" and (stored := _constant(node))}}
    seen = {**outer, **own}
    yield each, seen, own
    for node in each:
        for graph in subgraphs(node):
            yield from _graph_scopes(graph, seen)


def _constant(node: Any) -> Stored | None:
    """The value of a `Constant` node; None for text and for single numbers."""
    from onnx import numpy_helper

    name = node.output[0]
    for attribute in node.attribute:
        if attribute.name == "value":
            return _dense(name, attribute.t, node=True)
        if attribute.name == "sparse_value":
            return _sparse(name, attribute.sparse_tensor, node=True)
        if attribute.name == "value_floats":
            return _dense(name, numpy_helper.from_array(np.array(attribute.floats, np.float32), name), node=True)
    return None


def _dense(name: str, tensor: Any, *, node: bool = False) -> Stored:
    return Stored(name, _type(tensor), tuple(tensor.dims), tensor, node)


def _sparse(name: str, sparse: Any, *, node: bool = False) -> Stored:
    return Stored(name, _type(sparse.values), tuple(sparse.dims), sparse, node)


def _type(tensor: Any) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(tensor.data_type))


# --- roles -------------------------------------------------------------------------------------------------------------


def _roles(model: Any) -> Iterator[tuple[Stored, Any]]:
    """The weights, each once, with its zero point; None: 0."""
    quantized: dict[int, Stored | None] = {}
    scales: set[int] = set()
    graphs = list(scopes(model))
    dynamic = any(node.op_type in ("MatMulInteger", "ConvInteger", "DynamicQuantizeLinear") for each, _, _ in graphs for node in each)
    for each, scope, _ in graphs:
        for node in each:
            _note(node, scope, quantized, scales)
    for _, _, own in graphs:
        for stored in own.values():
            # Dynamic quantization multiplies by the weights' scale in a separate operator.
            scale = id(stored) in scales or (dynamic and stored.name.endswith(("_scale", "_zero_point")))
            float_ = stored.type in FLOATS and not scale and not (stored.node and prod(stored.shape) <= 1)
            if id(stored) in quantized or float_:
                yield stored, quantized.get(id(stored))


def _note(node: Any, scope: Scope, quantized: dict[int, Stored | None], scales: set[int]) -> None:
    """Add a node's constants to the quantized weights, or to the scales and zero points."""
    if node.op_type in PACKED:
        scales.update(id(stored) for at in (2, 3) if (stored := _input(node, at, scope)))
    if node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear"):  # scales of activations are single numbers
        constants = (_input(node, at, scope) for at in range(1, len(node.input)))
        scales.update(id(stored) for stored in constants if stored and (node.op_type == "QuantizeLinear" or prod(stored.shape) <= 1))
    for value, scale, zero in QUANTIZED.get(node.op_type, ()):
        stored = _input(node, value, scope)
        scales.update(id(each) for at in (scale, zero) if (each := _input(node, at, scope)))
        if stored:
            quantized[id(stored)] = _input(node, zero, scope)


def _input(node: Any, index: int | None, scope: Scope) -> Stored | None:
    """The constant at one of a node's inputs; None if there is none."""
    return scope.get(node.input[index]) if index is not None and index < len(node.input) else None


def _unknown_matrix(node: Any, scope: Scope) -> str | None:
    """Name of a matrix of small integers that an operator unknown here takes; None if there is none."""
    if node.op_type in QUANTIZED or node.op_type in PACKED or (not node.domain.replace("ai.onnx", "") and node.op_type != "Cast"):
        return None
    small = (stored for name in node.input if (stored := scope.get(name)) and stored.type.removeprefix("U") in SMALL)
    return next((stored.name for stored in small if len(stored.shape) > 1), None)


# --- values ------------------------------------------------------------------------------------------------------------


def _values(stored: Stored, zero: Stored | None) -> Any:
    """A weight minus its zero point, for a sparse one the stored values; None if zero points differ by channel."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(stored.tensor.values if stored.sparse else stored.tensor)
    offset = None if zero is None or zero.sparse else numpy_helper.to_array(zero.tensor)
    if offset is None or not offset.any():
        return values
    # Zero points by channel are not supported: the common tools set them to 0.
    return None if offset.size > 1 or stored.sparse else values.astype(np.int64) - int(offset.flat[0])


def _packed(node: Any, scope: Scope) -> Weight:
    """The matrix of a MatMulNBits: values of 4 or 8 bits in blocks along the columns, with a zero point in the middle unless it is given."""
    from onnx import numpy_helper

    sizes = {attribute.name: attribute.i for attribute in node.attribute}
    stored = _input(node, 1, scope)
    if stored is None or sizes.get("bits", 4) not in (4, 8) or _input(node, 3, scope):
        return Weight(node.input[1], None, listed=True)
    packed = numpy_helper.to_array(stored.tensor).reshape(sizes["N"], -1)
    four = sizes.get("bits", 4) == 4
    values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(sizes["N"], -1) if four else packed
    return Weight(stored.name, values[:, : sizes["K"]].astype(np.int16) - (8 if four else 128), listed=True)
