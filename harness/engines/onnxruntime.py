"""ONNX Runtime: runs an `.onnx` file on the CPU, or on an NVIDIA GPU with CUDA or TensorRT."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from harness import venvs
from harness.engines import cuda, onnxruntime_gpu, onnxruntime_profile, onnxruntime_tensorrt
from harness.engines.base import (
    Array,
    Engine,
    EngineOptions,
    Load,
    Query,
    Session,
    Tensor,
    check_batch,
    in_time,
    intra_op_threads,
    unsupported_type,
)
from harness.engines.onnxruntime_gpu import CPU, CUDA, INSTALL, RECORD, TENSORRT, Provider
from harness.engines.onnxruntime_profile import TYPES
from harness.engines.products import onnx_product, sized_work
from harness.errors import EngineError
from harness.formats.heads import Head, onnx_head
from harness.formats.libraries import reading
from harness.formats.onnx import load_onnx, precision
from harness.formats.onnx_weights import nodes
from harness.schema import EngineSpec, Kernel, Prepares

KIND = ("a model for ONNX Runtime", "the file may be damaged, or need a newer version of ONNX Runtime")
PROVIDERS = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
LEVELS = {"disable": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}
GPU_OPTIONS = {"tf32", "trt_fp16", "cpu_fallback"}


class Options(EngineOptions):
    """Options of ONNX Runtime."""

    graph_optimization: Literal["disable", "basic", "extended", "all"] = Field("all", description="level of graph optimization")
    arena: bool = Field(True, description="keep freed memory for the next query")
    inter_op: int = Field(1, ge=1, le=1024, description="operators that may run in parallel")
    spinning: bool = Field(True, description="let waiting threads spin, as ONNX Runtime does by default")
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field("auto", description="auto: cuda if the device is gpu, else cpu")
    tf32: Literal["on", "off"] = Field("off", description="on: float32 products on tensor cores in TensorFloat-32 (GPU)")
    trt_fp16: bool = Field(False, description="let TensorRT compute in float16 (provider tensorrt)")
    cpu_fallback: bool = Field(True, description="false: refuse a model with an operator that has no kernel for the GPU")

    @model_validator(mode="after")
    def _compatible(self) -> Options:
        if self.trt_fp16 and self.provider != "tensorrt":
            raise ValueError("trt_fp16 needs `provider: tensorrt`; for CUDA use the variant float16")
        return self


class OnnxRuntime(Engine):
    """Microsoft's runtime for ONNX models."""

    spec: ClassVar = EngineSpec(
        name="onnxruntime",
        summary="ONNX Runtime; CPU, CUDA and TensorRT providers",
        packages=("onnxruntime", "onnx"),
        extra="onnxruntime",
        formats=("onnx",),
        devices=("cpu", "gpu"),
        stages=("gpu",),
        parameters=Options,
        by_options={"tf32": {"tf32": "on"}, "tensorrt": {"provider": "tensorrt"}},
        prepares=Prepares(format="tensorrt", options={"provider": "tensorrt"}, build_s=60.0),
        by_device={"gpu": {"venv": "onnxruntime-gpu", "packages": ("onnxruntime-gpu", "onnx"), "load_s": 5.0}},
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Limit the threads of builds with OpenMP, number the cards as the driver does, and keep TensorRT from TensorFloat-32."""
        variables = {"OMP_NUM_THREADS": str(load.threads), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        without_tf32 = load.device != "cpu" and load.options.tf32 == "off"  # TensorRT has no option for it
        return {**variables, cuda.TF32_OVERRIDE: "0"} if without_tf32 else variables

    @classmethod
    def examine_card(cls, card: Mapping[str, Any]) -> EngineError | None:
        """Whether the driver runs the CUDA of the installed package, and whether that has code for the card."""
        return onnxruntime_gpu.examine(card, venvs.used(cls.spec.at("gpu")))

    @classmethod
    def libraries(cls) -> Mapping[str, str | None]:
        """TensorRT, which no package brings."""
        return {"tensorrt": cuda.tensorrt_version()}

    def prepare(self, load: Load, folder: Path, query: Query) -> Mapping[str, Any]:
        """Compile TensorRT's engines: those of dynamic shapes only at the first query."""
        session = self.open(replace(load, prepared=folder))
        session.answer(query(session.inputs))
        engines = onnxruntime_tensorrt.seal(folder)
        return {"tensorrt": cuda.tensorrt_version(), "engines": len(engines), "placement": session.facts()["placement"]}

    def open(self, load: Load) -> Session:
        """Load the model, and check the providers and, on a GPU, the place of each operator."""
        try:
            import onnxruntime
        except ImportError as error:
            install = INSTALL if load.device != "cpu" else "pip install 'harness[onnxruntime]'"
            raise EngineError(f"ONNX Runtime cannot be imported: {error}", install, refused=True) from error
        asked = _provider(load, onnxruntime.get_available_providers())
        if asked != CPU and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries may be in Python packages
        with reading(load.path, *KIND):
            opened = _opened(onnxruntime, load, asked, load_onnx(load.path, weights=False))
            check_batch([_tensor(value) for value in opened.session.get_inputs()], load.batch_size)
        return OnnxRuntimeSession(opened, load) if asked == CPU else BoundSession(opened, load)

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
            onnxruntime_gpu.check_providers(session.get_providers(), [provider])
            binding = session.io_binding()
            ones = np.ones((size, size), np.float32)
            binding.bind_ortvalue_input("a", onnxruntime.OrtValue.ortvalue_from_numpy(ones, place, 0))
            binding.bind_output("b", place)

            def multiply() -> None:
                session.run_with_iobinding(binding)
                binding.synchronize_outputs()

            return multiply

        return sized_work(product_of)


class Opened(NamedTuple):
    """An `InferenceSession` with what it was opened with.

    Attributes:
        session: The session.
        providers: Providers that were asked for, the preferred one first.
        facts: Versions and the placement of the operators; empty on the CPU.
        precision: Precision of most of the arithmetic; None if unknown.
    """

    session: Any
    providers: Sequence[Provider]
    facts: Mapping[str, Any]
    precision: str | None


def _opened(onnxruntime: Any, load: Load, asked: str, model: Any) -> Opened:
    """A session with the providers of the case, which are checked."""
    fused = asked == CPU and load.options.graph_optimization in ("extended", "all")  # no other provider fuses them
    computes_in = precision(model, fused=fused)
    settings = _settings(onnxruntime, load)
    if asked == CPU:
        session = onnxruntime.InferenceSession(str(load.path), settings, providers=[CPU])
        onnxruntime_gpu.check_providers(session.get_providers(), [CPU])
        return Opened(session, [Provider(CPU, {})], {}, computes_in)
    versions = {"onnxruntime": onnxruntime.__version__}
    if asked == TENSORRT:
        versions["tensorrt"] = _tensorrt()
    quantized = any(node.op_type == "QuantizeLinear" for node in nodes(model))
    providers = onnxruntime_gpu.providers(load, quantized=quantized)
    settings.add_session_config_entry(RECORD, "1")
    session = onnxruntime.InferenceSession(str(load.path), settings, providers=[tuple(each) for each in providers], enable_fallback=0)
    onnxruntime_gpu.check_providers(session.get_providers(), [each.name for each in providers])
    facts = {**versions, "placement": onnxruntime_gpu.placed(session, asked, cpu_fallback=load.options.cpu_fallback)}
    facts |= {"precision_requested": "float16"} if asked == TENSORRT and load.options.trt_fp16 else {}
    return Opened(session, providers, facts, _on_gpu(computes_in, asked, load.options))


def _tensorrt() -> str:
    """Version of TensorRT.

    Raises:
        EngineError: Its library cannot be loaded.
    """
    if (version := cuda.tensorrt_version()) is None:
        raise EngineError(
            f"NVIDIA's TensorRT library ({cuda.TENSORRT[0]}) cannot be loaded, and the packages on PyPI do not contain it",
            "install TensorRT 10 from NVIDIA and add its folder to LD_LIBRARY_PATH, or use provider: cuda",
            refused=True,
        )
    return version


def _on_gpu(computes_in: str | None, asked: str, options: Options) -> str | None:
    """Precision on a GPU: TensorRT does not report which of the allowed ones it chose for a layer."""
    if asked == TENSORRT and (options.trt_fp16 or computes_in not in ("float32", None)):
        return None
    return "tf32" if computes_in == "float32" and options.tf32 == "on" else computes_in


class OnnxRuntimeSession(Session):
    """A session on an `InferenceSession`."""

    def __init__(self, opened: Opened, load: Load) -> None:
        session = opened.session
        self._run, self._load, self._opened = session.run, load, opened
        self.inputs: Sequence[Tensor] = [_tensor(value) for value in session.get_inputs()]
        self.outputs: Sequence[Tensor] = [_tensor(value) for value in session.get_outputs()]
        self._in, self._out = [tensor.name for tensor in self.inputs], [tensor.name for tensor in self.outputs]

    def run(self, inputs: Any) -> Any:
        """Answer one query, given the host arrays."""
        answer: Sequence[Array] = self._run(self._out, dict(zip(self._in, inputs)))  # noqa: B905  a check of the lengths costs
        return answer

    def precision(self) -> str | None:
        """Precision from the types in the file and the level of optimization."""
        return self._opened.precision

    def facts(self) -> dict[str, Any]:
        """Options, provider and threads; on a GPU also the place of the operators, the versions of CUDA and cuDNN, and TensorFloat-32."""
        left_out = {"tf32"} if self._load.device != "cpu" else GPU_OPTIONS
        options = self._load.options.model_dump(exclude=left_out)
        facts = {**options, "provider": self._opened.providers[0].name, "threads": self._load.threads, **self._opened.facts}
        if self._load.device == "cpu":
            return facts
        compiled = {"tensorrt_engine": onnxruntime_tensorrt.state(self._load.prepared)} if facts["provider"] == TENSORRT else {}
        return facts | compiled | cuda.facts(self._load.options.tf32 == "on")

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
            providers = [tuple(each) for each in self._opened.providers]
            session = onnxruntime.InferenceSession(str(self._load.path), settings, providers=providers)
            for query in in_time(queries, seconds):
                session.run(self._out, dict(zip(self._in, query, strict=True)))
            events = json.loads(Path(session.end_profiling()).read_text())
        return onnxruntime_profile.kernels(events, on_gpu=self._load.device != "cpu", tf32=self._load.options.tf32 == "on")


class Staged(NamedTuple):
    """The inputs of one query on the card, bound to the session.

    Attributes:
        binding: Binding of all inputs and outputs.
        values: The inputs, which the binding does not keep alive in every version.
    """

    binding: Any
    values: Sequence[Any]


class BoundSession(OnnxRuntimeSession):
    """A session whose staged inputs and outputs stay on the card.

    `run` returns when the answer is complete, as ONNX Runtime does by default. Its option not to wait is not used: `synchronize_outputs` waits for
    the provider's own stream, which need not be the one that ran.
    """

    place = "cuda"
    """Where staged inputs and outputs are, by ONNX Runtime's name."""

    def stage(self, inputs: Sequence[Array]) -> Staged:
        """Inputs as values on the card, and outputs that stay there; text stays on the host."""
        from onnxruntime import OrtValue

        binding = self._opened.session.io_binding()
        values = [
            OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._place(tensor), 0)
            for tensor, array in zip(self.inputs, inputs, strict=True)
        ]
        for name, value in zip(self._in, values, strict=True):
            binding.bind_ortvalue_input(name, value)
        for tensor in self.outputs:
            binding.bind_output(tensor.name, self._place(tensor), 0)
        return Staged(binding, values)

    def _place(self, tensor: Tensor) -> str:
        return "cpu" if tensor.dtype == object else self.place

    def run(self, inputs: Staged) -> Staged:
        """Answer one query on the card."""
        self._opened.session.run_with_iobinding(inputs.binding)
        return inputs

    def fetch(self, outputs: Staged) -> Sequence[Array]:
        """Copy the answer to the host."""
        arrays: Sequence[Array] = outputs.binding.copy_outputs_to_cpu()
        return arrays

    def answer(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Answer one query from host arrays to host arrays, by the call that users make."""
        answer: Sequence[Array] = self._run(self._out, dict(zip(self._in, inputs, strict=True)))
        return answer


def _provider(load: Load, available: Sequence[str]) -> str:
    """Full name of the provider; EngineError if it does not fit the device or this build does not have it."""
    name = {"auto": "cpu" if load.device == "cpu" else "cuda"}.get(load.options.provider, load.options.provider)
    if (name == "cpu") != (load.device == "cpu"):
        raise EngineError(
            f"provider: {name} does not run on the device {load.device}",
            "set a matching device under `devices`, or remove the option `provider`",
            refused=True,
        )
    if name == "cpu" and (load.options.tf32 == "on" or not load.options.cpu_fallback):
        option = "tf32" if load.options.tf32 == "on" else "cpu_fallback"
        raise EngineError(f"option {option} has no effect on the CPU", "name `devices: [gpu]`, or leave it out", refused=True)
    if PROVIDERS[name] not in available:
        hint = "reinstall it" if name == "cpu" else f"{INSTALL}, which installs onnxruntime-gpu in an environment of its own"
        raise EngineError(f"this ONNX Runtime has no {PROVIDERS[name]}, only {', '.join(available)}", hint, refused=True)
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
