"""A `.tflite` file -> what is in it: constants, those that are not 0, and the types it computes in. Loads no TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.precision import precision_text
from harness.formats.reading import reading
from harness.schema import ArtifactFacts

KIND = ("a TFLite model", "convert it again; the file may be damaged or cut short")
ARITHMETIC = ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64", "INT16", "INT8", "UINT8", "INT4", "INT2")
QUANTIZING = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class Tensor:
    """A tensor of the main graph.

    Attributes:
        type: Its name in the schema: `FLOAT32`.
        buffer: The raw bytes of a constant; empty for what is computed.
        scales: Of a quantized tensor, one or one for each channel.
        zero_points: Likewise.
    """

    type: str
    buffer: NDArray[np.uint8]
    scales: int
    zero_points: NDArray[np.int64]


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


def check_tflite(path: Path) -> None:
    """Let LiteRT verify the file: its identifier, and that every offset stays inside.

    Raises:
        EngineError: It is no TFLite model, or a damaged one.
    """
    interpreter = import_interpreter()
    with reading(path, *KIND):
        interpreter.Interpreter(model_path=str(path))


def facts(path: Path) -> ArtifactFacts:
    """Parameters, and those that are not 0, of a verified file; null where weights are packed or sparse. Multiply-accumulates are not counted."""
    parameters = nonzero = 0
    with reading(path, *KIND):
        for tensor in _graph(path)[0]:
            if not _is_weight(tensor):
                continue
            values = _values(tensor)
            if values is None:
                return ArtifactFacts()
            parameters += values.size
            nonzero += int(np.count_nonzero(values))
    return ArtifactFacts(parameters=parameters, nonzero_parameters=nonzero)


def precision(path: Path) -> str | None:
    """The precision of a verified file: of most of what its operators compute, and of most bytes of its constants."""
    with reading(path, *KIND):
        tensors, computed = _graph(path)
        types = _activations(tensors, computed), _weights(tensors)
    return precision_text(*(count.most_common(1)[0][0] if count else None for count in types))


def _activations(tensors: list[Tensor], computed: list[int]) -> Counter[str]:
    """How many tensors of each type the operators compute."""
    return Counter(tensors[i].type.lower() for i in computed if tensors[i].type in ARITHMETIC and not tensors[i].buffer.size)


def _weights(tensors: list[Tensor]) -> Counter[str]:
    """How many bytes of constants there are of each type."""
    weights: Counter[str] = Counter()
    for tensor in tensors:
        if _is_weight(tensor):
            weights[tensor.type.lower()] += tensor.buffer.size
    return weights


def _is_weight(tensor: Tensor) -> bool:
    """Whether it is a constant that is computed with: float or quantized, no shape or index."""
    return bool(tensor.buffer.size) and (tensor.type.startswith(("FLOAT", "BFLOAT")) or tensor.scales > 0)


def _values(tensor: Tensor) -> NDArray[Any] | None:
    """The constant with its zero point at 0; null for types that NumPy has not."""
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
    if tensor.type not in types or len(set(tensor.zero_points.tolist())) > 1:
        return None
    values: NDArray[Any] = tensor.buffer.view(types[tensor.type])
    return values - tensor.zero_points[0] if tensor.zero_points.any() else values


def _graph(path: Path) -> tuple[list[Tensor], list[int]]:
    """The tensors of the main graph, and the indexes of those that its operators compute, quantizing ones left out."""
    import_interpreter()
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(np.memmap(path, dtype=np.uint8, mode="r"), 0)
    graph = model.Subgraphs(0)
    return list(_tensors(schema, model, graph)), list(_computed(schema, model, graph))


def _tensors(schema: Any, model: Any, graph: Any) -> Iterator[Tensor]:
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        buffer, quantization = model.Buffers(tensor.Buffer()), tensor.Quantization()
        sparse = tensor.Sparsity() is not None
        zero_points = (
            np.atleast_1d(quantization.ZeroPointAsNumpy()) if quantization and quantization.ZeroPointLength() else np.zeros(1, np.int64)
        )
        yield Tensor(
            type="SPARSE" if sparse else names.get(tensor.Type(), "UNKNOWN"),
            buffer=buffer.DataAsNumpy() if buffer.DataLength() else np.zeros(0, np.uint8),
            scales=quantization.ScaleLength() if quantization else 0,
            zero_points=zero_points,
        )


def _computed(schema: Any, model: Any, graph: Any) -> Iterator[int]:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        # Old files keep the code in a byte of its own, new ones in both.
        if names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode())) not in QUANTIZING:
            yield from (int(i) for i in operator.OutputsAsNumpy())
