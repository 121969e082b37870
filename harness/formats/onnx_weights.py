"""Constants of an ONNX model -> the weights among them, with their role and their zero point, wherever in the model they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from harness.formats.counting import Weight

FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")
SMALL = ("INT8", "INT4", "INT2")
# Operators that take quantized constants, and at which inputs each of these, its scale and its zero point stand.
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
"""How the operators of `ai.onnx.ml` begin that keep what they learnt in attributes."""


class Stored(NamedTuple):
    """One constant of a model.

    Attributes:
        name: Of the tensor it gives.
        type: Name in ONNX: `FLOAT`.
        shape: Sizes.
        tensor: A TensorProto, or a SparseTensorProto, which holds only the numbers that are not 0.
        node: Whether it is an attribute of a `Constant` node and no initializer.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    tensor: Any
    node: bool

    @property
    def sparse(self) -> bool:
        """Whether the zeros are left out of the file."""
        return hasattr(self.tensor, "indices")


Scope = Mapping[str, Stored]
"""Constants by the name by which the nodes of a graph find them, those of the graphs around it too."""


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs that a node holds: branches of If, bodies of Loop and Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nodes(model: Any) -> Iterator[Any]:
    """Every node of a model, those of subgraphs and functions too."""
    for each, _, _ in scopes(model):
        yield from each


def weights(model: Any) -> list[Stored]:
    """The constants that are computed with: floats that are no scale, and integers that a quantized operator takes.

    A scalar in a `Constant` node is a coefficient of the graph and no weight.
    """
    return [stored for stored, _ in _roles(model)]


def counted(model: Any) -> Iterator[Weight]:
    """The weights with their values for `counting.count`; without values where they are stored in a way that is not read here."""
    for stored, zero in _roles(model):
        values = _values(stored, zero)
        yield Weight(stored.name, values, len(stored.shape) > 1, prod(stored.shape) if stored.sparse else None)
    for each, scope, _ in scopes(model):
        for node in each:
            if node.op_type in PACKED:
                yield _packed(node, scope)
            elif node.domain == "ai.onnx.ml" and node.op_type.startswith(LEARNED):
                yield Weight(node.op_type, None, listed=True)
            elif hidden := _hidden(node, scope):
                yield Weight(hidden, None, listed=True)


# --- inside ------------------------------------------------------------------------------------------------------------


def scopes(model: Any) -> Iterator[tuple[Sequence[Any], Scope, Scope]]:
    """(nodes, constants that they see, constants of their own graph) of every graph and function."""
    yield from _graph_scopes(model.graph, {})
    for function in model.functions:
        yield from _node_scopes(function.node, {}, {})


def _graph_scopes(graph: Any, outer: Scope) -> Iterator[tuple[Sequence[Any], Scope, Scope]]:
    yield from _node_scopes(graph.node, outer, {stored.name: stored for stored in _initializers(graph)})


def _node_scopes(each: Sequence[Any], outer: Scope, own: Scope) -> Iterator[tuple[Sequence[Any], Scope, Scope]]:
    own = {**own, **{node.output[0]: stored for node in each if node.op_type == "Constant" and (stored := _constant(node))}}
    seen = {**outer, **own}
    yield each, seen, own
    for node in each:
        for graph in subgraphs(node):
            yield from _graph_scopes(graph, seen)


def _initializers(graph: Any) -> Iterator[Stored]:
    for tensor in graph.initializer:
        yield Stored(tensor.name, _type(tensor), tuple(tensor.dims), tensor, node=False)
    for sparse in graph.sparse_initializer:
        yield Stored(sparse.values.name, _type(sparse.values), tuple(sparse.dims), sparse, node=False)


def _constant(node: Any) -> Stored | None:
    """What a `Constant` node gives; None for text and for single numbers."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return Stored(node.output[0], _type(attribute.t), tuple(attribute.t.dims), attribute.t, node=True)
        if attribute.name == "sparse_value":
            sparse = attribute.sparse_tensor
            return Stored(node.output[0], _type(sparse.values), tuple(sparse.dims), sparse, node=True)
        if attribute.name == "value_floats":
            from onnx import numpy_helper

            tensor = numpy_helper.from_array(np.array(attribute.floats, np.float32), node.output[0])
            return Stored(node.output[0], "FLOAT", tuple(tensor.dims), tensor, node=True)
    return None


def _type(tensor: Any) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(tensor.data_type))


def _roles(model: Any) -> Iterator[tuple[Stored, Any]]:
    """The weights, each once, with the zero point that belongs to it (None: 0)."""
    quantized: dict[int, Stored | None] = {}
    beside: set[int] = set()
    found = list(scopes(model))
    dynamic = any(node.op_type in ("MatMulInteger", "ConvInteger", "DynamicQuantizeLinear") for each, _, _ in found for node in each)
    for each, scope, _ in found:
        for node in each:
            _note(node, scope, quantized, beside)
    for _, _, own in found:
        for stored in own.values():
            # Dynamic quantization multiplies by the weights' scale in an operator of its own.
            scale = id(stored) in beside or (dynamic and stored.name.endswith(("_scale", "_zero_point")))
            float_ = stored.type in FLOATS and not scale and not (stored.node and prod(stored.shape) <= 1)
            if id(stored) in quantized or float_:
                yield stored, quantized.get(id(stored))


def _note(node: Any, scope: Scope, quantized: dict[int, Stored | None], beside: set[int]) -> None:
    """Note which constants of a node are quantized weights, and which are scales and zero points."""
    if node.op_type in PACKED:
        beside.update(id(stored) for at in (2, 3) if (stored := _input(node, at, scope)))
    if node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear"):  # of what is computed: scales of one number each
        given = (_input(node, at, scope) for at in range(1, len(node.input)))
        beside.update(id(stored) for stored in given if stored and (node.op_type == "QuantizeLinear" or prod(stored.shape) <= 1))
    for value, scale, zero in QUANTIZED.get(node.op_type, ()):
        stored = _input(node, value, scope)
        beside.update(id(found) for at in (scale, zero) if (found := _input(node, at, scope)))
        if stored:
            quantized[id(stored)] = _input(node, zero, scope)


def _input(node: Any, index: int | None, scope: Scope) -> Stored | None:
    """The constant at one of a node's inputs; None where there is none."""
    return scope.get(node.input[index]) if index is not None and index < len(node.input) else None


def _hidden(node: Any, scope: Scope) -> str | None:
    """The name of a matrix of small integers that a node takes in a way that is not known here; None where there is none."""
    if node.op_type in QUANTIZED or node.op_type in PACKED or (not node.domain.replace("ai.onnx", "") and node.op_type != "Cast"):
        return None
    small = (stored for name in node.input if (stored := scope.get(name)) and stored.type.removeprefix("U") in SMALL)
    return next((stored.name for stored in small if len(stored.shape) > 1), None)


def _values(stored: Stored, zero: Stored | None) -> Any:
    """A weight with its zero point at 0, of a sparse one what is stored; None where each channel has another zero point."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(stored.tensor.values if stored.sparse else stored.tensor)
    offset = None if zero is None or zero.sparse else numpy_helper.to_array(zero.tensor)
    if offset is None or not offset.any():
        return values
    # Along which axis is not worth the code: the tools of the field make zero points of 0 there.
    return None if offset.size > 1 or stored.sparse else values.astype(np.int64) - int(offset.flat[0])


def _packed(node: Any, scope: Scope) -> Weight:
    """A matrix of MatMulNBits: numbers of four or eight bits in blocks along the columns, their zero in the middle unless it is given."""
    from onnx import numpy_helper

    sizes = {attribute.name: attribute.i for attribute in node.attribute}
    stored = _input(node, 1, scope)
    if stored is None or sizes.get("bits", 4) not in (4, 8) or _input(node, 3, scope):
        return Weight(node.input[1], None, listed=True)
    packed = numpy_helper.to_array(stored.tensor).reshape(sizes["N"], -1)
    four = sizes.get("bits", 4) == 4
    values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(sizes["N"], -1) if four else packed
    return Weight(stored.name, values[:, : sizes["K"]].astype(np.int16) - (8 if four else 128), listed=True)
