"""OpenVINO: a folder with its intermediate representation -> a session on the CPU, in the precision asked for and no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.analysis.kernels import arithmetic
from harness.engines.base import Array, Engine, Load, Profiled, Session, Tensor, check_batch, in_time, kernels_of, undisturbed
from harness.errors import EngineError
from harness.formats import ir
from harness.formats.heads import Head, ir_head
from harness.formats.ir import KIND, import_openvino, read_ir
from harness.formats.libraries import reading
from harness.schema import EngineSpec, Kernel

TYPES = ir.TYPES | {name: f"int{name[1:]}" for name in ("i16", "i32", "i64")}


class Options(BaseModel):
    """What a suite may set."""

    model_config = ConfigDict(extra="forbid")
    inference_precision: Literal["f32", "bf16", "f16", "auto"] = Field(
        "f32", description="what floats are computed in; auto: OpenVINO's choice, bfloat16 where the CPU has it"
    )
    performance_hint: Literal["latency", "throughput"] = Field("latency", description="what OpenVINO sets the rest up for")


class OpenVino(Engine):
    """Intel's runtime."""

    spec: ClassVar = EngineSpec(
        name="openvino",
        summary="OpenVINO, CPU",
        packages=("openvino",),
        extra="openvino",
        formats=("ir",),
        parameters=Options,
        load_s=1.5,
    )

    def open(self, load: Load) -> Session:
        """Read the model, set its batch, compile it."""
        model = compiled(load)
        fixed = all(
            port.partial_shape.is_static and port.element_type.get_type_name() != "string" for port in (*model.inputs, *model.outputs)
        )
        return (FixedSession if fixed else OpenVinoSession)(load, model)


def compiled(load: Load, **more: Any) -> Any:
    """The model, compiled for the case: its threads, one stream, its precision.

    Args:
        load: What the case asks for.
        more: Further properties of OpenVINO's.

    Raises:
        EngineError: It cannot be read or compiled so, or OpenVINO chose another precision.
    """
    core, model, options = import_openvino().Core(), read_ir(load.path), load.options
    settings = {
        "INFERENCE_NUM_THREADS": load.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": options.performance_hint.upper(),
        **({} if options.inference_precision == "auto" else {"INFERENCE_PRECISION_HINT": options.inference_precision}),
        **more,
    }
    check_batch(_tensors(model.inputs, "input"), load.batch_size)
    with reading(load.path, *KIND):
        model.reshape({port: _batched(port, load.batch_size) for port in model.inputs})
        made = core.compile_model(model, "CPU", settings)
    check_precision(made.get_property("INFERENCE_PRECISION_HINT").get_type_name(), options.inference_precision)
    return made


def check_precision(chosen: str, wanted: str) -> None:
    """Make sure that floats are computed in what was asked for.

    Args:
        chosen: What OpenVINO says of the compiled model.
        wanted: The option.

    Raises:
        EngineError: It chose another, which it does without a word where the CPU lacks the instructions.
    """
    if wanted not in ("auto", chosen):
        raise EngineError(
            f"OpenVINO computes in {TYPES.get(chosen, chosen)} though the case asks for {TYPES[wanted]}",
            "this CPU may not have it: leave this inference_precision out here",
            refused=True,
        )


class OpenVinoSession(Session):
    """A compiled model with one request."""

    def __init__(self, load: Load, model: Any) -> None:
        self._load, self._model = load, model
        self._request = model.create_infer_request()
        self._infer = self._request.infer
        self.inputs: Sequence[Tensor] = _tensors(model.inputs, "input")
        self.outputs: Sequence[Tensor] = _tensors(model.outputs, "output")

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Compute on the caller's arrays; the answers are views of the request's own, good until the next query."""
        return tuple(self._infer(inputs, share_inputs=True, share_outputs=True).values())

    def precision(self) -> str | None:
        """That of the primitives that multiply, as OpenVINO compiled them; null where they differ: which weighs most only a profile tells."""
        found = {kernel.precision for kernel in arithmetic(kernels_of(_compiled_to(self._model.get_runtime_model()))) if kernel.precision}
        return found.pop() if len(found) == 1 else None

    def facts(self) -> dict[str, Any]:
        """The options, the threads and streams that OpenVINO says it uses."""
        said = {name: self._model.get_property(key) for name, key in (("threads", "INFERENCE_NUM_THREADS"), ("streams", "NUM_STREAMS"))}
        return {**self._load.options.model_dump(), **{name: int(value) for name, value in said.items()}}

    def head(self, output: int) -> Head | None:
        """From the operators in the file."""
        return ir_head(read_ir(self._load.path), output)

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """The model compiled again with performance counters: the time of each primitive, whole microseconds."""
        request = compiled(self._load, PERF_COUNT=True).create_infer_request()
        calls: list[list[Profiled]] = []
        for number, query in enumerate(in_time(queries, seconds)):
            request.infer(query, share_inputs=True)
            calls += [list(_calls(request.profiling_info))] if number else []
        return kernels_of(undisturbed(calls))


class FixedSession(OpenVinoSession):
    """A model without open sizes: its arrays go straight into the request's own, which spares two thirds of a small model's call."""

    def __init__(self, load: Load, model: Any) -> None:
        super().__init__(load, model)
        self._in = [self._request.get_input_tensor(place).data for place in range(len(self.inputs))]
        self._out = [self._request.get_output_tensor(place).data for place in range(len(self.outputs))]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the inputs in, compute; the answers are the request's own arrays, good until the next query."""
        for buffer, array in zip(self._in, inputs):  # noqa: B905  a check of the lengths costs, and the caller has made it
            buffer[...] = array
        self._infer()
        return self._out


def _calls(profiling: Sequence[Any]) -> Iterator[Profiled]:
    """The primitives that were executed, us."""
    for each in profiling:
        if each.status.name == "EXECUTED":
            yield each.node_type, each.exec_type, _computes_in(each.exec_type), each.real_time.total_seconds() * 1e6


def _batched(port: Any, batch_size: int) -> Any:
    """An input's shape with its open batch set; other open axes stay."""
    shape = port.partial_shape
    if shape.rank.is_static and len(shape) and shape[0].is_dynamic:
        shape[0] = batch_size
    return shape


def _tensors(ports: Sequence[Any], what: str) -> list[Tensor]:
    """Inputs or outputs; one without a name is told by its place."""
    return [_tensor(port, port.any_name if port.get_names() else f"{what}_{place}") for place, port in enumerate(ports)]


def _tensor(port: Any, name: str) -> Tensor:
    shape = port.partial_shape
    try:
        dtype = np.dtype(object) if port.element_type.get_type_name() == "string" else np.dtype(port.element_type.to_dtype())
    except (TypeError, RuntimeError) as error:
        raise EngineError(
            f"{name!r} is of the type {port.element_type}, which NumPy has not", "export the model with float32 inputs and outputs"
        ) from error
    return Tensor(
        name=name,
        shape=tuple(size.get_length() if size.is_static else None for size in shape) if shape.rank.is_static else (None,),
        dtype=dtype,
    )


def _compiled_to(runtime_model: Any) -> Iterator[Profiled]:
    """The primitives that a model was compiled to, each counted once."""
    for node in runtime_model.get_ordered_ops():
        layer, primitive = (str(node.rt_info[name].astype(str)) for name in ("layerType", "primitiveType"))
        yield layer, primitive, _computes_in(primitive), 1.0


def _computes_in(primitive: str) -> str | None:
    """`jit_avx2_I8` computes in int8: the end of a primitive's name is the type it works on."""
    return TYPES.get(primitive.rpartition("_")[2].lower())
