"""An `.onnx` file -> the model, with no data from outside its folder, and what can be counted in it. Creates no session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.formats.counting import count
from harness.formats.libraries import first_line, reading
from harness.formats.onnx_weights import FLOATS, LEARNED, PACKED, QUANTIZED, SMALL, counted, nodes, weights
from harness.formats.precision import precision_text
from harness.schema import ArtifactFacts

KIND = ("an ONNX model", "export it again; the file may be damaged or cut short")
NAMES = {"float": "float32", "double": "float64"}
# Operators whose multiply-accumulates are counted, and at which input the kernel stands.
COUNTED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), 3),
}
# Those that may multiply and are not.
UNCOUNTED = ("LSTM", "GRU", "RNN", "Einsum", "Attention", "If", "Loop", "Scan", "DeformConv", "DFT", "STFT")


def load_onnx(path: Path, *, weights: bool = True) -> Any:
    """The model, with its external data.

    Args:
        path: The file.
        weights: False: leave external data where they are.

    Raises:
        EngineError: No ONNX model, a damaged one, one that draws data from outside its folder, or no `onnx` installed.
    """
    onnx = import_onnx()
    with reading(path, *KIND):
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise EngineError(f"{path.name} is no ONNX model: it has no graph", KIND[1])
        _check_external(path, model)
        if weights:
            onnx.load_external_data_for_model(model, str(path.parent))
    return model


def import_onnx() -> Any:
    """The `onnx` package.

    Raises:
        EngineError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise EngineError(f"ONNX cannot be imported: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
    return onnx


def has_external_data(model: Any) -> bool:
    """Whether some tensors lie in other files."""
    return any(tensor.external_data for tensor in tensors(model))


def tensors(model: Any) -> Iterator[Any]:
    """Every constant of a model, those of subgraphs and functions too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def facts(model: Any) -> ArtifactFacts:
    """Parameters, those that are not 0, in all and by tensor, and multiply-accumulates of a model with its weights; null what cannot be read from it."""
    return count(counted(model), _macs(model))


def stored_types(model: Any) -> set[str]:
    """Types of the constants that could be weights, NumPy's names: floats, and integers of 8 bits and less; scalars (a zero point) are none."""
    name_of = import_onnx().TensorProto.DataType.Name
    types = {name_of(tensor.data_type) for tensor in tensors(model) if prod(tensor.dims) > 1}
    return {NAMES.get(name.lower(), name.lower()) for name in types if name in FLOATS or name.removeprefix("U") in SMALL}


def is_quantized(model: Any) -> bool:
    """Whether an operator of it takes quantized numbers."""
    return any(node.op_type in (*QUANTIZED, *PACKED, "QuantizeLinear") for node in nodes(model))


def check_float32(model: Any) -> None:
    """Take only a model whose numbers can be made smaller.

    Args:
        model: Its external data may be missing.

    Raises:
        EngineError: Its weights are smaller than float32 already.
    """
    found = precision(model)
    if is_quantized(model) or found not in (None, "float32"):
        raise EngineError(f"the ONNX model cannot be quantized: it is already ({found})", "start from the float32 model", refused=True)


def check_operators(path: Path) -> None:
    """Take only operators that ONNX has: its converters leave in the file what they do not know.

    Raises:
        EngineError: It has others.
    """
    has = import_onnx().defs.has
    unknown = sorted({node.op_type for node in load_onnx(path, weights=False).graph.node if not node.domain and not has(node.op_type)})
    if unknown:
        raise EngineError(f"ONNX has no operator {', '.join(unknown)}", "export the model without it", refused=True)


def check_loads(path: Path) -> None:
    """Let ONNX Runtime load the file, for some tools write what it refuses.

    Raises:
        EngineError: It does, or is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(f"ONNX Runtime cannot be imported: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    try:
        onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # of classes of its own
        raise EngineError(
            f"the model was converted, and ONNX Runtime cannot load it: {first_line(error)}",
            "leave this variant out for this model",
            refused=True,
        ) from error


def precision(model: Any, *, fused: bool = True) -> str | None:
    """The precision a model computes in, by most of its weights; null where it has none.

    Args:
        model: Its external data may be missing.
        fused: Whether the engine fuses quantize-dequantize pairs into integer operators; without it these run in float.
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
        whole = "QLinearConv" in operators or "QLinearMatMul" in operators or ("QuantizeLinear" in operators and fused)
        return precision_text(kind if whole else "float32", kind)
    return precision_text(None, kind) if kind != "float16" else "float16 weights"


# --- multiply-accumulates ----------------------------------------------------------------------------------------------


def _macs(model: Any) -> int | None:
    """Multiply-accumulates of one inference; null where an operator may compute something that is not counted here, or a size is open.

    Of a convolution the kernel's size for each position of the output (transposed: of the input); of a product of matrices the length of
    the sums for each number of the output.
    """
    if model.functions or any(_multiplies_unseen(node) for node in model.graph.node):
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


def _multiplies_unseen(node: Any) -> bool:
    """Whether an operator may multiply in a way that is not counted here."""
    learned = node.domain == "ai.onnx.ml" and node.op_type.startswith(LEARNED)
    return learned or node.op_type in UNCOUNTED or node.domain not in ("", "ai.onnx", "ai.onnx.ml")


def _node_macs(node: Any, kernel: tuple[int, ...], place: tuple[int, ...]) -> int:
    if "Conv" in node.op_type:
        return prod(place) // place[1] * prod(kernel)
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    length = kernel[-1] if transposed or len(kernel) == 1 else kernel[-2]
    return prod(place) * length


def _shapes_of_one(model: Any) -> dict[str, tuple[int, ...]]:
    """Sizes by name for one sample, of constants and of what can be inferred; without those that are open."""
    onnx = import_onnx()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    constants = {tensor.name for tensor in copy.graph.initializer}
    for value in copy.graph.input:
        size = value.type.tensor_type.shape.dim[:1]
        if value.name not in constants and size and not size[0].HasField("dim_value"):
            size[0].dim_value = 1
        elif value.name not in constants and (not size or size[0].dim_value != 1):
            return {}  # the file fixes another batch
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True).graph
    except Exception:  # operators of other people's models are more than it can do
        return {}
    found = {tensor.name: tuple(tensor.dims) for tensor in copy.graph.initializer}
    found |= {sparse.values.name: tuple(sparse.dims) for sparse in copy.graph.sparse_initializer}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        sizes = value.type.tensor_type.shape.dim
        if value.name not in found and value.type.tensor_type.HasField("shape") and all(size.HasField("dim_value") for size in sizes):
            found[value.name] = tuple(size.dim_value for size in sizes)
    return found


# --- inside ------------------------------------------------------------------------------------------------------------


def _check_external(path: Path, model: Any) -> None:
    """Refuse data from outside the model's folder, or that may be: a file of several names; and tell which file is missing."""
    folder = path.parent.resolve()
    for name in dict.fromkeys(entry.value for tensor in tensors(model) for entry in tensor.external_data if entry.key == "location"):
        if not (folder / name).resolve().is_relative_to(folder):
            raise EngineError(f"{path.name} draws data from {name!r}, outside its folder", "put the data beside the model")
        if not (folder / name).is_file():
            raise EngineError(
                f"{path.name} keeps its weights in {name!r}, and no such file is there",
                f"put {name!r} beside the model, or save it in one file",
            )
        if (folder / name).stat().st_nlink > 1:  # as some installers leave it
            raise EngineError(
                f"{path.name} keeps its weights in {name!r}, a file that has other names too (hard links)",
                "name a copy of the model's folder",
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
