"""TFLite models: check a file, and count its weights, multiply-accumulates and types. Loads no TensorFlow."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats import tflite_graph
from harness.formats.base import FIRST_PACKAGES, Format, Imported, ImportRequest, Input
from harness.formats.counting import Weight, count
from harness.formats.libraries import reading
from harness.formats.precision import precision_text
from harness.formats.shapes import dynamic_shape
from harness.formats.tflite_graph import GraphTensor, Operator, import_interpreter, reachable_graphs, read_graph
from harness.schema import ArtifactFacts, FormatSpec

KIND = ("a TFLite model", "convert it again; the file may be damaged or truncated")
ARITHMETIC = ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64", "INT16", "INT8", "UINT8", "INT4", "INT2")
QUANTIZING = ("QUANTIZE", "DEQUANTIZE")
# Operators whose multiply-accumulates are counted -> axis of the kernel that its output (transposed: its input) has too.
COUNTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": -1, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": -1, "CONV_3D": -1}
# Parts of the names of operators that may multiply and are not counted.
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
READABLE = ("FLOAT32", "FLOAT16", "FLOAT64", "INT8", "UINT8", "INT16", "INT32", "INT64")
"""Types of constants that NumPy has under the same name."""


class TFLite(Format):
    """A `.tflite` file."""

    spec: ClassVar = FormatSpec(name="tflite", summary="LiteRT", packages=FIRST_PACKAGES, suffixes=(".tflite",), signatures=True, version=2)

    def import_model(self, request: ImportRequest) -> Imported:
        """Store the file with the chosen signature as its main graph."""
        source, path = request.source, request.folder / "model.tflite"
        check_tflite(source)
        with reading(source, *KIND):
            signatures = tflite_graph.signatures(source)
            name = tflite_graph.choose(signatures, request.signature)
            if name is None or (len(signatures) == 1 and signatures[name] == 0):
                shutil.copyfile(source, path)
            else:
                path.write_bytes(tflite_graph.with_main_graph(source.read_bytes(), signatures[name], name))
        return Imported(path, facts(path), {"signature": name} if len(signatures) > 1 else {})

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs of the main graph."""
        return graph_inputs(path, 0)

    def stored_inputs(self, path: Path, signature: str | None = None) -> list[Input] | None:
        """Inputs of the chosen signature."""
        try:
            graphs = tflite_graph.signatures(path)
        except Exception:  # a damaged file can make a parser raise anything; the build reports it
            return None
        name = tflite_graph.choose(graphs, signature)
        return graph_inputs(path, graphs[name] if name else 0)

    def stored_types(self, path: Path) -> set[str]:
        """Types of the constants that operators multiply with."""
        return set(weight_types(path))


def graph_inputs(path: Path, index: int) -> list[Input]:
    """Inputs of one graph of a file."""
    graph = tflite_graph.read_graph(path, index)
    tensors = [graph.tensors[number] for number in graph.inputs]
    return [Input(tensor.name, dynamic_shape(tensor.signature)) for tensor in tensors]


def check_tflite(path: Path) -> None:
    """Let LiteRT verify the file: its identifier, and that every offset stays inside.

    Raises:
        EngineError: The file is not a TFLite model, or is damaged.
    """
    interpreter = import_interpreter()
    with reading(path, *KIND):
        interpreter.Interpreter(model_path=str(path))


def check_runs(path: Path) -> None:
    """Let LiteRT run a converted file once with its default settings, since some converters write files that no engine loads.

    A model with dynamic dimensions besides its batch is not run: the sizes in the file need not work.

    Raises:
        EngineError: LiteRT cannot run it.
    """
    try:
        with reading(path, *KIND):
            inputs = import_interpreter().Interpreter(model_path=str(path)).get_input_details()
        if not has_dynamic_axes(inputs):
            _run_once(path)
    except EngineError as error:
        raise EngineError(f"the model was converted, and LiteRT cannot run it: {error.what}", error.hint, refused=True) from error


def has_dynamic_axes(inputs: Sequence[dict[str, Any]]) -> bool:
    """Whether an input, as LiteRT describes it, has dynamic dimensions besides the batch."""
    return any(-1 in detail["shape_signature"][1:] for detail in inputs)


def _run_once(path: Path, *, delegates: bool = True) -> Any:
    """The interpreter after one inference on zeros in the file's shapes."""
    library = import_interpreter()
    resolver = library.OpResolverType
    with reading(path, "a model that LiteRT runs", "remove this variant for this model"):
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
    """Parameters, nonzero ones in total and by tensor, and multiply-accumulates of a verified file; None for what cannot be read."""
    with reading(path, *KIND):
        graph = read_graph(path)
        weights = (
            Weight(tensor.name, _values(tensor), len(tensor.shape) > 1, prod(tensor.shape) if tensor.sparse else None)
            for tensor in _weights(path)
        )
        return count(weights, _macs(path, graph.tensors, graph.operators))


def precision(path: Path) -> str | None:
    """The precision of a verified file, by most of its computed tensors and most bytes of its constants."""
    with reading(path, *KIND):
        graph = read_graph(path)
        computed = [index for operator in graph.operators if operator.name not in QUANTIZING for index in operator.outputs]
        types = _activations(graph.tensors, computed), _types(_weights(path))
    return precision_text(*(count.most_common(1)[0][0] if count else None for count in types))


def weight_types(path: Path) -> Counter[str]:
    """Bytes of weights of each type (`float32`, `int8`) in a verified file."""
    with reading(path, *KIND):
        return _types(_weights(path))


def is_sparse(path: Path) -> bool:
    """Whether a verified file stores only the nonzero values of some weights."""
    with reading(path, *KIND):
        return any(tensor.sparse for tensor in _weights(path))


def _weights(path: Path) -> Iterator[GraphTensor]:
    """The constants that the main graph, its branches and its loops compute with; buffers that tensors share once."""
    seen = set()
    for graph in reachable_graphs(path):
        for tensor in graph.tensors:
            if _is_weight(tensor) and tensor.place not in seen:
                seen.add(tensor.place)
                yield tensor


def _activations(tensors: Sequence[GraphTensor], computed: list[int]) -> Counter[str]:
    """Number of computed tensors of each type."""
    return Counter(tensors[i].type.lower() for i in computed if tensors[i].type in ARITHMETIC and not tensors[i].buffer.size)


def _types(weights: Iterator[GraphTensor]) -> Counter[str]:
    """Bytes of weights of each type."""
    types: Counter[str] = Counter()
    for tensor in weights:
        types[tensor.type.lower()] += max(1, tensor.buffer.size)
    return types


def _is_weight(tensor: GraphTensor) -> bool:
    """Whether it is a float or quantized constant, not a shape or an index."""
    return tensor.stored and (tensor.type.startswith(("FLOAT", "BFLOAT")) or tensor.scales > 0)


def _values(tensor: GraphTensor) -> NDArray[Any] | None:
    """A constant minus its zero point, for a sparse one the stored values; None if it is in another file or of a type not supported here."""
    if len(set(tensor.zero_points.tolist())) > 1 or not tensor.buffer.size or (tensor.sparse and tensor.zero_points.any()):
        return None
    if tensor.type == "INT4":
        values: NDArray[Any] = _nibbles(tensor.buffer)
        values = values if tensor.sparse else values[: prod(tensor.shape)]
    elif tensor.type == "BFLOAT16":  # zero if all bits but the sign are zero
        values = tensor.buffer.view("<u2") & 0x7FFF
    elif tensor.type in READABLE:
        values = tensor.buffer.view(np.dtype(tensor.type.lower()).newbyteorder("<"))
    else:
        return None
    return values - tensor.zero_points[0] if tensor.zero_points.any() else values


def _nibbles(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Signed 4-bit values, two in a byte, the low one first."""
    signed = packed.view(np.int8)
    return np.stack([np.left_shift(signed, 4) >> 4, signed >> 4], axis=-1).ravel()


def _macs(path: Path, tensors: Sequence[GraphTensor], operators: Sequence[Operator]) -> int | None:
    """Multiply-accumulates of one inference; None if an operator may multiply uncounted, weights are sparse, or a dimension is dynamic.

    A convolution costs the size of its kernel for each position of the output (transposed: of the input), a dense layer likewise. Whether
    the zeros of sparse weights are multiplied is up to the engine.
    """
    uncounted = any(part in operator.name for operator in operators for part in UNCOUNTED)
    if uncounted or any(tensor.sparse for tensor in tensors):
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
    """Shape of every tensor for one sample, by index; None if the file fixes another batch, has dynamic dimensions, or does not run."""
    try:
        interpreter = _run_once(path, delegates=False)
    except EngineError:
        return None
    for detail in interpreter.get_input_details():
        if tuple(detail["shape"][:1]) != (1,) or -1 in detail["shape_signature"][1:]:
            return None
    return {detail["index"]: tuple(int(size) for size in detail["shape"]) for detail in interpreter.get_tensor_details()}
