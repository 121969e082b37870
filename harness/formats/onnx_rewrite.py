"""An ONNX model -> the same model with its constants where tools look for them, or with its weights in float16."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from harness.formats.onnx_weights import scopes, subgraphs


def with_initializers(model: Any) -> Any:
    """A copy whose constants are initializers of the graph that uses them, and whose nodes have names of their own.

    Some exporters (Paddle's among them) write weights as `Constant` nodes, or keep those of a branch in the graph around it; the tools that
    quantize look only among the initializers of the graph they are in. What the model computes stays the same.
    """
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = max(copy.ir_version, 4)  # before, every initializer had to be listed among the inputs
    taken: set[str] = set()
    _fold(copy.graph, taken)
    _sink(copy.graph)
    return copy


def _fold(graph: Any, taken: set[str]) -> None:
    kept, outputs = [], {value.name for value in graph.output}
    outputs |= {node.input[0] for node in graph.node if node.op_type == "Cast"}  # NNCF takes no initializer there
    for number, node in enumerate(graph.node):
        for inner in subgraphs(node):
            _fold(inner, taken)
        tensor = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None) if node.op_type == "Constant" else None
        if tensor is not None and node.output[0] not in outputs:
            made = graph.initializer.add()
            made.CopyFrom(tensor)
            made.name = node.output[0]
            continue
        if not node.name or node.name in taken:
            node.name = next(n for n in (f"{node.name or node.op_type}_{number}_{i}" for i in range(len(taken) + 1)) if n not in taken)
        taken.add(node.name)
        kept.append(node)
    if len(kept) < len(graph.node):
        moved = [type(node)() for node in kept]
        for target, node in zip(moved, kept, strict=True):
            target.CopyFrom(node)
        del graph.node[:]
        graph.node.extend(moved)


def _sink(graph: Any) -> None:
    """Move each initializer that a single subgraph uses into it."""
    inner = [each for node in graph.node for each in subgraphs(node)]
    if not inner:
        return
    own = {name for node in graph.node for name in node.input} | {value.name for value in (*graph.output, *graph.input)}
    uses = [_free_names(each) for each in inner]
    left = []
    for tensor in graph.initializer:
        users = [each for each, names in zip(inner, uses, strict=True) if tensor.name in names]
        if len(users) == 1 and tensor.name not in own:
            users[0].initializer.add().CopyFrom(tensor)
        else:
            left.append(tensor)
    if len(left) < len(graph.initializer):
        copies = [type(tensor)() for tensor in left]
        for copy, tensor in zip(copies, left, strict=True):
            copy.CopyFrom(tensor)
        del graph.initializer[:]
        graph.initializer.extend(copies)
    for each in inner:
        _sink(each)


def _free_names(graph: Any) -> set[str]:
    """The names that a graph and those inside it take from around it."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in graph.node:
        for inner in subgraphs(node):
            used |= _free_names(inner)
    return used - _own_names(graph)


def _own_names(graph: Any) -> set[str]:
    made: Iterable[str] = (name for node in graph.node for name in node.output)
    return {*made, *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}


def has_subgraphs(model: Any) -> bool:
    """Whether nodes of the main graph hold graphs of their own: branches and loops."""
    return any(True for node in model.graph.node for _ in subgraphs(node))


def beyond_half(model: Any) -> list[str]:
    """Names of the nodes with a float32 constant whose largest number float16 cannot hold: a variance of 1e8, a mask of -1e9.

    Args:
        model: As `with_initializers` gives it.
    """
    found = []
    for each, scope, _ in scopes(model):
        large = {name for name, stored in scope.items() if stored.type == "FLOAT" and not stored.sparse and _overflows(stored.tensor)}
        found += [node.name for node in each if node.op_type != "Constant" and large.intersection(node.input)]
    return found


def _overflows(tensor: Any) -> bool:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    finite = values[np.isfinite(values)]
    return bool(finite.size) and float(np.abs(finite).max()) > float(np.finfo(np.float16).max)


def to_half(model: Any) -> int:
    """Store the float32 initializers of more than one number in float16, each cast back to float32 before it is used; in place.

    Args:
        model: As `with_initializers` gives it.

    Returns:
        How many were stored so.
    """
    return _halve(model.graph)


def _halve(graph: Any) -> int:
    from onnx import TensorProto, helper, numpy_helper

    listed = {value.name for value in (*graph.input, *graph.output)}
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or prod(tensor.dims) <= 1 or tensor.name in listed or _overflows(tensor):
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_float16"))
        casts.append(helper.make_node("Cast", [f"{name}_float16"], [name], name=f"{name}_to_float32", to=TensorProto.FLOAT))
    rest = [type(node)() for node in graph.node]
    for copy, node in zip(rest, graph.node, strict=True):
        copy.CopyFrom(node)
    inner = sum(_halve(each) for node in rest for each in subgraphs(node))
    del graph.node[:]
    graph.node.extend([*casts, *rest])
    return len(casts) + inner
