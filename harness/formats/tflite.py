"""A `.tflite` file -> what is in it: constants, those that are not 0, and the types it computes in. Loads no TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.counting import Weight, count
from harness.formats.libraries import reading
from harness.formats.precision import precision_text
from harness.formats.tflite_graph import GraphTensor, Operator, import_interpreter, reachable_graphs, read_graph
from harness.schema import ArtifactFacts

KIND = ("a TFLite model", "convert it again; the file may be damaged or cut short")
ARITHMETIC = ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64", "INT16", "INT8", "UINT8", "INT4", "INT2")
QUANTIZING = ("QUANTIZE", "DEQUANTIZE")
# Operators whose multiply-accumulates are counted, and the axis of the kernel that their output (transposed: input) has too.
COUNTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": -1, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": -1, "CONV_3D": -1}
# Parts of the names of those that may multiply and are not.
UNCOUNTED = (
    "LSTM",
    "RNN",
    "SVDF",
    "CALL",
    "CUSTOM",
    "IF",
    "WHILE",
    "MATMUL",
    "CONV_3D_T",
    "STABLEHLO",
    "RFFT",
    "DELEGATE",
    "LSH_",
    "UNKNOWN",
)


def check_tflite(path: Path) -> None:
    """Let LiteRT verify the file: its identifier, and that every offset stays inside.

    Raises:
        EngineError: It is no TFLite model, or a damaged one.
    """
    interpreter = import_interpreter()
    with reading(path, *KIND):
        interpreter.Interpreter(model_path=str(path))


def check_runs(path: Path) -> None:
    """Let LiteRT answer once, as it does by itself, for some converters write what no engine loads.

    A model of open sizes beside its batch is not asked: those of the file need not fit it.

    Raises:
        EngineError: It cannot.
    """
    try:
        with reading(path, *KIND):
            inputs = import_interpreter().Interpreter(model_path=str(path)).get_input_details()
        if not has_dynamic_axes(inputs):
            _run_once(path)
    except EngineError as error:
        raise EngineError(f"the model was converted, and LiteRT cannot run it: {error.what}", error.hint, refused=True) from error


def has_dynamic_axes(inputs: Sequence[dict[str, Any]]) -> bool:
    """Whether an input, as LiteRT describes it, is open in more than its batch."""
    return any(-1 in detail["shape_signature"][1:] for detail in inputs)


def _run_once(path: Path, *, delegates: bool = True) -> Any:
    """The interpreter after one inference on zeros, with the sizes of the file."""
    library = import_interpreter()
    resolver = library.OpResolverType
    with reading(path, "a model that LiteRT runs", "leave this variant out for this model"):
        interpreter = library.Interpreter(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=resolver.AUTO if delegates else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
        return interpreter


def facts(path: Path) -> ArtifactFacts:
    """Parameters, those that are not 0, in all and by tensor, and multiply-accumulates of a verified file; null what cannot be read from it."""
    with reading(path, *KIND):
        graph = read_graph(path)
        weights = (
            Weight(tensor.name, _values(tensor), len(tensor.shape) > 1, prod(tensor.shape) if tensor.sparse else None)
            for tensor in _weights(path)
        )
        return count(weights, _macs(path, graph.tensors, graph.operators))


def precision(path: Path) -> str | None:
    """The precision of a verified file: of most of what its operators compute, and of most bytes of its constants."""
    with reading(path, *KIND):
        graph = read_graph(path)
        computed = [index for operator in graph.operators if operator.name not in QUANTIZING for index in operator.outputs]
        types = _activations(graph.tensors, computed), _types(_weights(path))
    return precision_text(*(count.most_common(1)[0][0] if count else None for count in types))


def weight_types(path: Path) -> Counter[str]:
    """How many bytes of weights of each type a verified file has: `float32`, `int8`."""
    with reading(path, *KIND):
        return _types(_weights(path))


def is_sparse(path: Path) -> bool:
    """Whether a verified file stores only the numbers of some weights that are not 0."""
    with reading(path, *KIND):
        return any(tensor.sparse for tensor in _weights(path))


def _weights(path: Path) -> Iterator[GraphTensor]:
    """The constants that are computed with, of the main graph and of the branches and loops in it; what tensors share once."""
    seen = set()
    for graph in reachable_graphs(path):
        for tensor in graph.tensors:
            if _is_weight(tensor) and tensor.place not in seen:
                seen.add(tensor.place)
                yield tensor


def _activations(tensors: Sequence[GraphTensor], computed: list[int]) -> Counter[str]:
    """How many tensors of each type the operators compute."""
    return Counter(tensors[i].type.lower() for i in computed if tensors[i].type in ARITHMETIC and not tensors[i].buffer.size)


def _types(weights: Iterator[GraphTensor]) -> Counter[str]:
    """How many bytes of weights there are of each type."""
    types: Counter[str] = Counter()
    for tensor in weights:
        types[tensor.type.lower()] += max(1, tensor.buffer.size)
    return types


def _is_weight(tensor: GraphTensor) -> bool:
    """Whether it is a constant that is computed with: float or quantized, no shape or index."""
    return tensor.stored and (tensor.type.startswith(("FLOAT", "BFLOAT")) or tensor.scales > 0)


def _values(tensor: GraphTensor) -> NDArray[Any] | None:
    """The constant with its zero point at 0, of a sparse one what is stored; None where it lies in another file, or is of a type that is not read."""
    types: dict[str, Any] = {
        "FLOAT32": "<f4",
        "FLOAT16": "<f2",
        "FLOAT64": "<f8",
        "INT8": "i1",
        "UINT8": "u1",
        "INT16": "<i2",
        "INT32": "<i4",
        "INT64": "<i8",
    }
    if len(set(tensor.zero_points.tolist())) > 1 or not tensor.buffer.size or (tensor.sparse and tensor.zero_points.any()):
        return None
    if tensor.type == "INT4":
        values: NDArray[Any] = _nibbles(tensor.buffer)
        values = values if tensor.sparse else values[: prod(tensor.shape)]
    elif tensor.type == "BFLOAT16":  # 0 where all bits but the sign are
        values = tensor.buffer.view("<u2") & 0x7FFF
    elif tensor.type in types:
        values = tensor.buffer.view(types[tensor.type])
    else:
        return None
    return values - tensor.zero_points[0] if tensor.zero_points.any() else values


def _nibbles(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Signed numbers of four bits, two in a byte, the low one first."""
    signed = packed.view(np.int8)
    return np.stack([np.left_shift(signed, 4) >> 4, signed >> 4], axis=-1).ravel()


def _macs(path: Path, tensors: Sequence[GraphTensor], operators: Sequence[Operator]) -> int | None:
    """Multiply-accumulates of one inference; None where an operator may compute something that is not counted here, or a size is open.

    Nor of sparse weights: whether their zeros are multiplied is the engine's choice.

    Of a convolution the kernel's size for each position of the output (transposed: of the input); of a dense layer likewise.
    """
    if any(part in operator.name for operator in operators for part in UNCOUNTED):
        return None
    if any(tensor.sparse for tensor in tensors):
        return None
    counted = [operator for operator in operators if operator.name in COUNTED]
    shapes = _shapes_of_one(path) if counted else {}
    if shapes is None:
        return None
    macs = 0
    for operator in counted:
        kernel, axis = tensors[operator.inputs[1]].shape, COUNTED[operator.name]
        place = operator.inputs[2] if operator.name == "TRANSPOSE_CONV" else operator.outputs[0]
        macs += prod(shapes[place]) // kernel[axis] * prod(kernel)
    return macs


def _shapes_of_one(path: Path) -> dict[int, tuple[int, ...]] | None:
    """Sizes of every tensor for one sample, by index; null where the file fixes another batch, leaves a size open, or does not run."""
    try:
        interpreter = _run_once(path, delegates=False)
    except EngineError:
        return None
    for detail in interpreter.get_input_details():
        if tuple(detail["shape"][:1]) != (1,) or -1 in detail["shape_signature"][1:]:
            return None
    return {detail["index"]: tuple(int(size) for size in detail["shape"]) for detail in interpreter.get_tensor_details()}
