"""LiteRT: runs a `.tflite` file on the CPU with the interpreter of `ai-edge-litert`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from harness.engines.base import Array, Call, Engine, EngineOptions, Load, Session, Tensor, check_batch, kernels_of
from harness.errors import EngineError
from harness.formats.heads import Head, tflite_head
from harness.formats.libraries import first_line, reading
from harness.formats.savedmodel import natural_key
from harness.formats.tflite import KIND, has_dynamic_axes, precision
from harness.formats.tflite_graph import import_interpreter
from harness.schema import EngineSpec, Kernel

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
UNCOUNTED = re.compile(r"LSTM|RNN|SVDF|MATMUL|CONV|STABLEHLO|^(IF|WHILE|CALL|CALL_ONCE)$|[a-z]")
"""Other operators that multiply, operators with subgraphs, and custom ones, whose names are not in capitals."""
NO_FLEX = "convert it with TFLITE_BUILTINS alone, without SELECT_TF_OPS, or use the Keras model or SavedModel that it was converted from"


class Options(EngineOptions):
    """Options of LiteRT."""

    xnnpack: bool = Field(True, description="use the XNNPACK delegate, as LiteRT does by default")


class LiteRT(Engine):
    """Google's runtime for small models, formerly TensorFlow Lite."""

    spec: ClassVar = EngineSpec(
        name="litert",
        summary="LiteRT (TensorFlow Lite) interpreter",
        packages=("ai-edge-litert",),
        extra="litert",
        formats=("tflite",),
        parameters=Options,
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Limit the threads of libraries that the kernels may use."""
        return {"OMP_NUM_THREADS": str(load.threads)}

    def open(self, load: Load) -> Session:
        """Load the model, set its batch and allocate its tensors; other dynamic dimensions are set by the first query."""
        library = import_interpreter()
        resolver = library.OpResolverType
        with reading(load.path, *KIND):
            interpreter = library.Interpreter(
                model_path=str(load.path),
                num_threads=load.threads,
                experimental_op_resolver_type=resolver.AUTO if load.options.xnnpack else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            details = interpreter.get_input_details()
            check_batch([_tensor(detail) for detail in details], load.batch_size)
            if not has_dynamic_axes(details):
                _resize(interpreter, [_batched(detail, load.batch_size) for detail in details])
            single = len(details) == 1 and len(interpreter.get_output_details()) == 1
            return (SingleSession if single else LiteRTSession)(interpreter, load)


class LiteRTSession(Session):
    """A session on an interpreter."""

    def __init__(self, interpreter: Any, load: Load) -> None:
        self._interpreter, self._load = interpreter, load
        inputs, outputs = interpreter.get_input_details(), _in_order(interpreter)
        self._in, self._out = [detail["index"] for detail in inputs], [detail["index"] for detail in outputs]
        self.inputs: Sequence[Tensor] = [_tensor(detail) for detail in inputs]
        self.outputs: Sequence[Tensor] = [_tensor(detail) for detail in outputs]
        self._dynamic = any(None in tensor.shape[1:] for tensor in self.inputs)

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the inputs in, compute, copy the outputs out."""
        interpreter = self._interpreter
        try:
            for index, array in zip(self._in, inputs):  # noqa: B905  a check of the lengths costs, and the caller has made it
                interpreter.set_tensor(index, array)
        except ValueError:
            if not self._dynamic:
                raise
            self._reshape(inputs)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._out]

    def precision(self) -> str | None:
        """Precision from the types in the file."""
        return precision(self._load.path)

    def facts(self) -> dict[str, Any]:
        """Whether XNNPACK executes operators, and the number of threads."""
        operators = self._operators()
        delegated = None if operators is None else any(operator["op_name"] == "DELEGATE" for operator in operators)
        return {"xnnpack": delegated, "threads": self._load.threads}

    def head(self, output: int) -> Head | None:
        """Meaning of an output from the operators in the file."""
        return tflite_head(self._load.path, self.outputs[output].name)

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """Kernels by share of the multiply-accumulates, since LiteRT's Python interface reports no times.

        Empty if the model has operators whose multiply-accumulates are not counted (`UNCOUNTED`).
        """
        operators = self._operators()
        if operators is None or any(
            UNCOUNTED.search(operator["op_name"]) and operator["op_name"] not in WEIGHTED for operator in operators
        ):
            return ()
        tensors = {detail["index"]: detail for detail in self._interpreter.get_tensor_details()}
        return kernels_of(_calls(operators, tensors), basis="macs")

    def _operators(self) -> list[dict[str, Any]] | None:
        """Operators of the prepared graph; None if this version of LiteRT has no such list or cannot decode their names."""
        try:
            return list(self._interpreter._get_ops_details())  # not part of the public interface
        except (AttributeError, UnicodeDecodeError):
            return None

    def _reshape(self, inputs: Sequence[Array]) -> None:
        """Resize the dynamic dimensions to those of these inputs, and set them."""
        _resize(self._interpreter, [array.shape for array in inputs])
        for index, array in zip(self._in, inputs, strict=True):
            self._interpreter.set_tensor(index, array)


class SingleSession(LiteRTSession):
    """A model with one input and one output; a loop would cost 3 % of a call of 12 us."""

    def __init__(self, interpreter: Any, load: Load) -> None:
        super().__init__(interpreter, load)
        self._set, self._invoke, self._get = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
        self._first_in, self._first_out = self._in[0], self._out[0]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the input in, compute, copy the output out."""
        try:
            self._set(self._first_in, inputs[0])
        except ValueError:
            if not self._dynamic:
                raise
            self._reshape(inputs)
        self._invoke()
        return (self._get(self._first_out),)


def _resize(interpreter: Any, shapes: Sequence[Sequence[int]]) -> None:
    """Resize the inputs and allocate the tensors; EngineError if the interpreter cannot prepare the model."""
    try:
        for detail, shape in zip(interpreter.get_input_details(), shapes, strict=True):
            if tuple(detail["shape"]) != tuple(shape):
                interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"LiteRT cannot prepare the model: {first_line(error)}",
            NO_FLEX if "Select TensorFlow op" in str(error) else "an operator is not supported by LiteRT, or an input size does not fit",
        ) from error


def _calls(operators: Sequence[dict[str, Any]], tensors: Mapping[int, dict[str, Any]]) -> Iterator[Call]:
    """Operators that multiply by weights, each with its multiply-accumulates."""
    delegated = _delegated(operators)
    for operator in operators:
        if operator["op_name"] in WEIGHTED:
            kernel = "XNNPACK" if operator["index"] in delegated else "builtin"
            yield operator["op_name"], kernel, _computes_in(operator), float(_macs(operator, tensors))


def _delegated(operators: Sequence[dict[str, Any]]) -> set[int]:
    """Indices of the operators that a delegate executes: those between its inputs and its outputs."""
    producer = {int(tensor): operator for operator in operators if operator["op_name"] != "DELEGATE" for tensor in operator["outputs"]}
    delegated: set[int] = set()
    for delegate in (operator for operator in operators if operator["op_name"] == "DELEGATE"):
        ends, waiting = set(map(int, delegate["inputs"])), list(map(int, delegate["outputs"]))
        while waiting:
            tensor = waiting.pop()
            operator = None if tensor in ends else producer.get(tensor)
            if operator and operator["index"] not in delegated:
                delegated.add(operator["index"])
                waiting += map(int, operator["inputs"])
    return delegated


def _computes_in(operator: dict[str, Any]) -> str:
    """Precision of the products: int8 for float inputs with int8 weights (dynamic quantization), int16x8 for int16 inputs."""
    position = 2 if operator["op_name"] == "TRANSPOSE_CONV" else 0
    values, weights = (str(np.dtype(operator["operand_types"][at]).name) for at in (position, 1))
    if weights not in ("int8", "uint8", "int4", "int2"):
        return values
    return f"int16x{weights[-1]}" if values == "int16" else "int8"


def _macs(operator: dict[str, Any], tensors: Mapping[int, dict[str, Any]]) -> int:
    """Multiply-accumulates: the weights of a kernel times the positions of the output (transposed convolution: of the input)."""
    name, inputs = operator["op_name"], [int(index) for index in operator["inputs"]]
    weights = [int(size) for size in tensors[inputs[1]]["shape"]]
    positions = inputs[2] if name == "TRANSPOSE_CONV" else int(operator["outputs"][0])
    outside = prod(int(size) for size in tensors[positions]["shape"][:-1])
    return int(outside * prod(weights))


def _batched(detail: dict[str, Any], batch_size: int) -> list[int]:
    """Shape of an input with the batch of the case; other dynamic dimensions keep the size in the file until the first query."""
    shape = [int(size) for size in detail["shape"]]
    return [batch_size, *shape[1:]] if len(detail["shape_signature"]) and detail["shape_signature"][0] == -1 else shape


def _in_order(interpreter: Any) -> list[dict[str, Any]]:
    """Outputs sorted by their names in the only signature, since converters write them in any order; without one as in the file."""
    details = list(interpreter.get_output_details())
    if len(details) < 2 or len(interpreter.get_signature_list()) != 1:
        return details
    names = {detail["index"]: name for name, detail in interpreter.get_signature_runner().get_output_details().items()}
    if names.keys() != {detail["index"] for detail in details}:
        return details
    return sorted(details, key=lambda detail: natural_key(names[detail["index"]]))


def _tensor(detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        name=detail["name"],
        shape=tuple(None if size == -1 else int(size) for size in detail["shape_signature"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale) or None,
        zero_point=int(zero_point),
    )
