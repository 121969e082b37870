"""ONNX Runtime: runs an `.onnx` file on the CPU, or on an NVIDIA GPU with CUDA or TensorRT."""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.engines import cuda
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
    intra_op_threads,
    kernels_of,
    undisturbed,
    unsupported_type,
)
from harness.engines.products import onnx_product, sized_work
from harness.errors import EngineError
from harness.formats.heads import Head, onnx_head
from harness.formats.libraries import reading
from harness.formats.onnx import load_onnx, precision
from harness.schema import EngineSpec, Kernel

KIND = ("a model for ONNX Runtime", "the file may be damaged, or need a newer version of ONNX Runtime")
SUFFIX = "ExecutionProvider"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
GPU_BUILD = "pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]': the two packages share one module"
REMEDY = {"cuda": GPU_BUILD, "tensorrt": f"{GPU_BUILD}; and install NVIDIA's TensorRT libraries"}
TYPES = {"float": "float32", "double": "float64", "string": "object"}
"""NumPy's names of ONNX Runtime's types, where they differ."""
LEVELS = {"disable": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}
INT8 = ("QLinear", "QGemm", "QAttention", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulInteger", "ConvInteger")
"""Prefixes of operators that multiply in 8-bit integers, regardless of the types of their inputs."""


def _has_gpu_build() -> bool:
    """Whether the distribution with the GPU providers is installed; does not import it."""
    try:
        return bool(version("onnxruntime-gpu"))
    except PackageNotFoundError:
        return False


class Options(EngineOptions):
    """Options of ONNX Runtime."""

    graph_optimization: Literal["disable", "basic", "extended", "all"] = Field("all", description="level of graph optimization")
    arena: bool = Field(True, description="keep freed memory for the next query")
    inter_op: int = Field(1, ge=1, le=1024, description="operators that may run in parallel")
    spinning: bool = Field(True, description="let waiting threads spin, as ONNX Runtime does by default")
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field("auto", description="auto: cuda if the device is gpu, else cpu")


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
        """Limit the threads of builds with OpenMP, and number the cards as the driver does."""
        return {"OMP_NUM_THREADS": str(load.threads), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def open(self, load: Load) -> Session:
        """Load the model and check the provider that it runs on."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f"ONNX Runtime cannot be imported: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
        provider = _provider(load, onnxruntime.get_available_providers())
        if provider != PROVIDERS["cpu"] and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries may be in Python packages
        with reading(load.path, *KIND):
            computes_in = precision(load_onnx(load.path, weights=False), fused=load.options.graph_optimization in ("extended", "all"))
            session = onnxruntime.InferenceSession(str(load.path), _settings(onnxruntime, load), providers=[provider])
            _check_provider(session.get_providers(), provider)
            check_batch([_tensor(value) for value in session.get_inputs()], load.batch_size)
            return OnnxRuntimeSession(session, load, provider, computes_in)

    def work(self, device: str) -> Callable[[], None]:
        """Products of float32 matrices that stay on the device."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f"ONNX Runtime cannot be imported: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
        load = Load(Path(), "onnx", device, 1, 1, Options())
        provider, place = _provider(load, onnxruntime.get_available_providers()), "cpu" if device == "cpu" else "cuda"
        if place == "cuda" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()

        def product_of(size: int) -> Callable[[], None]:
            session = onnxruntime.InferenceSession(onnx_product(size), _settings(onnxruntime, load), providers=[provider])
            _check_provider(session.get_providers(), provider)
            binding = session.io_binding()
            ones = np.ones((size, size), np.float32)
            binding.bind_ortvalue_input("a", onnxruntime.OrtValue.ortvalue_from_numpy(ones, place, 0))
            binding.bind_output("b", place)

            def multiply() -> None:
                session.run_with_iobinding(binding)
                binding.synchronize_outputs()

            return multiply

        return sized_work(product_of)


class OnnxRuntimeSession(Session):
    """A session on an `InferenceSession`."""

    def __init__(self, session: Any, load: Load, provider: str, computes_in: str | None) -> None:
        self._run, self._load, self._provider, self._precision = session.run, load, provider, computes_in
        self._provider_options: Mapping[str, Mapping[str, str]] = session.get_provider_options()
        self.inputs: Sequence[Tensor] = [_tensor(value) for value in session.get_inputs()]
        self.outputs: Sequence[Tensor] = [_tensor(value) for value in session.get_outputs()]
        self._in, self._out = [tensor.name for tensor in self.inputs], [tensor.name for tensor in self.outputs]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Answer one query."""
        answer: Sequence[Array] = self._run(self._out, dict(zip(self._in, inputs)))  # noqa: B905  a check of the lengths costs
        return answer

    def precision(self) -> str | None:
        """Precision from the types in the file and the level of optimization."""
        return self._precision

    def facts(self) -> dict[str, Any]:
        """Options, provider and threads; on a GPU also the versions of CUDA and cuDNN, and TensorFloat-32."""
        facts = {**self._load.options.model_dump(), "provider": self._provider, "threads": self._load.threads}
        return facts if self._load.device == "cpu" else facts | cuda.facts(_tf32(self._provider_options.get(self._provider, {})))

    def head(self, output: int) -> Head | None:
        """Meaning of an output from the operators in the file."""
        return onnx_head(self._load.path, self.outputs[output].name)

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """Times of the nodes by ONNX Runtime's profiler in a second session; each includes some microseconds of the profiler."""
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


def _tf32(options: Mapping[str, str]) -> bool | None:
    """Whether a provider with these options may compute float32 products in TensorFloat-32; None if not reported (TensorRT)."""
    allowed = options.get("use_tf32")
    return None if allowed is None else allowed == "1"


def _check_provider(providers: Sequence[str], requested: str) -> None:
    """Raise EngineError if a session has fallen back to another provider, which ONNX Runtime only logs."""
    if not providers or providers[0] != requested:
        raise EngineError(
            f"ONNX Runtime fell back to {', '.join(providers)} instead of {requested}",
            "see its log for the missing library, and check that the versions of driver, CUDA and ONNX Runtime fit together",
        )


def _provider(load: Load, available: Sequence[str]) -> str:
    """Full name of the provider; EngineError if it does not fit the device or this build does not have it."""
    name = {"auto": "cpu" if load.device == "cpu" else "cuda"}.get(load.options.provider, load.options.provider)
    if (name == "cpu") != (load.device == "cpu"):
        raise EngineError(
            f"provider: {name} does not run on the device {load.device}",
            "set a matching device under `devices`, or remove the option `provider`",
            refused=True,
        )
    if PROVIDERS[name] not in available:
        raise EngineError(
            f"this ONNX Runtime has no {PROVIDERS[name]}, only {', '.join(available)}", REMEDY.get(name, "reinstall it"), refused=True
        )
    return PROVIDERS[name]


def _settings(onnxruntime: Any, load: Load) -> Any:
    options, settings = load.options, onnxruntime.SessionOptions()
    settings.intra_op_num_threads = intra_op_threads(load)
    settings.inter_op_num_threads = options.inter_op
    modes = onnxruntime.ExecutionMode
    settings.execution_mode = modes.ORT_PARALLEL if options.inter_op > 1 else modes.ORT_SEQUENTIAL
    for pool in ("intra_op", "inter_op"):
        settings.add_session_config_entry(f"session.{pool}.allow_spinning", str(int(options.spinning)))
    settings.enable_cpu_mem_arena = options.arena
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[options.graph_optimization])
    settings.log_severity_level = 3  # warnings about the model would flood stderr
    return settings


def _calls(events: Sequence[dict[str, Any]]) -> list[list[Call]]:
    """Executed nodes with their times in microseconds, per query after the first, from the events of the profiler."""
    runs = sorted(event["ts"] for event in events if event["name"] == "model_run")
    queries: list[list[Call]] = [[] for _ in runs]
    for event in events:
        query = bisect_right(runs, event["ts"]) - 1
        if query >= 0 and event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            node = event["args"]
            computes_in = _computes_in(node["op_name"], node.get("input_type_shape") or ())
            queries[query].append((node["op_name"], node["provider"].removesuffix(SUFFIX), computes_in, float(event["dur"])))
    return queries[1:] or queries


def _computes_in(op: str, inputs: Sequence[dict[str, Any]]) -> str | None:
    """Type of the first input, by which the kernel is chosen; quantization itself is float arithmetic."""
    if op.startswith(INT8):
        return "int8"
    if op in ("QuantizeLinear", "DequantizeLinear") or not inputs:
        return "float32" if inputs else None
    kind = next(iter(inputs[0]))
    return "int8" if kind in ("int8", "uint8") else TYPES.get(kind, kind)


def _tensor(value: Any) -> Tensor:
    """Tensor of a declared value, such as `tensor(int64)`; other types (a sequence of maps) become objects."""
    kind = value.type.removeprefix("tensor(").removesuffix(")") if value.type.startswith("tensor(") else "string"
    try:
        dtype = np.dtype(TYPES.get(kind, kind))
    except TypeError as error:
        raise unsupported_type(value.name, value.type) from error
    return Tensor(
        name=value.name,
        shape=tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape or ()),
        dtype=dtype,
    )
