"""ONNX models: load a file with no data from outside its folder, check it, and count what is in it. Creates no session to measure."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats.base import FIRST_PACKAGES, Format, Imported, ImportRequest, Input
from harness.formats.counting import count
from harness.formats.libraries import import_library, library_errors, reading
from harness.formats.onnx_weights import FLOATS, LEARNED, PACKED, QUANTIZED, SMALL, counted, nodes, weights
from harness.formats.precision import precision_text
from harness.schema import ArtifactFacts, FormatSpec

KIND = ("an ONNX model", "export it again; the file may be damaged or truncated")
INSTALL = "pip install 'harness[onnxruntime]'"
NAMES = {"float": "float32", "double": "float64"}
# Operators whose multiply-accumulates are counted -> index of the input that is the kernel.
COUNTED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), 3),
}
# Operators that may multiply and are not counted.
UNCOUNTED = ("LSTM", "GRU", "RNN", "Einsum", "Attention", "If", "Loop", "Scan", "DeformConv", "DFT", "STFT")


PROTOBUF_BYTES = 2**31 - 1
"""Largest size of a protobuf message."""


class Onnx(Format):
    """An `.onnx` file."""

    spec: ClassVar = FormatSpec(name="onnx", summary="ONNX", packages=FIRST_PACKAGES, suffixes=(".onnx",), version=2)

    def import_model(self, request: ImportRequest) -> Imported:
        """Store the model with its external data in one file."""
        source, path = request.source, request.folder / "model.onnx"
        model = load_onnx(source)
        if source.stat().st_size == (size := model.ByteSize()):
            shutil.copyfile(source, path)
        elif size <= PROTOBUF_BYTES:
            import_onnx().save(model, str(path))
        else:
            raise EngineError(
                f"{source.name} with its external data is larger than 2 GiB",
                "ONNX models of this size are not supported: use a smaller one",
            )
        with reading(source, *KIND):
            return Imported(path, facts(model))

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs of the graph without those that are constants."""
        return [Input(value.name, dimensions(value)) for value in declared_inputs(load_onnx(path, weights=False).graph)]

    def stored_inputs(self, path: Path, signature: str | None = None) -> list[Input] | None:
        """Likewise."""
        return self.inputs(path)

    def stored_types(self, path: Path) -> set[str]:
        """Types of the initializers."""
        return stored_types(load_onnx(path, weights=False))


def load_onnx(path: Path, *, weights: bool = True) -> Any:
    """The model in a file.

    Args:
        path: The file.
        weights: Whether to load external data.

    Raises:
        EngineError: The file is not an ONNX model, is damaged or refers to data outside its folder, or `onnx` is not installed.
    """
    onnx = import_onnx()
    with reading(path, *KIND):
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise EngineError(f"{path.name} is not an ONNX model: it has no graph", KIND[1])
        _check_external(path, model)
        if weights:
            onnx.load_external_data_for_model(model, str(path.parent))
    return model


def import_onnx() -> Any:
    """The `onnx` package; refused if it is not installed."""
    return import_library("onnx", "ONNX", INSTALL)


def declared_inputs(graph: Any) -> list[Any]:
    """The inputs of a graph without its constants, which old exporters list among them."""
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def dimensions(value: Any) -> tuple[int | None, ...]:
    """The shape of an input or output; None for a dynamic dimension."""
    return tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)


def tensors(model: Any) -> Iterator[Any]:
    """Every constant of a model, in subgraphs and functions too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def facts(model: Any) -> ArtifactFacts:
    """Parameters, nonzero ones in total and by tensor, and multiply-accumulates of a model with its weights; None for what cannot be read."""
    return count(counted(model), _macs(model))


def stored_types(model: Any) -> set[str]:
    """Types of the constants that could be weights, as NumPy names them: floats and integers of 8 bits and less, without scalars."""
    name_of = import_onnx().TensorProto.DataType.Name
    types = {name_of(tensor.data_type) for tensor in tensors(model) if prod(tensor.dims) > 1}
    return {NAMES.get(name.lower(), name.lower()) for name in types if name in FLOATS or name.removeprefix("U") in SMALL}


def is_quantized(model: Any) -> bool:
    """Whether some operator takes quantized values."""
    return any(node.op_type in (*QUANTIZED, *PACKED, "QuantizeLinear") for node in nodes(model))


def check_float32(model: Any) -> None:
    """Refuse a model whose weights are smaller than float32 already; external data are not needed."""
    current = precision(model)
    if is_quantized(model) or current not in (None, "float32"):
        raise EngineError(f"the ONNX model cannot be quantized: it is already ({current})", "start from the float32 model", refused=True)


def check_operators(path: Path) -> None:
    """Refuse operators that ONNX does not define: converters copy operators that they do not know into the file.

    Raises:
        ValueError: The file has some.
    """
    has = import_onnx().defs.has
    unknown = sorted({node.op_type for node in load_onnx(path, weights=False).graph.node if not node.domain and not has(node.op_type)})
    if unknown:
        raise ValueError(f"ONNX has no operator {', '.join(unknown)}")


def check_loads(path: Path) -> None:
    """Let ONNX Runtime load a converted file, since some tools write files that it rejects.

    Raises:
        EngineError: It rejects the file, or is not installed.
    """
    onnxruntime = import_library("onnxruntime", "ONNX Runtime", INSTALL)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    hint = "remove this variant for this model"
    with library_errors("the model was converted, and ONNX Runtime cannot load it", hint, refused=True):
        onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def precision(model: Any, *, fused: bool = True) -> str | None:
    """The precision that most of a model's weights are computed in; None if it has none.

    Args:
        model: With or without its external data.
        fused: Whether the engine fuses quantize-dequantize pairs into integer operators; otherwise these run in float.
    """
    types: Counter[str] = Counter()
    for stored in weights(model):
        name = stored.type.lower()
        types[NAMES.get(name, name)] += max(1, prod(stored.shape))
    if not types:
        return None
    kind = types.most_common(1)[0][0]
    if kind.startswith(("int", "uint")):
        operators = {node.op_type for node in nodes(model)}
        integer = "QLinearConv" in operators or "QLinearMatMul" in operators or ("QuantizeLinear" in operators and fused)
        return precision_text(kind if integer else "float32", kind)
    return precision_text(None, kind) if kind != "float16" else "float16 weights"


# --- multiply-accumulates ----------------------------------------------------------------------------------------------


def _macs(model: Any) -> int | None:
    """Multiply-accumulates of one inference; None if an operator may multiply uncounted, or a dimension is dynamic.

    A convolution costs the size of its kernel for each position of the output (transposed: of the input); a matrix product the length of
    the sums for each element of the output.
    """
    if model.functions or any(_multiplies_uncounted(node) for node in model.graph.node):
        return None
    shapes = _shapes_of_one(model)
    macs = 0
    for node in model.graph.node:
        if node.op_type in COUNTED:
            kernel = shapes.get(node.input[COUNTED[node.op_type]])
            place = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])
            if kernel is None or place is None:
                return None
            macs += _node_macs(node, kernel, place)
    return macs


def _multiplies_uncounted(node: Any) -> bool:
    learned = node.domain == "ai.onnx.ml" and node.op_type.startswith(LEARNED)
    return learned or node.op_type in UNCOUNTED or node.domain not in ("", "ai.onnx", "ai.onnx.ml")


def _node_macs(node: Any, kernel: tuple[int, ...], place: tuple[int, ...]) -> int:
    if "Conv" in node.op_type:
        return prod(place) // place[1] * prod(kernel)
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    length = kernel[-1] if transposed or len(kernel) == 1 else kernel[-2]
    return prod(place) * length


def _shapes_of_one(model: Any) -> dict[str, tuple[int, ...]]:
    """Shapes by name for one sample, of constants and of inferred values without dynamic dimensions; empty if the file fixes another batch."""
    onnx = import_onnx()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in declared_inputs(copy.graph):
        size = value.type.tensor_type.shape.dim[:1]
        if size and not size[0].HasField("dim_value"):
            size[0].dim_value = 1
        elif not size or size[0].dim_value != 1:
            return {}
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True).graph
    except Exception:  # it does not support every operator
        return {}
    shapes = {}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        sizes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(size.HasField("dim_value") for size in sizes):
            shapes[value.name] = tuple(size.dim_value for size in sizes)
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in copy.graph.initializer}
    return shapes | {sparse.values.name: tuple(sparse.dims) for sparse in copy.graph.sparse_initializer}


# --- constants ---------------------------------------------------------------------------------------------------------


def _check_external(path: Path, model: Any) -> None:
    """Refuse data outside the model's folder, or that may be (a file with hard links), and name a missing file."""
    folder = path.parent.resolve()
    for name in dict.fromkeys(entry.value for tensor in tensors(model) for entry in tensor.external_data if entry.key == "location"):
        data = folder / name
        if not data.resolve().is_relative_to(folder):
            raise EngineError(f"{path.name} reads data from {name!r}, outside its folder", "put the data next to the model")
        if not data.is_file():
            raise EngineError(
                f"{path.name} keeps its weights in {name!r}, and no such file is there",
                f"put {name!r} next to the model, or save it in one file",
            )
        if data.stat().st_nlink > 1:  # as some installers leave it
            raise EngineError(
                f"{path.name} keeps its weights in {name!r}, a file that has other names too (hard links)",
                "use the path of a copy of the model's folder",
            )


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)
