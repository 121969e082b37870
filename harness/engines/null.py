"""An engine that computes nothing for a given time: a test double, also for measuring overhead; its results are `simulated`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from harness.engines.base import Array, Engine, EngineOptions, Load, Session, Tensor
from harness.schema import EngineSpec


class Options(EngineOptions):
    """Options of the null engine."""

    query_s: float = Field(0.0, ge=0, description="duration of a query in seconds (busy-waiting)")


class Null(Engine):
    """StoredOutputs each query with zeros after `query_s`."""

    spec: ClassVar = EngineSpec(
        name="null",
        summary="computes nothing; for tests and overhead",
        formats=("*",),
        devices=("cpu", "gpu"),
        on_request=("gpu",),
        simulated=True,
        parameters=Options,
    )

    def open(self, load: Load) -> Session:
        """Return a session without loading the artifact."""
        return NullSession(load)


class NullSession(Session):
    """A session that spins."""

    def __init__(self, load: Load) -> None:
        self.inputs: Sequence[Tensor] = ()
        self.outputs = (Tensor("zeros", (load.batch_size, 1), np.dtype(np.float32)),)
        self._answer = [np.zeros((load.batch_size, 1), np.float32)]
        self._query_ns = int(load.options.query_s * 1e9)

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Spin for `query_s` and return zeros."""
        until = time.monotonic_ns() + self._query_ns
        while time.monotonic_ns() < until:
            pass
        return self._answer
