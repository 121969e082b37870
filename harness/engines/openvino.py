"""OpenVINO: runs a model in its intermediate representation on the CPU, in the requested precision only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.analysis.kernels import arithmetic
from harness.engines.base import (
    Array,
    Call,
    Engine,
    EngineOptions,
    Load,
    Session,
    Tensor,
    check_batch,
    in_time,
    kernels_of,
    undisturbed,
    unsupported_type,
)
from harness.errors import EngineError
from harness.formats import ir
from harness.formats.heads import Head, ir_head
from harness.formats.ir import KIND, import_openvino, read_ir
from harness.formats.libraries import reading
from harness.schema import EngineSpec, Kernel

TYPES = ir.TYPES | {name: f"int{name[1:]}" for name in ("i16", "i32", "i64")}


class Options(EngineOptions):
    """Options of OpenVINO."""

    inference_precision: Literal["f32", "bf16", "f16", "auto"] = Field(
        "f32", description="precision of float arithmetic; auto: OpenVINO's choice, bfloat16 if the CPU supports it"
    )
    performance_hint: Literal["latency", "throughput"] = Field(
        "latency", description="performance hint, for which OpenVINO chooses its other settings"
    )


class OpenVino(Engine):
    """Intel's runtime for CPUs."""

    spec: ClassVar = EngineSpec(
        name="openvino",
        summary="OpenVINO, CPU",
        packages=("openvino",),
        extra="openvino",
        formats=("ir",),
        parameters=Options,
        load_s=1.5,
        by_options={"bfloat16": {"inference_precision": "bf16"}},
    )

    def open(self, load: Load) -> Session:
        """Read the model, set its batch and compile it."""
        model = _compiled(load)
        fixed = all(
            port.partial_shape.is_static and port.element_type.get_type_name() != "string" for port in (*model.inputs, *model.outputs)
        )
        return (FixedSession if fixed else OpenVinoSession)(load, model)


def _compiled(load: Load, **more: Any) -> Any:
    """Model compiled for the threads, the batch and the precision of the case, with one stream and further OpenVINO properties."""
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
        compiled = core.compile_model(model, "CPU", settings)
    _check_precision(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(), options.inference_precision)
    return compiled


def _check_precision(chosen: str, requested: str) -> None:
    """Raise EngineError if OpenVINO chose another precision, as it silently does if the CPU lacks the instructions."""
    if requested not in ("auto", chosen):
        raise EngineError(
            f"OpenVINO computes in {TYPES.get(chosen, chosen)}, but the case requests {TYPES[requested]}",
            "this CPU may not support it: remove this inference_precision from the suite",
            refused=True,
        )


class OpenVinoSession(Session):
    """A session on a compiled model with one inference request."""

    def __init__(self, load: Load, model: Any) -> None:
        self._load, self._model = load, model
        self._request = model.create_infer_request()
        self._infer = self._request.infer
        self.inputs: Sequence[Tensor] = _tensors(model.inputs, "input")
        self.outputs: Sequence[Tensor] = _tensors(model.outputs, "output")

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Compute without copies; the results are views that are valid until the next query."""
        return tuple(self._infer(inputs, share_inputs=True, share_outputs=True).values())

    def precision(self) -> str | None:
        """Precision of the compiled primitives that multiply; None if they differ, since only a profile weighs them."""
        kernels = arithmetic(kernels_of(_compiled_to(self._model.get_runtime_model())))
        precisions = {kernel.precision for kernel in kernels if kernel.precision}
        return precisions.pop() if len(precisions) == 1 else None

    def facts(self) -> dict[str, Any]:
        """Options, and the numbers of threads and streams that OpenVINO reports."""
        properties = {"threads": "INFERENCE_NUM_THREADS", "streams": "NUM_STREAMS"}
        return {**self._load.options.model_dump(), **{name: int(self._model.get_property(key)) for name, key in properties.items()}}

    def head(self, output: int) -> Head | None:
        """Meaning of an output from the operators in the file."""
        return ir_head(read_ir(self._load.path), output)

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """Times of the primitives in whole microseconds, from the model compiled again with performance counters."""
        request = _compiled(self._load, PERF_COUNT=True).create_infer_request()
        calls: list[list[Call]] = []
        for number, query in enumerate(in_time(queries, seconds)):
            request.infer(query, share_inputs=True)
            calls += [list(_calls(request.profiling_info))] if number else []
        return kernels_of(undisturbed(calls))


class FixedSession(OpenVinoSession):
    """A model without dynamic dimensions: writing into the request's own arrays saves two thirds of a small model's call."""

    def __init__(self, load: Load, model: Any) -> None:
        super().__init__(load, model)
        self._in = [self._request.get_input_tensor(place).data for place in range(len(self.inputs))]
        self._out = [self._request.get_output_tensor(place).data for place in range(len(self.outputs))]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the inputs in and compute; the results are the request's own arrays, valid until the next query."""
        for buffer, array in zip(self._in, inputs):  # noqa: B905  a check of the lengths costs, and the caller has made it
            buffer[...] = array
        self._infer()
        return self._out


def _calls(profiling: Sequence[Any]) -> Iterator[Call]:
    """Executed primitives with their times in microseconds."""
    for each in profiling:
        if each.status.name == "EXECUTED":
            yield each.node_type, each.exec_type, _computes_in(each.exec_type), each.real_time.total_seconds() * 1e6


def _batched(port: Any, batch_size: int) -> Any:
    """Shape of an input with its dynamic batch set; other dynamic dimensions stay."""
    shape = port.partial_shape
    if shape.rank.is_static and len(shape) and shape[0].is_dynamic:
        shape[0] = batch_size
    return shape


def _tensors(ports: Sequence[Any], what: str) -> list[Tensor]:
    """Tensors of ports; a port without a name is named by its position."""
    return [_tensor(port, port.any_name if port.get_names() else f"{what}_{place}") for place, port in enumerate(ports)]


def _tensor(port: Any, name: str) -> Tensor:
    shape = port.partial_shape
    try:
        dtype = np.dtype(object) if port.element_type.get_type_name() == "string" else np.dtype(port.element_type.to_dtype())
    except (TypeError, RuntimeError) as error:
        raise unsupported_type(name, port.element_type) from error
    return Tensor(
        name=name,
        shape=tuple(size.get_length() if size.is_static else None for size in shape) if shape.rank.is_static else (None,),
        dtype=dtype,
    )


def _compiled_to(runtime_model: Any) -> Iterator[Call]:
    """Primitives that a model was compiled to, each with the weight 1."""
    for node in runtime_model.get_ordered_ops():
        layer, primitive = (str(node.rt_info[name].astype(str)) for name in ("layerType", "primitiveType"))
        yield layer, primitive, _computes_in(primitive), 1.0


def _computes_in(primitive: str) -> str | None:
    """Precision from the end of a primitive's name: int8 for `jit_avx2_I8`."""
    return TYPES.get(primitive.rpartition("_")[2].lower())
