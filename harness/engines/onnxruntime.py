"""ONNX Runtime: an `.onnx` file -> a session on the CPU, or on an NVIDIA GPU by CUDA or TensorRT."""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.engines import nvidia
from harness.engines.base import (
    Array,
    Engine,
    Load,
    Profiled,
    Session,
    Tensor,
    check_batch,
    in_time,
    kernels_of,
    share_threads,
    undisturbed,
)
from harness.errors import EngineError
from harness.formats.heads import Head, onnx_head
from harness.formats.libraries import reading
from harness.formats.onnx import load_onnx, precision
from harness.schema import EngineSpec, Kernel

KIND = ("a model for ONNX Runtime", "it may be damaged, or hold operators newer than this version has")
SUFFIX = "ExecutionProvider"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
GPU_BUILD = "pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]': they share one module and cannot live together"
REMEDY = {"cuda": GPU_BUILD, "tensorrt": f"{GPU_BUILD}; and install NVIDIA's TensorRT libraries"}
# What ONNX Runtime calls the types of its values -> NumPy's.
TYPES = {"float": "float32", "double": "float64", "string": "object"}
INT8 = ("QLinear", "QGemm", "QAttention", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulInteger", "ConvInteger")
"""How the names of operators begin that multiply in 8-bit integers, whatever types go in."""


def _has_gpu_build() -> bool:
    """Whether the distribution with the GPU providers is installed; the library stays unimported."""
    try:
        return bool(version("onnxruntime-gpu"))
    except PackageNotFoundError:
        return False


class Options(BaseModel):
    """What a suite may set."""

    model_config = ConfigDict(extra="forbid")
    graph_optimization: Literal["disable", "basic", "extended", "all"] = Field(
        "all", description="how far the graph is rewritten before it runs"
    )
    arena: bool = Field(True, description="keep freed memory for the next query")
    inter_op: int = Field(1, ge=1, le=1024, description="operators that may run at once; above 1 the graph is run in parallel")
    spinning: bool = Field(True, description="threads wait for the next operator by spinning, as ONNX Runtime does by itself")
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field("auto", description="auto: cpu, or cuda where the device is gpu")


class OnnxRuntime(Engine):
    """Microsoft's runtime for ONNX models."""

    spec: ClassVar = EngineSpec(
        name="onnxruntime",
        summary="ONNX Runtime; CPU, CUDA and TensorRT providers",
        packages=("onnxruntime", "onnxruntime-gpu", "onnx"),
        extra="onnxruntime",
        formats=("onnx",),
        devices=("cpu", "gpu"),
        on_request=() if _has_gpu_build() else ("gpu",),
        parameters=Options,
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Threads of builds that use OpenMP, and the driver's order of cards."""
        return {"OMP_NUM_THREADS": str(load.threads), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def open(self, load: Load) -> Session:
        """Load the model and make sure that it runs where it should."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f"ONNX Runtime cannot be imported: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
        provider = _provider(load, onnxruntime.get_available_providers())
        if provider != PROVIDERS["cpu"] and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries may lie in Python packages
        with reading(load.path, *KIND):
            computes_in = precision(load_onnx(load.path, weights=False), fused=load.options.graph_optimization in ("extended", "all"))
            session = onnxruntime.InferenceSession(str(load.path), _settings(onnxruntime, load), providers=[provider])
            check_provider(session.get_providers(), provider)
            check_batch([_tensor(value) for value in session.get_inputs()], load.batch_size)
            return OnnxRuntimeSession(session, load, provider, computes_in)


class OnnxRuntimeSession(Session):
    """An inference session."""

    concurrent = True

    def __init__(self, session: Any, load: Load, provider: str, computes_in: str | None) -> None:
        self._run, self._load, self._provider, self._precision = session.run, load, provider, computes_in
        self._set: Mapping[str, Mapping[str, str]] = session.get_provider_options()
        self.inputs: Sequence[Tensor] = [_tensor(value) for value in session.get_inputs()]
        self.outputs: Sequence[Tensor] = [_tensor(value) for value in session.get_outputs()]
        self._in, self._out = [tensor.name for tensor in self.inputs], [tensor.name for tensor in self.outputs]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Answer one query."""
        answer: Sequence[Array] = self._run(self._out, dict(zip(self._in, inputs)))  # noqa: B905  a check of the lengths costs
        return answer

    def precision(self) -> str | None:
        """From the types in the file and the optimizations asked for."""
        return self._precision

    def facts(self) -> dict[str, Any]:
        """Provider, optimization, threads; on a GPU the versions of CUDA and cuDNN, and TensorFloat-32."""
        found = {**self._load.options.model_dump(), "provider": self._provider, "threads": self._load.threads}
        return found if self._load.device == "cpu" else {**found, **nvidia.facts(tf32(self._set.get(self._provider, {})))}

    def head(self, output: int) -> Head | None:
        """From the operators in the file."""
        return onnx_head(self._load.path, self.outputs[output].name)

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """A second session with ONNX Runtime's own profiler: the time of each node, some microseconds of the profiler in each."""
        import onnxruntime

        settings = _settings(onnxruntime, self._load)
        settings.enable_profiling = True
        with tempfile.TemporaryDirectory(prefix="harness-") as folder:
            settings.profile_file_prefix = str(Path(folder) / "profile")
            session = onnxruntime.InferenceSession(str(self._load.path), settings, providers=[self._provider])
            for query in in_time(queries, seconds):
                session.run(self._out, dict(zip(self._in, query, strict=True)))
            events = json.loads(Path(session.end_profiling()).read_text())
        return kernels_of(undisturbed(_calls(events)))


def tf32(options: Mapping[str, str]) -> bool | None:
    """Whether a provider may compute float32 products in TensorFloat-32; None where it does not report it, as TensorRT does not.

    Args:
        options: Of the provider, as the session reports them.
    """
    allowed = options.get("use_tf32")
    return None if allowed is None else allowed == "1"


def check_provider(found: Sequence[str], wanted: str) -> None:
    """Make sure that a session runs where it was asked to.

    Args:
        found: Its providers, the first comes first; the CPU's always stands last.
        wanted: The one asked for.

    Raises:
        EngineError: ONNX Runtime fell back to another, which it does with a line in its log and no error.
    """
    if not found or found[0] != wanted:
        raise EngineError(
            f"ONNX Runtime fell back to {', '.join(found)} instead of {wanted}",
            "its log names the library that is missing; do driver, CUDA and ONNX Runtime fit each other?",
        )


def _provider(load: Load, available: Sequence[str]) -> str:
    """The provider's full name.

    Raises:
        EngineError: It is not for the device, or this build has it not.
    """
    name = {"auto": "cpu" if load.device == "cpu" else "cuda"}.get(load.options.provider, load.options.provider)
    if (name == "cpu") != (load.device == "cpu"):
        raise EngineError(
            f"provider: {name} does not run on the device {load.device}",
            "name the device that fits under `devices`, or leave the provider out",
            refused=True,
        )
    if PROVIDERS[name] not in available:
        raise EngineError(
            f"this ONNX Runtime has no {PROVIDERS[name]}, only {', '.join(available)}", REMEDY.get(name, "install it again"), refused=True
        )
    return PROVIDERS[name]


def _settings(onnxruntime: Any, load: Load) -> Any:
    options, settings = load.options, onnxruntime.SessionOptions()
    settings.intra_op_num_threads = share_threads(load)
    settings.inter_op_num_threads = options.inter_op
    modes = onnxruntime.ExecutionMode
    settings.execution_mode = modes.ORT_PARALLEL if options.inter_op > 1 else modes.ORT_SEQUENTIAL
    for pool in ("intra_op", "inter_op"):
        settings.add_session_config_entry(f"session.{pool}.allow_spinning", str(int(options.spinning)))
    settings.enable_cpu_mem_arena = options.arena
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[options.graph_optimization])
    settings.log_severity_level = 3  # warnings of other people's models would flood stderr
    return settings


_LEVELS = {"disable": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}


def _calls(events: Sequence[dict[str, Any]]) -> list[list[Profiled]]:
    """The nodes that ran in each query after the first, from the events of the profiler, us."""
    runs = sorted(event["ts"] for event in events if event["name"] == "model_run")
    queries: list[list[Profiled]] = [[] for _ in runs]
    for event in events:
        query = bisect_right(runs, event["ts"]) - 1
        if query >= 0 and event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            arguments = event["args"]
            queries[query].append(
                (
                    arguments["op_name"],
                    arguments["provider"].removesuffix(SUFFIX),
                    _computes_in(arguments["op_name"], arguments.get("input_type_shape") or ()),
                    float(event["dur"]),
                )
            )
    return queries[1:] or queries


def _computes_in(op: str, inputs: Sequence[dict[str, Any]]) -> str | None:
    """The type of the first input, which the kernel was chosen by; quantizing itself is arithmetic on floats."""
    if op.startswith(INT8):
        return "int8"
    if op in ("QuantizeLinear", "DequantizeLinear") or not inputs:
        return "float32" if inputs else None
    kind = next(iter(inputs[0]))
    return "int8" if kind in ("int8", "uint8") else TYPES.get(kind, kind)


def _tensor(value: Any) -> Tensor:
    """`tensor(int64)` and the like; what is no tensor (a sequence of maps) has an open shape and the type object."""
    kind = value.type.removeprefix("tensor(").removesuffix(")") if value.type.startswith("tensor(") else "string"
    try:
        dtype = np.dtype(TYPES.get(kind, kind))
    except TypeError as error:
        raise EngineError(
            f"{value.name!r} is of the type {value.type}, which NumPy has not", "export the model with float32 inputs and outputs"
        ) from error
    return Tensor(
        name=value.name,
        shape=tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape or ()),
        dtype=dtype,
    )
