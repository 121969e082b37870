"""PyTorch: a module or a `.pt2` program -> a session on the CPU or an NVIDIA GPU, eager or compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harness import venvs
from harness.engines import cuda, torch_profile, torch_weights
from harness.engines.base import Array, Engine, EngineOptions, Event, Load, Session, Tensor, check_batch
from harness.engines.products import sized_work
from harness.errors import EngineError
from harness.formats.base import Declared
from harness.formats.libraries import import_library, reading
from harness.formats.precision import precision_text
from harness.formats.torch_module import INSTALL, KIND, Loaded, flatten, import_torch, load
from harness.schema import EngineSpec, Kernel

CAPTURE_WARMUP = 3
"""Queries before a CUDA graph is captured, as PyTorch's documentation asks for."""
CONVERTED = {"fp8": "float8", "int4_weight_only": "int4"}
"""Types of the weights that an option converts."""


class Options(EngineOptions):
    """Options of the torch engine."""

    mode: Literal["eager", "compile"] = Field("eager", description="eager: operator by operator; compile: torch.compile")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = Field(
        "default", description="mode of torch.compile"
    )
    dtype: Literal["stored", "float32", "bfloat16", "float16"] = Field("stored", description="type that weights and inputs are cast to")
    tf32: Literal["on", "off"] = Field("off", description="on: float32 products on tensor cores in TensorFloat-32 (GPU)")
    channels_last: bool = Field(False, description="memory format of 4-dimensional weights and inputs")
    weights: Literal["stored", "fp8", "int4_weight_only", "sparse_2_4"] = Field(
        "stored", description="weights of linear layers, converted by torchao when the model is loaded (GPU)"
    )
    cuda_graphs: bool = Field(False, description="capture one query as a CUDA graph and replay it (GPU, mode eager)")

    @model_validator(mode="after")
    def _compatible(self) -> Options:
        if self.compile_mode != "default" and self.mode != "compile":
            raise ValueError("compile_mode needs `mode: compile`")
        if self.cuda_graphs and self.mode == "compile":
            raise ValueError("with `mode: compile` CUDA graphs are `compile_mode: reduce-overhead`")
        return self


class Torch(Engine):
    """PyTorch."""

    spec: ClassVar = EngineSpec(
        name="torch",
        summary="PyTorch, eager or compiled; CPU and NVIDIA GPU",
        packages=("torch", "torchao", "torchvision", "timm", "triton"),
        extra="torch",
        venv="torch",
        formats=("torch", "pt2"),
        devices=("cpu", "gpu"),
        stages=("gpu",),
        asynchronous=("gpu",),
        parameters=Options,
        load_s=5.0,
        by_options={
            "compile": {"mode": "compile"},
            "tf32": {"tf32": "on"},
            "bfloat16": {"dtype": "bfloat16"},
            "float16": {"dtype": "float16"},
            "fp8": {"weights": "fp8", "dtype": "bfloat16"},
            "int4_weight_only": {"weights": "int4_weight_only", "dtype": "bfloat16"},
            "sparse_2_4": {"weights": "sparse_2_4", "dtype": "bfloat16"},
        },
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Threads of OpenMP and MKL, and the driver's order of cards."""
        return {"OMP_NUM_THREADS": str(load.threads), "MKL_NUM_THREADS": str(load.threads), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    @classmethod
    def examine_card(cls, card: Mapping[str, Any]) -> EngineError | None:
        """Whether the driver runs the CUDA of the installed wheel."""
        name = venvs.used(cls.spec)
        needed, version = cuda.required(venvs.requirements(name, "torch")), venvs.versions(name, ["torch"])["torch"]
        problem = cuda.too_old(card, needed) if needed else None
        if problem is None:
            return None
        return EngineError(
            f"PyTorch {version} needs CUDA {needed}, but {problem}",
            f"update the driver, or install a PyTorch for CUDA {cuda.supported(card)} next to harness",
            refused=True,
        )

    def open(self, case: Load) -> Session:
        """Load the model on the device, cast it, and compile it where that is asked for."""
        torch = import_torch()
        device = _device(torch, case)
        torch.set_num_threads(case.threads)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = case.options.tf32 == "on"
        _without_autograd()
        with reading(case.path, *KIND):
            loaded = load(case.path, case.format, trusted=case.trusted)
            check_batch([_tensor(declared) for declared in loaded.inputs], case.batch_size)
            if case.options.weights == "stored" and _quantized(torch, loaded.module) != "tensors":
                return TorchSession(torch, case, loaded, device)
            with torch.inference_mode(False):  # under it torchao's tensors can be neither moved nor cast
                return TorchSession(torch, case, load(case.path, case.format, trusted=case.trusted), device)

    def work(self, device: str) -> Callable[[], None]:
        """Products of float16 matrices, of float32 on the CPU."""
        torch = import_torch()
        on = _device(torch, Load(Path(), "torch", device, 1, 1, Options()))

        def product_of(size: int) -> Callable[[], None]:
            matrix = torch.randn(size, size, device=on, dtype=torch.float32 if device == "cpu" else torch.float16)

            def multiply() -> None:
                torch.mm(matrix, matrix)
                if device != "cpu":
                    torch.cuda.synchronize()

            return multiply

        return sized_work(product_of)


class TorchSession(Session):
    """A module on its device."""

    def __init__(self, torch: Any, case: Load, loaded: Loaded, device: Any) -> None:
        module = loaded.module
        self._torch, self._case, self._options, self._device = torch, case, case.options, device
        self._on_card = device.type == "cuda"
        self._layout = {"memory_format": torch.channels_last} if case.options.channels_last else {}
        self._dtype = None if case.options.dtype == "stored" else getattr(torch, case.options.dtype)
        self._floats = self._dtype or next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
        self._quantized = _quantized(torch, module)
        if self._quantized == "program" and self._dtype not in (None, torch.float32):
            raise EngineError(
                f"dtype: {case.options.dtype} does not go with a quantized program, whose operators give float32",
                "remove the option or the variant that sets it",
                refused=True,
            )
        self._module = module.to(device, self._dtype, **self._layout)
        self._converted = torch_weights.convert(torch, self._module, case.options.weights) if case.options.weights != "stored" else None
        self.inputs, self.outputs = ([_tensor(declared) for declared in side] for side in (loaded.inputs, loaded.outputs))
        self._types = [getattr(torch, name) for name in loaded.types] or [self._type(declared) for declared in loaded.inputs]
        self._check = loaded.check
        self._call: Callable[..., Any] = self._module.__call__  # not `forward`, which would leave out the module's own hooks
        if case.options.mode == "compile":
            self._call = self._compiled()
        if case.options.cuda_graphs:
            self._call = _Captured(torch, self._call)

    def _compiled(self) -> Callable[..., Any]:
        """The forward pass under torch.compile, on the CPU with frozen weights.

        Freezing gives oneDNN its layouts, and the int8 operators of a quantized program need it. It would turn torchao's int8 weights
        into floats, and it makes their dynamic quantization 600 times slower (torch 2.11).
        """
        inductor = import_library("torch._inductor.config", "PyTorch", INSTALL)
        inductor.freezing = self._frozen
        if self._quantized == "tensors":
            self._torch.backends.mha.set_fastpath_enabled(False)  # the compiler fails on its look at the weights
        # The module, not its `__call__`: Dynamo could not trace torchao's weights in a Sequential (torch 2.11).
        compiled: Callable[..., Any] = self._torch.compile(self._module, mode=self._options.compile_mode, dynamic=False)
        return compiled

    @property
    def _frozen(self) -> bool:
        return self._options.mode == "compile" and self._device.type == "cpu" and self._quantized != "tensors"

    def _type(self, declared: Declared) -> Any:
        """Type of an input; what NumPy has as float32 may be any type that NumPy does not have, such as the bfloat16 of the parameters."""
        return self._floats if declared.dtype == "float32" else getattr(self._torch, declared.dtype)

    def stage(self, inputs: Sequence[Array]) -> Sequence[Any]:
        """Host arrays as tensors on the device, in the type and memory format of the model; the sizes of the first query are checked."""
        arrays = zip(inputs, self._types, strict=True)
        staged = [self._staged(self._torch.from_numpy(np.ascontiguousarray(array)), kind) for array, kind in arrays]
        if self._check:
            self._check(staged)
            self._check = None
        return staged

    def _staged(self, tensor: Any, kind: Any) -> Any:
        dtype = self._dtype if self._dtype and kind.is_floating_point else kind
        return tensor.to(self._device, dtype, **(self._layout if tensor.dim() == 4 else {}))

    def run(self, inputs: Sequence[Any]) -> Any:
        """Answer one query; on a GPU it returns before the answer is complete."""
        return self._call(*inputs)

    def synchronize(self) -> None:
        """Wait until the GPU has answered."""
        if self._on_card:
            self._torch.cuda.synchronize()

    def event(self, outputs: Any) -> Event:
        """A CUDA event after the kernels of the query."""
        event = self._torch.cuda.Event()
        event.record()
        recorded: Event = event
        return recorded

    def fetch(self, outputs: Any) -> Sequence[Array]:
        """The answer's tensors as host arrays; bfloat16, which NumPy does not have, as float32."""
        return [self._host(tensor) for tensor in flatten(outputs)]

    def _host(self, tensor: Any) -> Array:
        array: Array = (tensor.float() if tensor.dtype == self._torch.bfloat16 else tensor).cpu().numpy()
        return array

    def precision(self) -> str | None:
        """Type of the floating-point parameters, and of weights if they are stored in a smaller one; on a GPU float32 may run as TensorFloat-32."""
        name = str(self._floats).removeprefix("torch.")
        if self._quantized:
            return precision_text(name, "int8")
        if self._options.weights in CONVERTED:
            return precision_text("float32", CONVERTED[self._options.weights])
        return "tf32" if name == "float32" and self._device.type == "cuda" and self._options.tf32 == "on" else name

    def facts(self) -> dict[str, Any]:
        """Options, threads, and on a GPU the versions of CUDA and cuDNN and TensorFloat-32."""
        facts = {**self._options.model_dump(exclude={"tf32"}), "threads": self._torch.get_num_threads(), "torch": self._torch.__version__}
        facts |= {"freezing": self._frozen, "quantized": self._quantized, "converted_layers": self._converted}
        if self._device.type == "cpu" and (name := str(self._floats).removeprefix("torch.")) in ("bfloat16", "float16"):
            facts[f"{name}_instructions"] = has_instructions(self._torch, name)
        if self._device.type != "cuda":
            return facts
        return {**facts, **cuda.facts(self._options.tf32 == "on"), "device_name": self._torch.cuda.get_device_name(self._device)}

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """By torch.profiler: kernels of the GPU, on the CPU operators by their own time."""
        staged = [self.stage(query) for query in queries]
        return torch_profile.profile(self._torch, self._complete, staged, seconds)

    def _complete(self, inputs: Sequence[Any]) -> None:
        self.run(inputs)
        self.synchronize()


class _Captured:
    """A module's forward pass as a CUDA graph: captured at the first query, replayed for each."""

    def __init__(self, torch: Any, forward: Callable[..., Any]) -> None:
        self._torch, self._forward = torch, forward
        self._graph: Any = None
        self._inputs: Sequence[Any] = ()
        self._outputs: Any = None

    def __call__(self, *inputs: Any) -> Any:
        if self._graph is None:
            self._capture(inputs)
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        self._graph.replay()
        return self._outputs

    def _capture(self, inputs: Sequence[Any]) -> None:
        torch = self._torch
        self._inputs = [tensor.clone() for tensor in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(CAPTURE_WARMUP):
                self._forward(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = self._forward(*self._inputs)


def _quantized(torch: Any, module: Any) -> str | None:
    """`tensors` for weights that torchao quantized, `program` for an exported program with 8-bit operators; None for any other module."""
    if any(type(parameter).__module__.startswith("torchao.") for parameter in module.parameters()):
        return "tensors"
    nodes = module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ()
    return "program" if any(str(node.target).startswith("quantized_decomposed.") for node in nodes) else None


def has_instructions(torch: Any, dtype: str) -> bool | None:
    """Whether the CPU multiplies in this type; without, PyTorch converts to float32. None if PyTorch does not report it."""
    if dtype == "float16":
        checks = [getattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", None)]
    else:  # oneDNN's own answer is yes for emulation too
        checks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(check() for check in checks if check) if any(checks) else None


@cache
def _without_autograd() -> Any:
    """Inference mode for the life of the process: entered in each query it would be timed."""
    mode = import_torch().inference_mode()
    mode.__enter__()
    return mode


def _tensor(declared: Declared) -> Tensor:
    return Tensor(declared.name, declared.shape, np.dtype(declared.dtype))


def _device(torch: Any, case: Load) -> Any:
    """The device of a case.

    Raises:
        EngineError: No CUDA here, or options that belong to a GPU.
    """
    if case.device == "cpu":
        options = case.options
        on_gpu = {"tf32": options.tf32 == "on", "cuda_graphs": options.cuda_graphs, "weights": options.weights != "stored"}
        gpu_only = [name for name, on in on_gpu.items() if on]
        if gpu_only:
            raise EngineError(f"option {gpu_only[0]} has no effect on the CPU", "name `devices: [gpu]`, or leave it out", refused=True)
        return torch.device("cpu")
    return cuda_device(torch)


def cuda_device(torch: Any) -> Any:
    """The first visible card.

    Raises:
        EngineError: PyTorch is built without CUDA, or finds no card.
    """
    if torch.version.cuda is None:
        raise EngineError("this PyTorch is built without CUDA", "install PyTorch's CUDA wheel: make torch", refused=True)
    if not torch.cuda.is_available():
        reason = f"PyTorch {torch.__version__} finds no CUDA device"
        raise EngineError(reason, f"is the driver new enough for CUDA {torch.version.cuda}? see `nvidia-smi`", refused=True)
    return torch.device("cuda", 0)
