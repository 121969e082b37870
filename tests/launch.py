"""One repetition of a case in a child of its own: of the null engine, of an engine that misbehaves, of an ONNX model."""

from __future__ import annotations

import numpy as np
import psutil

from harness.channel import Request
from harness.engines.onnxruntime import OnnxRuntime
from harness.run.runner import Outcome, RunContext, run
from harness.schema import PROFILES, Case, Limits, Record, Task
from harness.sensors.base import Sensor
from tests.rogue import install
from tests.tasks import CASE, child_task

PROFILE = PROFILES["quick"].model_copy(update={"idle_s": 0.05, "window_s": 0.1})


class PidKeeper(Sensor):
    """Reads nothing, and keeps the id of the measured process."""

    pid = None

    def open(self):
        """No domain."""
        return []

    def read(self, domain):
        """Never called."""
        raise AssertionError

    def watch(self, pid):
        """Keep the id."""
        self.pid = pid or self.pid


def context(sensor: Sensor | None = None, **limits: float) -> RunContext:
    """A run without sensors, or with one that has no domain."""
    return RunContext([(sensor, ())] if sensor else [], PROFILE, Limits(**{"timeout_s": 60.0, **limits}), "run", "environment", None)


def measured(
    environment=None, timeout_s=60.0, memory_bytes=None, on_phase=lambda phase, pid: None, repetition=0, profiled=True, **task
) -> tuple[Outcome, int]:
    """One repetition, and the id of its process."""
    keeper = PidKeeper()
    request = Request("harness.worker.measure", child_task(**task, memory_bytes=memory_bytes), environment=environment or {})
    timed = {name: value for name, value in task.items() if name in ("device", "scenario", "copies", "in_flight")}
    outcome = run(
        Task(case=Case.model_validate(CASE.model_dump(exclude={"copies"}) | timed), repetition=repetition, profiled=profiled),
        request,
        context(keeper, timeout_s=timeout_s),
        lambda phase: on_phase(phase, keeper.pid),
    )
    return outcome, keeper.pid


def requested(precision, environment=None, **task) -> Record:
    """One repetition of a case whose variant requests a precision."""
    request = Request("harness.worker.measure", child_task(**task), environment=environment or {}, precision=precision)
    return run(Task(case=CASE), request, context()).record


def rogue(tmp_path, what, when="open", **more) -> Outcome:
    """One repetition of the engine that misbehaves; its process is gone afterwards."""
    outcome, pid = measured(install(tmp_path), engine="rogue", engine_options={"what": what, "when": when}, **more)
    assert not psutil.pid_exists(pid)
    return outcome


def on_onnx(path, tmp_path, arrays, labels=None, metric=None, names=None, batch_size=1, profiled=True) -> Outcome:
    """One repetition of an ONNX model on the given arrays."""
    npz = tmp_path / "data.npz"
    np.savez(npz, **arrays, **({} if labels is None else {"labels": labels}))
    return measured(
        engine="onnxruntime",
        engine_options=OnnxRuntime.spec.parameters().model_dump(),
        artifact={"path": str(path), "format": "onnx"},
        inputs=[{"path": str(npz), "key": key, "name": (names or {}).get(key)} for key in arrays],
        labels=None if labels is None else {"path": str(npz), "key": "labels"},
        metric=metric,
        batch_size=batch_size,
        profiled=profiled,
    )[0]
