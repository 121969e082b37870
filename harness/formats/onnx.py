"""An `.onnx` file -> the model, with no data from outside its folder, and what can be counted in it. Creates no session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats.counting import Weight, count
from harness.formats.precision import precision_text
from harness.formats.reading import first_line, reading
from harness.schema import ArtifactFacts

KIND = ("an ONNX model", "export it again; the file may be damaged or cut short")
FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")
SMALL = ("INT8", "INT4", "INT2")
NAMES = {"float": "float32", "double": "float64"}
# Operators whose multiply-accumulates are counted, and at which input the kernel stands.
COUNTED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), 3),
}
# Those that may multiply and are not.
UNCOUNTED = ("LSTM", "GRU", "RNN", "Einsum", "Attention", "If", "Loop", "Scan", "DeformConv", "DFT", "STFT")
# Operators that take a quantized constant, and at which inputs its scale and zero point stand.
QUANTIZED = {
    "DequantizeLinear": (0, 1, 2),
    "MatMulInteger": (1, None, 3),
    "ConvInteger": (1, None, 3),
    "QLinearConv": (3, 4, 5),
    "QLinearMatMul": (3, 4, 5),
}


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
    zero_points = _zero_points(model)
    weights = (Weight(t.name, _values(t, zero_points.get(t.name)), len(t.dims) > 1) for t in _weights(model))
    return count(chain(weights, _packed(model)), _macs(model))


def stored_types(model: Any) -> set[str]:
    """Types of the constants that could be weights, NumPy's names: floats, and integers of 8 bits and less; scalars (a zero point) are none."""
    name_of = import_onnx().TensorProto.DataType.Name
    types = {name_of(tensor.data_type) for tensor in tensors(model) if prod(tensor.dims) > 1}
    return {NAMES.get(name.lower(), name.lower()) for name in types if name in FLOATS or name.removeprefix("U") in SMALL}


def is_quantized(model: Any) -> bool:
    """Whether an operator of it takes quantized numbers."""
    return any(node.op_type in (*QUANTIZED, "QuantizeLinear", "MatMulNBits") for node in model.graph.node)


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
    types = import_onnx().TensorProto.DataType
    weights: Counter[str] = Counter()
    for tensor in _weights(model):
        name = types.Name(tensor.data_type).lower()
        weights[NAMES.get(name, name)] += max(1, int(np.prod(tensor.dims)))
    if not weights:
        return None
    kind = weights.most_common(1)[0][0]
    if kind.startswith(("int", "uint")):
        operators = {node.op_type for node in model.graph.node}
        whole = "QLinearConv" in operators or "QLinearMatMul" in operators or ("QuantizeLinear" in operators and fused)
        return precision_text(kind if whole else "float32", kind)
    return precision_text(None, kind) if kind != "float16" else "float16 weights"


# --- multiply-accumulates ----------------------------------------------------------------------------------------------


def _macs(model: Any) -> int | None:
    """Multiply-accumulates of one inference; null where an operator may compute something that is not counted here, or a size is open.

    Of a convolution the kernel's size for each position of the output (transposed: of the input); of a product of matrices the length of
    the sums for each number of the output.
    """
    nodes = model.graph.node
    if model.functions or any(node.op_type in UNCOUNTED or node.domain not in ("", "ai.onnx", "ai.onnx.ml") for node in nodes):
        return None
    shapes = _shapes_of_one(model)
    macs = 0
    for node in nodes:
        if node.op_type in COUNTED:
            kernel = shapes.get(node.input[COUNTED[node.op_type]])
            place = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])
            if kernel is None or place is None:
                return None
            macs += _node_macs(node, kernel, place)
    return macs


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


def _weights(model: Any) -> Iterator[Any]:
    """The initializers that are computed with: floats that are no scale, and integers that a quantized operator takes."""
    name_of = import_onnx().TensorProto.DataType.Name
    quantized: set[str] = set()
    beside: set[str] = set()
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear", *QUANTIZED):
            value, *rest = QUANTIZED.get(node.op_type, (0, 1, 2))
            quantized.add(_input(node, value))
            beside.update(_input(node, at) for at in rest)
    # Dynamic quantization multiplies by the weights' scale in an operator of its own.
    beside.update(tensor.name for tensor in model.graph.initializer if tensor.name.endswith(("_scale", "_zero_point")))
    for tensor in model.graph.initializer:
        if tensor.name in quantized or (name_of(tensor.data_type) in FLOATS and tensor.name not in beside):
            yield tensor


def _values(tensor: Any, zero: Any) -> Any:
    """A weight with its zero point at 0; null where each channel has another."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    if zero is None or not zero.any():
        return values
    # Along which axis is not worth the code: the tools of the field make zero points of 0 there.
    return None if zero.size > 1 else values.astype(np.int64) - int(zero.flat[0])


def _packed(model: Any) -> Iterator[Weight]:
    """The matrices of MatMulNBits: numbers of four or eight bits in blocks along the columns, their zero in the middle unless it is given."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            sizes = {attribute.name: attribute.i for attribute in node.attribute}
            tensor = constants.get(node.input[1])
            if tensor is None or sizes["bits"] not in (4, 8) or _input(node, 3):
                yield Weight(node.input[1], None, True)
                continue
            packed = numpy_helper.to_array(tensor).reshape(sizes["N"], -1)
            values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(sizes["N"], -1) if sizes["bits"] == 4 else packed
            yield Weight(tensor.name, values[:, : sizes["K"]].astype(np.int16) - 2 ** (sizes["bits"] - 1), True)


def _zero_points(model: Any) -> dict[str, Any]:
    """Zero points by the name of the weight they belong to."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type in QUANTIZED:
            value, _, zero = QUANTIZED[node.op_type]
            if (name := _input(node, zero)) in constants:
                found[_input(node, value)] = numpy_helper.to_array(constants[name])
    return found


def _input(node: Any, index: int | None) -> str:
    """The name at one of a node's inputs; empty where it has none there."""
    return node.input[index] if index is not None and index < len(node.input) else ""
