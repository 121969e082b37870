"""A fake CUDA engine: it opens the (simulated) CUDA driver, computes a matrix product on the CPU, and answers like a stream of a card.

Copied into a package of its own by `tests.instruments.cuda.install`. It imports nothing of the tests.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harness.engines import cuda
from harness.engines.base import Engine, EngineOptions, Session, Tensor, kernels_of
from harness.errors import EngineError
from harness.schema import EngineSpec

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
