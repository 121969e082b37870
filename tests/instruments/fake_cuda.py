"""A fake CUDA engine: it opens the (simulated) CUDA driver, computes a matrix product on the CPU, and answers like a stream of a card.

Copied into a package of its own by `tests.instruments.cuda.install`. It imports nothing of the tests.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harness.engines import cuda
from harness.engines.base import Engine, EngineOptions, Session, Tensor, kernels_of
from harness.errors import EngineError
from harness.schema import EngineSpec, Prepares

QUERY_S = {"float32": 2e-3, "tf32": 1e-3, "bfloat16": 0.7e-3, "float16": 0.7e-3}
"""Time on the card of a query of one sample, by the precision."""
LOSES_AFTER_S = 0.6
"""Time from the first query to the loss of the card, where FAKE_CUDA_LOSES names the file that shows it."""


class Options(EngineOptions):
    """Options that the variants set, as those of PyTorch."""

    dtype: Literal["stored", "float32", "bfloat16", "float16"] = "stored"
    tf32: Literal["on", "off"] = "off"


class FakeCuda(Engine):
    """The engine."""

    spec: ClassVar = EngineSpec(
        name="fake-cuda",
        formats=("onnx",),
        devices=("gpu",),
        parameters=Options,
        by_options={"tf32": {"tf32": "on"}, "bfloat16": {"dtype": "bfloat16"}, "float16": {"dtype": "float16"}},
    )

    def open(self, load: Any) -> Session:
        """Load the driver and the weights."""
        import onnx
        from onnx import numpy_helper

        try:
            ctypes.CDLL(cuda.DRIVER)
        except OSError as error:
            raise EngineError(f"no CUDA driver: {error}", "install it", refused=True) from None
        if not cuda.visible_uuids():
            raise EngineError("no CUDA device", "see `nvidia-smi`", refused=True)
        return FakeSession(numpy_helper.to_array(onnx.load(load.path).graph.initializer[0]), load)


class FakeSession(Session):
    """A queue of one card: `run` returns at once, `synchronize` waits until the card would have answered."""

    def __init__(self, weights: Any, load: Any) -> None:
        options = load.options
        self.ran = "tf32" if options.tf32 == "on" else "float32" if options.dtype == "stored" else options.dtype
        self._weights, self._batch, self._ready_s, self._first_s = weights, load.batch_size, 0.0, None
        self._query_s = QUERY_S[self.ran] * load.batch_size**0.5
        self._loses = os.environ.get("FAKE_CUDA_LOSES")
        self.inputs = [Tensor("in put:0", (None, len(weights)), np.dtype(np.float32))]
        self.outputs = [Tensor("scores", (None, weights.shape[1]), np.dtype(np.float32))]

    def run(self, inputs: Any) -> Any:
        """Queue a query."""
        now_s = time.monotonic()
        self._first_s = self._first_s or now_s
        if self._loses and now_s - self._first_s > LOSES_AFTER_S:
            Path(self._loses).touch()
        self._ready_s = max(self._ready_s, now_s) + self._query_s
        return [inputs[0] @ self._weights]

    def synchronize(self) -> None:
        """Wait for the queue."""
        time.sleep(max(0.0, self._ready_s - time.monotonic()))

    def precision(self) -> str:
        """Precision that ran."""
        return self.ran

    def facts(self) -> dict[str, Any]:
        """As an engine on a card reports them."""
        return cuda.facts(self.ran == "tf32")

    def profile(self, queries: Any, seconds: float) -> Any:
        """One kernel in the precision that ran."""
        return kernels_of([("MatMul", f"fake_gemm_{self.ran}", self.ran, 1e3 * self._query_s)])


class CompilerOptions(EngineOptions):
    """Options of an engine that may compile a model for the card."""

    provider: Literal["cuda", "tensorrt"] = "cuda"
    compile_s: float = 0.6


class FakeTensorRt(FakeCuda):
    """An engine that compiles a model for one card, in a build, and refuses to load anything else."""

    spec: ClassVar = EngineSpec(
        name="fake-tensorrt",
        formats=("onnx",),
        devices=("gpu",),
        parameters=CompilerOptions,
        by_options={"tensorrt": {"provider": "tensorrt"}},
        prepares=Prepares(format="plan", options={"provider": "tensorrt"}),
    )

    @classmethod
    def libraries(cls) -> dict[str, str | None]:
        """The library of the compiler."""
        return {"fake_trt": os.environ.get("FAKE_TRT_VERSION", "10.9.0")}

    def prepare(self, load: Any, folder: Path, query: Any) -> dict[str, Any]:
        """Keep the card busy, and write the plan."""
        inputs = query([Tensor("in put:0", (None, None), np.dtype(np.float32))])
        if os.environ.get("FAKE_TRT_FAILS"):
            raise EngineError("no tactic for MatMul", "give TensorRT more memory")
        ctypes.CDLL(cuda.DRIVER)
        time.sleep(load.options.compile_s)
        (folder / "model.plan").write_text(f"{cuda.visible_uuids()} {inputs[0].shape}")
        return {"shape": list(inputs[0].shape)}

    def open(self, load: Any) -> Session:
        """The plan of the build, or the CUDA kernels."""
        session = super().open(replace(load, options=Options(tf32="on" if load.options.provider == "tensorrt" else "off")))
        session.ran, session.compiled = "float32", None
        if load.options.provider == "tensorrt":
            assert load.prepared, "this engine loads plans only"
            session.compiled = "built" if "GPU-" in (load.prepared / "model.plan").read_text() else "compiled again"
            session.facts = lambda: {**cuda.facts(False), "tensorrt_engine": session.compiled}
        return session
