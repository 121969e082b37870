"""A plug-in of another distribution: an engine whose answers are computed by threads while `run` has returned, with a log of the truth."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel

from harness.engines.base import Engine, Event, Load, Session, Tensor
from harness.schema import EngineSpec


class Options(BaseModel):
    """How long a query takes, and what the device can do."""

    query_s: float = 0.002
    """Duration of a query on the device."""
    copy_s: float = 0.0
    """Duration of each copy, to the device and from it."""
    load_s: float = 0.0
    """Time to open a model, as if kernels were compiled."""
    lanes: int = 1
    """Queries that the device computes at a time."""
    events: bool = True
    """Whether an answer can be awaited alone."""
    log: str = ""
    """File of the device's own start and end of each query, int64 of shape (2, n) in ns; written by the profiler."""


class Asynchronous(Engine):
    """Computes behind the caller's back."""

    spec: ClassVar = EngineSpec(
        name="asynchronous",
        formats=("*",),
        devices=("cpu", "gpu"),
        stages=("gpu",),
        asynchronous=("cpu", "gpu"),
        parameters=Options,
        simulated=True,
    )

    def open(self, load: Load) -> AsynchronousSession:
        """A session of its own threads."""
        time.sleep(load.options.load_s)
        return AsynchronousSession(load.options)


class DeviceEvent:
    """The completion of one query, with the interface of `torch.cuda.Event`."""

    def __init__(self, future: Future[None]) -> None:
        self.query, self.synchronize = future.done, future.result


class AsynchronousSession(Session):
    """A queue of queries and the threads that answer them."""

    def __init__(self, options: Options) -> None:
        self.inputs, self.outputs = (), (Tensor("zeros", (1, 1), np.dtype(np.float32)),)
        self.options, self.device = options, ThreadPoolExecutor(options.lanes)
        self.pending: set[Future[None]] = set()
        self.log: list[tuple[int, int]] = []

    def stage(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Copy to the device."""
        time.sleep(self.options.copy_s)
        return inputs

    def run(self, inputs: Any) -> Future[None]:
        """Queue a query and return at once."""
        future = self.device.submit(self._compute)
        self.pending.add(future)
        future.add_done_callback(self.pending.discard)
        return future

    def _compute(self) -> None:
        began = time.monotonic_ns()
        time.sleep(self.options.query_s)
        self.log.append((began, time.monotonic_ns()))

    def synchronize(self) -> None:
        """Wait for all queries."""
        wait(list(self.pending))

    def event(self, outputs: Future[None]) -> Event | None:
        """The future of the query."""
        return DeviceEvent(outputs) if self.options.events else None

    def fetch(self, outputs: Future[None]) -> Sequence[np.ndarray]:
        """Copy from the device; an incomplete answer is an error."""
        assert outputs.done()
        time.sleep(self.options.copy_s)
        return [np.zeros((1, 1), np.float32)]

    def profile(self, queries: Sequence[Any], seconds: float) -> tuple[()]:
        """Write the log; there are no kernels."""
        if self.options.log:
            np.save(self.options.log, np.array(sorted(self.log), dtype=np.int64).T)
        return ()


def install(folder: Path) -> dict[str, str]:
    """Make the plug-in a distribution in a folder.

    Returns:
        The environment in which Python finds it.
    """
    metadata = folder / "asynchronous-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: asynchronous\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[harness.engines]\nasynchronous = tests.asynchronous:Asynchronous\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])}
