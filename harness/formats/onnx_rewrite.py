"""Rewrites of ONNX models: constants as initializers, where tools look for them, and weights in float16."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import prod
from typing import Any

import numpy as np

from harness.formats.onnx_weights import scopes, subgraphs


def with_initializers(model: Any) -> Any:
    """A copy whose constants are initializers of the graph that uses them, and whose nodes have unique names.

    Some exporters (Paddle's among them) write weights as `Constant` nodes, or keep those of a branch in the outer graph; quantizers search
    only the initializers of the graph they are in. The model computes the same.
    """
    copy = deepcopy(model)
    copy.ir_version = max(copy.ir_version, 4)  # before, every initializer had to be listed among the inputs
    _fold_constants(copy.graph, set())
    _sink_initializers(copy.graph)
    return copy


def _fold_constants(graph: Any, taken: set[str]) -> None:
    """Replace `Constant` nodes by initializers, and rename the other nodes to unique names."""
    kept, outputs = [], {value.name for value in graph.output}
    outputs |= {node.input[0] for node in graph.node if node.op_type == "Cast"}  # NNCF accepts no initializer there
    for number, node in enumerate(graph.node):
        for inner in subgraphs(node):
            _fold_constants(inner, taken)
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
        _replace(graph.node, kept)


def _sink_initializers(graph: Any) -> None:
    """Move each initializer that only one subgraph uses into that subgraph."""
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
        _replace(graph.initializer, left)
    for each in inner:
        _sink_initializers(each)


def _replace(field: Any, items: Sequence[Any]) -> None:
    """Set a repeated field of a message to some of its items, or to others."""
    copies = [deepcopy(item) for item in items]  # deleting an item invalidates it
    del field[:]
    field.extend(copies)


def _free_names(graph: Any) -> set[str]:
    """Names that a graph and its subgraphs take from the outer graph."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in graph.node:
        for inner in subgraphs(node):
            used |= _free_names(inner)
    defined = {name for node in graph.node for name in node.output}
    return used - defined - {value.name for value in (*graph.input, *graph.initializer)}


def has_subgraphs(model: Any) -> bool:
    """Whether nodes of the main graph have subgraphs: branches and loops."""
    return any(True for node in model.graph.node for _ in subgraphs(node))


def beyond_half(model: Any) -> list[str]:
    """Names of the nodes with a float32 constant beyond the range of float16: a variance of 1e8, a mask of -1e9."""
    names = []
    for each, scope, _ in scopes(model):
        large = {name for name, stored in scope.items() if stored.type == "FLOAT" and not stored.sparse and _overflows(stored.tensor)}
        names += [node.name for node in each if node.op_type != "Constant" and large.intersection(node.input)]
    return names


def _overflows(tensor: Any) -> bool:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    finite = values[np.isfinite(values)]
    return bool(finite.size) and float(np.abs(finite).max()) > float(np.finfo(np.float16).max)


def to_half(model: Any) -> int:
    """Store float32 initializers in float16, each cast back to float32 before use; in place, without scalars.

    Args:
        model: Result of `with_initializers`.

    Returns:
        The number of initializers changed.
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
    inner = sum(_halve(each) for node in graph.node for each in subgraphs(node))
    _replace(graph.node, [*casts, *graph.node])
    return len(casts) + inner
