"""LiteRT: a `.tflite` file -> a session on the CPU, through the interpreter of `ai-edge-litert`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.engines.base import Array, Engine, Load, Profiled, Session, Tensor, check_batch, kernels_of
from harness.errors import EngineError
from harness.formats.heads import Head, tflite_head
from harness.formats.libraries import first_line, reading
from harness.formats.savedmodel import natural_key
from harness.formats.tflite import KIND, has_dynamic_axes, precision
from harness.formats.tflite_graph import import_interpreter
from harness.schema import EngineSpec, Kernel

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
UNCOUNTED = re.compile(r"LSTM|RNN|SVDF|MATMUL|CONV|STABLEHLO|^(IF|WHILE|CALL|CALL_ONCE)$|[a-z]")
"""Other operators that multiply, those that hold graphs of their own, and custom ones, whose names are not in capitals."""

NO_FLEX = "convert it with TFLITE_BUILTINS alone, without SELECT_TF_OPS, or name the Keras model or SavedModel that it was made from"


class Options(BaseModel):
    """What a suite may set."""

    model_config = ConfigDict(extra="forbid")
    xnnpack: bool = Field(True, description="use the XNNPACK delegate, as LiteRT does by itself")


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
        """Threads of libraries that its kernels may use."""
        return {"OMP_NUM_THREADS": str(load.threads)}

    def open(self, load: Load) -> Session:
        """Load the model, set its batch, allocate its tensors; where other sizes are open too, not before data tell them, for it may fit none but theirs."""
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
                resize(interpreter, [_batched(detail, load.batch_size) for detail in details])
            single = len(details) == 1 and len(interpreter.get_output_details()) == 1
            return (SingleSession if single else LiteRTSession)(interpreter, load)


class LiteRTSession(Session):
    """An allocated interpreter."""

    def __init__(self, interpreter: Any, load: Load) -> None:
        self._interpreter, self._load = interpreter, load
        inputs, outputs = interpreter.get_input_details(), _in_order(interpreter)
        self._in, self._out = [detail["index"] for detail in inputs], [detail["index"] for detail in outputs]
        self.inputs: Sequence[Tensor] = [_tensor(detail) for detail in inputs]
        self.outputs: Sequence[Tensor] = [_tensor(detail) for detail in outputs]
        self._open = any(None in tensor.shape[1:] for tensor in self.inputs)

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the inputs in, compute, copy the outputs out."""
        interpreter = self._interpreter
        try:
            for index, array in zip(self._in, inputs):  # noqa: B905  a check of the lengths costs, and the caller has made it
                interpreter.set_tensor(index, array)
        except ValueError:
            if not self._open:
                raise
            self._reshape(inputs)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._out]

    def precision(self) -> str | None:
        """From the types in the file."""
        return precision(self._load.path)

    def facts(self) -> dict[str, Any]:
        """Whether XNNPACK really took operators over, and the threads."""
        try:
            delegated = any(detail["op_name"] == "DELEGATE" for detail in self._interpreter._get_ops_details())
        except (AttributeError, UnicodeDecodeError):  # not part of its public interface, and it stumbles over odd names
            delegated = None
        return {"xnnpack": delegated, "threads": self._load.threads}

    def head(self, output: int) -> Head | None:
        """From the operators in the file."""
        return tflite_head(self._load.path, self.outputs[output].name)

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """Who computes each operator, and its share of the multiply-accumulates: LiteRT tells Python no times.

        Empty where a model holds operators whose multiply-accumulates are not counted here.
        """
        try:
            operators = self._interpreter._get_ops_details()
        except (AttributeError, UnicodeDecodeError):
            return ()
        if any(UNCOUNTED.search(operator["op_name"]) and operator["op_name"] not in WEIGHTED for operator in operators):
            return ()
        tensors = {detail["index"]: detail for detail in self._interpreter.get_tensor_details()}
        return kernels_of(_calls(operators, tensors), basis="macs")

    def _reshape(self, inputs: Sequence[Array]) -> None:
        """Take inputs of another size along an open axis."""
        resize(self._interpreter, [array.shape for array in inputs])
        for index, array in zip(self._in, inputs, strict=True):
            self._interpreter.set_tensor(index, array)


class SingleSession(LiteRTSession):
    """A model of one input and one output, without loops: they would cost 3 % of a call of 12 us."""

    def __init__(self, interpreter: Any, load: Load) -> None:
        super().__init__(interpreter, load)
        self._set, self._invoke, self._get = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
        self._first_in, self._first_out = self._in[0], self._out[0]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the input in, compute, copy the output out."""
        try:
            self._set(self._first_in, inputs[0])
        except ValueError:
            if not self._open:
                raise
            self._reshape(inputs)
        self._invoke()
        return (self._get(self._first_out),)


def resize(interpreter: Any, shapes: Sequence[Sequence[int]]) -> None:
    """Give the inputs these shapes, and allocate.

    Raises:
        EngineError: The model cannot be prepared so.
    """
    try:
        for detail, shape in zip(interpreter.get_input_details(), shapes, strict=True):
            if tuple(detail["shape"]) != tuple(shape):
                interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"LiteRT cannot prepare the model: {first_line(error)}",
            NO_FLEX
            if "Select TensorFlow op" in str(error)
            else "it may hold operators that LiteRT does not have, or a size that does not fit",
        ) from error


def _calls(operators: Sequence[dict[str, Any]], tensors: Mapping[int, dict[str, Any]]) -> Iterator[Profiled]:
    """The operators that multiply by weights, with the multiply-accumulates of each."""
    delegated = _delegated(operators)
    for operator in operators:
        if operator["op_name"] in WEIGHTED:
            kernel = "XNNPACK" if operator["index"] in delegated else "builtin"
            yield operator["op_name"], kernel, _computes_in(operator), float(_macs(operator, tensors))


def _delegated(operators: Sequence[dict[str, Any]]) -> set[int]:
    """The operators that stand between the ends of a delegate: it computes them."""
    producer = {int(tensor): operator for operator in operators if operator["op_name"] != "DELEGATE" for tensor in operator["outputs"]}
    found: set[int] = set()
    for delegate in (operator for operator in operators if operator["op_name"] == "DELEGATE"):
        ends, waiting = set(map(int, delegate["inputs"])), list(map(int, delegate["outputs"]))
        while waiting:
            tensor = waiting.pop()
            operator = None if tensor in ends else producer.get(tensor)
            if operator and operator["index"] not in found:
                found.add(operator["index"])
                waiting += map(int, operator["inputs"])
    return found


def _computes_in(operator: dict[str, Any]) -> str:
    """What is multiplied: floats before int8 weights are quantized as it goes, int16 is told with the bits of the weights."""
    position = 2 if operator["op_name"] == "TRANSPOSE_CONV" else 0
    values, weights = (str(np.dtype(operator["operand_types"][at]).name) for at in (position, 1))
    if weights not in ("int8", "uint8", "int4", "int2"):
        return values
    return f"int16x{weights[-1]}" if values == "int16" else "int8"


def _macs(operator: dict[str, Any], tensors: Mapping[int, dict[str, Any]]) -> int:
    """A kernel's weights for each position of the output; of a transposed convolution, of the input."""
    name, inputs = operator["op_name"], [int(index) for index in operator["inputs"]]
    weights = [int(size) for size in tensors[inputs[1]]["shape"]]
    positions = inputs[2] if name == "TRANSPOSE_CONV" else int(operator["outputs"][0])
    outside = prod(int(size) for size in tensors[positions]["shape"][:-1])
    return int(outside * prod(weights))


def _batched(detail: dict[str, Any], batch_size: int) -> list[int]:
    """The shape of an input with the batch asked for; other open axes stay as in the file until data come."""
    shape = [int(size) for size in detail["shape"]]
    return [batch_size, *shape[1:]] if len(detail["shape_signature"]) and detail["shape_signature"][0] == -1 else shape


def _in_order(interpreter: Any) -> list[dict[str, Any]]:
    """The outputs in the order of their names in the only signature, as every engine gives them; converters write them in any. Else as in the file."""
    details = list(interpreter.get_output_details())
    if len(details) < 2 or len(interpreter.get_signature_list()) != 1:
        return details
    names = {detail["index"]: name for name, detail in interpreter.get_signature_runner().get_output_details().items()}
    return (
        sorted(details, key=lambda detail: natural_key(names[detail["index"]]))
        if names.keys() == {d["index"] for d in details}
        else details
    )


def _tensor(detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    return Tensor(
        name=detail["name"],
        shape=tuple(None if size == -1 else int(size) for size in detail["shape_signature"]),
        dtype=np.dtype(detail["dtype"]),
        scale=float(scale) or None,
        zero_point=int(zero_point),
    )
