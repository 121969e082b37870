"""A `.tflite` file -> its graphs, tensors, operators and signatures, as the file stores them. Loads no TensorFlow, runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of a graph.

    Attributes:
        name: As the converter gave it.
        type: Its name in the schema: `FLOAT32`.
        shape: Sizes; of what is computed these are only a guess where an axis is dynamic.
        signature: The same with -1 for each dynamic axis.
        buffer: The raw bytes of a constant; empty for what is computed, and for constants in another file.
        place: Where the bytes are; tensors that share them have the same. None for what is computed.
        scales: How many a quantized tensor has: one, or one for each channel.
        zero_points: Likewise.
        sparse: Whether the buffer holds only the numbers beside the zeros.
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
        name: In the schema: `CONV_2D`.
        inputs: -1 for one that is left out.
        outputs: Likewise.
        activation: What is fused behind it: `NONE`, `RELU`, `TANH`.
        graphs: The graphs that it runs: branches, bodies of loops.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    graphs: tuple[int, ...]


class Graph(NamedTuple):
    """One graph of a file.

    Attributes:
        tensors: All of them.
        operators: In the order in which they run.
        inputs: Indexes of the tensors that go in.
        outputs: Likewise.
    """

    tensors: Sequence[GraphTensor]
    operators: Sequence[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def import_interpreter() -> Any:
    """The module of LiteRT's interpreter.

    Raises:
        EngineError: It is not installed.
    """
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise EngineError(f"LiteRT cannot be imported: {error}", "pip install 'harness[litert]'", refused=True) from error
    return interpreter


def import_schema() -> Any:
    """The module of LiteRT that reads the format; it loads no interpreter.

    Raises:
        EngineError: It is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise EngineError(f"LiteRT cannot be imported: {error}", "pip install 'harness[litert]'", refused=True) from error
    return schema_py_generated


def read_graph(path: Path, index: int = 0) -> Graph:
    """One graph of a verified file.

    Args:
        path: The file.
        index: Which; 0 is the one that an interpreter runs by itself.
    """
    return _read(*_open(path), index)


def reachable_graphs(path: Path) -> Iterator[Graph]:
    """The main graph of a verified file, and those that its operators run."""
    opened = _open(path)
    waiting, seen = [0], {0}
    while waiting:
        graph = _read(*opened, waiting.pop())
        found = {index for operator in graph.operators for index in operator.graphs if index >= 0} - seen
        seen |= found
        waiting += sorted(found)
        yield graph


def signatures(path: Path) -> dict[str, int]:
    """The graph of each signature of a verified file, by the signature's name."""
    _, model, _ = _open(path)
    found = (model.SignatureDefs(index) for index in range(model.SignatureDefsLength()))
    return {(each.SignatureKey() or b"").decode(errors="replace"): int(each.SubgraphIndex()) for each in found}


def choose(found: Mapping[str, int], wanted: str | None) -> str | None:
    """The signature to measure; None where a file has none, and its main graph is all there is.

    Args:
        found: The graph of each signature, by name.
        wanted: What the suite names; None: nothing.

    Raises:
        EngineError: There are several and none is chosen, or the chosen one is not there.
    """
    if wanted is None and len(set(found.values())) > 1:
        raise EngineError(
            f"the .tflite has the signatures {', '.join(sorted(found))}, and nothing says which to measure",
            f"add `signature: {sorted(found)[0]}`, or another of them, to the model in the suite",
            refused=True,
        )
    if wanted is not None and wanted not in found:
        has = f"only {', '.join(sorted(found))}" if found else "none at all"
        raise EngineError(
            f"the .tflite has no signature {wanted!r}, {has}", "correct `signature` in the suite, or leave it out", refused=True
        )
    return wanted if wanted is not None else min(found, default=None)


def with_main_graph(content: bytes, index: int, signature: str) -> bytes:
    """A file whose main graph is another of its graphs, and whose only signature is that one's.

    Args:
        content: Of the file.
        index: The graph that becomes the first; the first one takes its place.
        signature: The name to keep.

    Raises:
        EngineError: The file is larger than 2 GiB, and keeps its constants behind the part that can be written again.
    """
    import flatbuffers  # type: ignore[import-untyped]

    schema = import_schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if any(buffer.offset > 1 for buffer in model.buffers):
        raise EngineError(
            "a signature cannot be chosen in a .tflite that keeps its constants outside of its buffers",
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
    model.signatureDefs = [each for each in model.signatureDefs if (each.signatureKey or b"").decode(errors="replace") == signature]
    for each in model.signatureDefs:
        each.subgraphIndex = 0
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


# --- inside ------------------------------------------------------------------------------------------------------------


def _graph_fields(options: Any) -> list[str]:
    """The fields of an operator's options, as an object, that hold the index of a graph."""
    return [name for name in vars(options) if name.lower().endswith("subgraphindex") or name == "subgraph"] if options else []


def _open(path: Path) -> tuple[Any, Any, NDArray[np.uint8]]:
    """(schema, model, bytes)."""
    schema = import_schema()
    content: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    return schema, schema.Model.GetRootAs(content, 0), content


def _read(schema: Any, model: Any, content: NDArray[np.uint8], index: int) -> Graph:
    graph = model.Subgraphs(index)
    return Graph(
        list(_tensors(schema, model, content, graph)),
        list(_operators(schema, model, graph)),
        _indexes(graph.InputsAsNumpy),
        _indexes(graph.OutputsAsNumpy),
    )


def _tensors(schema: Any, model: Any, content: NDArray[np.uint8], graph: Any) -> Iterator[GraphTensor]:
    names = _names(schema.TensorType)
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        quantization = tensor.Quantization()
        zero_points = (
            np.atleast_1d(quantization.ZeroPointAsNumpy()) if quantization and quantization.ZeroPointLength() else np.zeros(1, np.int64)
        )
        shape = tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else ()
        buffer, place = _buffer(model, content, tensor)
        yield GraphTensor(
            name=(tensor.Name() or b"").decode(errors="replace"),
            shape=shape,
            signature=tuple(tensor.ShapeSignatureAsNumpy().tolist()) if tensor.ShapeSignatureLength() else shape,
            type=names.get(tensor.Type(), "UNKNOWN"),
            buffer=buffer,
            place=place,
            scales=quantization.ScaleLength() if quantization else 0,
            zero_points=zero_points,
            sparse=tensor.Sparsity() is not None,
        )


def _buffer(model: Any, content: NDArray[np.uint8], tensor: Any) -> tuple[NDArray[np.uint8], tuple[str, int] | None]:
    """The bytes of a constant and where they are: in a buffer, behind the flatbuffer in files beyond 2 GiB, or in another file."""
    none = np.zeros(0, np.uint8)
    if external := getattr(tensor, "ExternalBuffer", int)():
        return none, ("external", int(external))
    buffer = model.Buffers(tensor.Buffer())
    if buffer.DataLength():
        return buffer.DataAsNumpy(), ("buffer", int(tensor.Buffer()))
    if buffer.Offset() > 1:
        return content[buffer.Offset() : buffer.Offset() + buffer.Size()], ("offset", int(buffer.Offset()))
    return none, None


def _operators(schema: Any, model: Any, graph: Any) -> Iterator[Operator]:
    names, activations = _names(schema.BuiltinOperator), _names(schema.ActivationFunctionType)
    kinds = _names(schema.BuiltinOptions), _names(schema.BuiltinOptions2)
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        # Old files keep the code in a byte of its own, new ones in both.
        name = names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "UNKNOWN")
        tables = (
            (kinds[0].get(operator.BuiltinOptionsType()), operator.BuiltinOptions()),
            (kinds[1].get(operator.BuiltinOptions2Type()), operator.BuiltinOptions2()),
        )
        options = [_options(schema, kind, table) for kind, table in tables if table is not None and kind not in (None, "NONE")]
        fused = next((each.FusedActivationFunction() for each in options if hasattr(each, "FusedActivationFunction")), 0)
        inner = tuple(
            int(getattr(each, field)()) for each in options for field in dir(each) if field.endswith("SubgraphIndex") or field == "Subgraph"
        )
        yield Operator(name, _indexes(operator.InputsAsNumpy), _indexes(operator.OutputsAsNumpy), activations.get(fused, "UNKNOWN"), inner)


def _options(schema: Any, kind: str | None, table: Any) -> Any:
    options = getattr(schema, str(kind))()
    options.Init(table.Bytes, table.Pos)
    return options


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _indexes(array: Any) -> tuple[int, ...]:
    """The indexes of tensors; the library gives 0 for an empty list."""
    return tuple(int(i) for i in np.atleast_1d(array()))
