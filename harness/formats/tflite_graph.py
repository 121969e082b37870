"""Graphs, tensors, operators and signatures as a `.tflite` file stores them. Loads no TensorFlow, runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.libraries import import_library

INSTALL = "pip install 'harness[litert]'"


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of a graph.

    Attributes:
        name: Name given by the converter.
        type: Name of its type in the schema: `FLOAT32`.
        shape: Sizes; for a computed tensor with dynamic dimensions only an estimate.
        signature: Sizes with -1 for each dynamic dimension.
        buffer: Raw bytes of a constant; empty for computed tensors and for constants in another file.
        place: Position of the bytes, equal for tensors that share them; None for computed tensors.
        scales: Number of scales of a quantized tensor: one, or one per channel.
        zero_points: Zero points of a quantized tensor, likewise.
        sparse: Whether the buffer holds only the nonzero values.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    buffer: NDArray[np.uint8]
    place: tuple[str, int] | None
    scales: int
    zero_points: NDArray[np.int64]
    sparse: bool

    @property
    def stored(self) -> bool:
        """Whether it is a constant."""
        return self.place is not None


class Operator(NamedTuple):
    """An operator, and the indexes of its tensors.

    Attributes:
        name: Name in the schema: `CONV_2D`.
        inputs: Indexes of its inputs; -1 for one that is left out.
        outputs: Indexes of its outputs.
        activation: Fused activation: `NONE`, `RELU`, `TANH`.
        graphs: Indexes of the graphs that it runs: branches, bodies of loops.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    graphs: tuple[int, ...]


class Graph(NamedTuple):
    """One graph of a file.

    Attributes:
        tensors: All tensors.
        operators: Operators in the order in which they run.
        inputs: Indexes of the input tensors.
        outputs: Indexes of the output tensors.
    """

    tensors: Sequence[GraphTensor]
    operators: Sequence[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def import_interpreter() -> Any:
    """The module of LiteRT's interpreter; refused if it is not installed."""
    return import_library("ai_edge_litert.interpreter", "LiteRT", INSTALL)


def import_schema() -> Any:
    """The module of LiteRT that parses the format without an interpreter; refused if it is not installed."""
    return import_library("ai_edge_litert.schema_py_generated", "LiteRT", INSTALL)


def read_graph(path: Path, index: int = 0) -> Graph:
    """One graph of a verified file.

    Args:
        path: The file.
        index: Index of the graph; 0 is the one that an interpreter runs by default.
    """
    return _graph(_File.open(path), index)


def reachable_graphs(path: Path) -> Iterator[Graph]:
    """The main graph of a verified file, and the graphs that its operators run."""
    file = _File.open(path)
    waiting, seen = [0], {0}
    while waiting:
        graph = _graph(file, waiting.pop())
        called = {index for operator in graph.operators for index in operator.graphs if index >= 0} - seen
        seen |= called
        waiting += sorted(called)
        yield graph


def signatures(path: Path) -> dict[str, int]:
    """Index of the graph of each signature of a verified file, by the signature's name."""
    return {_text(each.signatureKey): int(each.subgraphIndex) for each in _File.open(path).model.signatureDefs or ()}


def choose(graphs: Mapping[str, int], requested: str | None) -> str | None:
    """The signature to measure; None if the file has none, so that its main graph is measured.

    Args:
        graphs: Index of the graph of each signature, by name.
        requested: Signature that the suite names; None: none.

    Raises:
        EngineError: There are several and none is requested, or the requested one does not exist.
    """
    if requested is None and len(set(graphs.values())) > 1:
        raise EngineError(
            f"the .tflite has the signatures {', '.join(sorted(graphs))}, and the suite names none to measure",
            f"add `signature: {min(graphs)}`, or another of them, to the model in the suite",
            refused=True,
        )
    if requested is not None and requested not in graphs:
        present = f"only {', '.join(sorted(graphs))}" if graphs else "none at all"
        raise EngineError(
            f"the .tflite has no signature {requested!r}, {present}", "correct `signature` in the suite, or remove it", refused=True
        )
    return requested if requested is not None else min(graphs, default=None)


def with_main_graph(content: bytes, index: int, signature: str) -> bytes:
    """The content of a file with another graph as its main graph, and with that graph's signature only.

    Args:
        content: Content of the file.
        index: Index of the graph to exchange with the main graph.
        signature: Name of the signature to keep.

    Raises:
        EngineError: The file keeps its constants after the flatbuffer, as files beyond 2 GiB do, which cannot be rewritten.
    """
    import flatbuffers  # type: ignore[import-untyped]

    schema = import_schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if any(buffer.offset > 1 for buffer in model.buffers):
        raise EngineError(
            "a signature cannot be chosen in a .tflite with constants outside its buffers",
            f"convert the model again with the signature {signature!r} alone",
            refused=True,
        )
    graphs = model.subgraphs
    graphs[0], graphs[index] = graphs[index], graphs[0]
    moved = {0: index, index: 0}
    for graph in graphs:
        for operator in graph.operators or ():
            for options in (operator.builtinOptions, operator.builtinOptions2):
                for name in _graph_fields(options):
                    setattr(options, name, moved.get(getattr(options, name), getattr(options, name)))
    model.signatureDefs = [each for each in model.signatureDefs if _text(each.signatureKey) == signature]
    for each in model.signatureDefs:
        each.subgraphIndex = 0
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


# --- parsing -----------------------------------------------------------------------------------------------------------


class _File(NamedTuple):
    """LiteRT's module of the schema, the parsed model, and the bytes of the file."""

    schema: Any
    model: Any
    content: NDArray[np.uint8]

    @classmethod
    def open(cls, path: Path) -> _File:
        """Parse a file; constants are read when they are used."""
        schema = import_schema()
        content: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        return cls(schema, schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)), content)


def _graph(file: _File, index: int) -> Graph:
    graph = file.model.subgraphs[index]
    names = [_names(getattr(file.schema, name)) for name in ("TensorType", "BuiltinOperator", "ActivationFunctionType")]
    return Graph(
        [_tensor(file, tensor, names[0]) for tensor in graph.tensors or ()],
        [_operator(file.model, operator, *names[1:]) for operator in graph.operators or ()],
        _integers(graph.inputs),
        _integers(graph.outputs),
    )


def _tensor(file: _File, tensor: Any, types: dict[int, str]) -> GraphTensor:
    shape, quantization = _integers(tensor.shape), tensor.quantization
    buffer, place = _buffer(file, tensor)
    return GraphTensor(
        name=_text(tensor.name),
        shape=shape,
        signature=_integers(tensor.shapeSignature) or shape,
        type=types.get(tensor.type, "UNKNOWN"),
        buffer=buffer,
        place=place,
        scales=len(quantization.scale) if quantization and quantization.scale is not None else 0,
        zero_points=np.array((quantization and _integers(quantization.zeroPoint)) or (0,), np.int64),
        sparse=tensor.sparsity is not None,
    )


def _buffer(file: _File, tensor: Any) -> tuple[NDArray[np.uint8], tuple[str, int] | None]:
    """The bytes of a constant and their position: in a buffer, after the flatbuffer (files beyond 2 GiB), or in another file."""
    none = np.zeros(0, np.uint8)
    if external := getattr(tensor, "externalBuffer", 0):
        return none, ("external", int(external))
    buffer = file.model.buffers[tensor.buffer]
    if buffer.data is not None and len(buffer.data):
        return buffer.data, ("buffer", int(tensor.buffer))
    if buffer.offset > 1:
        return file.content[buffer.offset : buffer.offset + buffer.size], ("offset", int(buffer.offset))
    return none, None


def _operator(model: Any, operator: Any, names: dict[int, str], activations: dict[int, str]) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    options = [each for each in (operator.builtinOptions, operator.builtinOptions2) if each is not None]
    fused = next((each.fusedActivationFunction for each in options if hasattr(each, "fusedActivationFunction")), 0)
    return Operator(
        names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN"),  # old files store the code in a separate byte
        _integers(operator.inputs),
        _integers(operator.outputs),
        activations.get(fused, "UNKNOWN"),
        tuple(int(getattr(each, name)) for each in options for name in _graph_fields(each)),
    )


def _graph_fields(options: Any) -> list[str]:
    """Names of the fields of an operator's options that hold the index of a graph."""
    return [name for name in vars(options) if name.lower().endswith("subgraphindex") or name == "subgraph"] if options else []


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _integers(array: Any) -> tuple[int, ...]:
    """A vector of integers; the library returns None or 0 for an empty one."""
    return () if array is None or np.ndim(array) == 0 else tuple(int(i) for i in array)


def _text(name: bytes | None) -> str:
    return (name or b"").decode(errors="replace")
