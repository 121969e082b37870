"""Small `.tflite` files, written by hand through the format's own objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

RNG = np.random.default_rng(3)
SMALL, LARGE = RNG.normal(size=(2, 3)).astype(np.float32), RNG.normal(size=(7, 5)).astype(np.float32)


class Graph(NamedTuple):
    """A graph to write.

    Attributes:
        tensors: (name, shape, constant or None) or (name, shape, constant, changes): attributes of the tensor to set.
        operators: (operator, input indexes, output indexes) or with options.
        inputs: Indexes.
        outputs: Indexes.
    """

    tensors: Sequence[tuple]
    operators: Sequence[tuple]
    inputs: Sequence[int]
    outputs: Sequence[int]


TYPES = {"float32": "FLOAT32", "float16": "FLOAT16", "int8": "INT8", "uint8": "UINT8", "int32": "INT32", "bool": "BOOL"}


def dense(weights: np.ndarray, prefix: str = "", activation: int = 0) -> Graph:
    """The input times a matrix of shape (units, features)."""
    units, features = weights.shape
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    tensors = [(f"{prefix}x", (1, features), None), (f"{prefix}w", weights.shape, weights), (f"{prefix}y", (1, units), None)]
    return Graph(tensors, [("FULLY_CONNECTED", [0, 1, -1], [2], options)], [0], [2])


def write(path: Path, graphs: Sequence[Graph], signatures: dict[str, int] | None = None) -> Path:
    """A file with these graphs; constants that are the same object share a buffer."""
    model = schema.ModelT()
    model.version, model.description = 3, b"by hand"
    model.buffers, model.operatorCodes = [_buffer(None)], []
    places: dict[int, int] = {}
    model.subgraphs = [_graph(model, graph, places) for graph in graphs]
    model.signatureDefs = [_signature(graphs[index], name, index) for name, index in (signatures or {}).items()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _graph(model: Any, graph: Graph, places: dict[int, int]) -> Any:
    made = schema.SubGraphT()
    made.inputs, made.outputs, made.tensors, made.operators = list(graph.inputs), list(graph.outputs), [], []
    for name, shape, constant, *changes in graph.tensors:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), 0
        tensor.type = getattr(schema.TensorType, TYPES[constant.dtype.name] if constant is not None else "FLOAT32")
        if constant is not None:
            if id(constant) not in places:
                places[id(constant)] = len(model.buffers)
                model.buffers.append(_buffer(constant))
            tensor.buffer = places[id(constant)]
        for key, value in (changes[0] if changes else {}).items():
            setattr(tensor, key, value)
        made.tensors.append(tensor)
    for name, inputs, outputs, *options in graph.operators:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, list(inputs), list(outputs)
        if options:
            operator.builtinOptions = options[0]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options[0]).__name__.removesuffix("T"))
        made.operators.append(operator)
    return made


def _buffer(constant: np.ndarray | None) -> Any:
    buffer = schema.BufferT()
    buffer.data = None if constant is None else np.frombuffer(constant.tobytes(), np.uint8)
    return buffer


def _signature(graph: Graph, name: str, index: int) -> Any:
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = name.encode(), index

    def maps(indexes: Sequence[int], word: str) -> list[Any]:
        entries = []
        for place, tensor in enumerate(indexes):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = f"{word}_{place}".encode(), tensor
            entries.append(entry)
        return entries

    made.inputs, made.outputs = maps(graph.inputs, "in"), maps(graph.outputs, "out")
    return made


def branching():
    """(main graph with a loop that never runs, its condition, its body with weights)."""
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    main = Graph([("x", (1, 3), None), ("y", (1, 3), None)], [("WHILE", [0], [1], options)], [0], [1])
    condition = Graph([("c", (1, 3), None), ("no", (), np.array(False))], [], [0], [1])
    return [main, condition, dense(RNG.normal(size=(3, 3)).astype(np.float32))]


def sparsity(weights):
    """The format's description of a matrix that stores only its nonzero values, row by row."""
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, weights.shape[0]
    columns = schema.DimensionMetadataT()
    columns.format = schema.DimensionType.SPARSE_CSR
    for name, values in (("arraySegments", np.cumsum([0, *(weights != 0).sum(axis=1)])), ("arrayIndices", np.nonzero(weights)[1])):
        vector = schema.Int32VectorT()
        vector.values = values.astype(np.int32).tolist()
        setattr(columns, name, vector)
        setattr(columns, f"{name}Type", schema.SparseIndexVector.Int32Vector)
    made = schema.SparsityParametersT()
    made.traversalOrder, made.dimMetadata = [0, 1], [dimension, columns]
    return made
