"""One task in a child of its own: engines that misbehave are records, and a record states which kernels ran."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from harness.channel import Request
from harness.engines.onnxruntime import OnnxRuntime
from harness.errors import WorkerError
from harness.run import runner, timing
from harness.run.runner import run
from harness.schema import Task
from tests.launch import context, measured, requested, rogue
from tests.onnx_models import save
from tests.rogue import install
from tests.tasks import CASE, child_task

pytestmark = pytest.mark.usefixtures("short_lead_in")


@pytest.mark.parametrize("when", ["open", "query"])
def test_a_crash_is_a_record(tmp_path, when):
    """SIGSEGV inside the engine, while it loads and inside the window."""
    record = rogue(tmp_path, "crash", when).record
    assert record.status == "failed"
    assert "SIGSEGV" in record.reason
    assert record.phases


@pytest.mark.parametrize("what", ["hang", "interrupt_proof"])
def test_a_hang_is_ended(tmp_path, what):
    """After the limit, whatever signals it ignores."""
    record = rogue(tmp_path, what, timeout_s=2.0).record
    assert record.status == "timeout" and "2 s" in record.reason


@pytest.mark.parametrize("what", ["python_memory", "native_memory"])
def test_out_of_memory_is_reported(tmp_path, what):
    """Under the memory limit of the suite, by an exception in Python or by a crash in a library."""
    record = rogue(tmp_path, what, memory_bytes=1 * 2**30).record
    assert record.status == "oom" and "memory" in record.reason


def test_a_flood_of_output_does_no_harm(tmp_path):
    """60 MB on stdout and stderr: neither the child nor the protocol is blocked."""
    assert rogue(tmp_path, "flood").record.status == "ok"


def test_a_child_that_cannot_be_started_leaves_nothing_open(tmp_path):
    """An interpreter that is not executable: an error, and no more file descriptors and threads than before."""
    (tmp_path / "python").write_text("no program")
    request = Request("harness.worker.measure", child_task(), python=(str(tmp_path / "python"),))
    before = psutil.Process().num_fds(), threading.active_count()
    with pytest.raises(WorkerError, match="could not be started: Permission denied"):
        run(Task(case=CASE), request, context())
    assert (psutil.Process().num_fds(), threading.active_count()) == before


def test_no_orphan_survives_its_parent(tmp_path):
    """SIGKILL of the parent inside the window, while the child ignores signals and pipes."""
    code = f"""
import sys
from tests.launch import measured
options = {{"what": "interrupt_proof", "when": "query"}}
measured({install(tmp_path)!r}, engine="rogue", engine_options=options, on_phase=lambda phase, pid: phase == "steady" and print(pid, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=30)  # raises if it is still alive


def test_an_interrupt_is_passed_on():
    """Ctrl-C ends the child and keeps the record."""

    def interrupt(phase, pid):
        if phase == "steady":
            raise KeyboardInterrupt

    outcome, pid = measured(on_phase=interrupt)
    assert outcome.interrupted and outcome.record.status == "killed"
    assert not psutil.pid_exists(pid)


def test_a_launch_reports_its_kernels_where_they_are_requested(tmp_path):
    """With their shares, and the precision of the largest, whatever its repetition; other launches are not profiled."""
    record = rogue(tmp_path, "nothing", "profile").record
    assert [(k.op, k.kernel, k.share) for k in record.kernels] == [("Conv", "fast", 0.75), ("Conv", "slow", 0.25)]
    assert record.precision_ran == "int8"
    for profiled in (False, True):
        environment = install(tmp_path / str(profiled))
        later, _ = measured(
            environment, 60.0, repetition=1, profiled=profiled, engine="rogue", engine_options={"what": "nothing", "when": "profile"}
        )
        assert later.record.status == "ok" and bool(later.record.kernels) == later.record.profiled == profiled


@pytest.mark.parametrize(("what", "reason"), [("error", "no counters here"), ("crash", "died in its profiler"), ("exit", "died")])
def test_a_failing_profiler_fails_no_case(tmp_path, what, reason):
    """Whatever it does, the case has been measured: the record is ok, has the reason, and its idle power before and after."""
    record = rogue(tmp_path, what, "profile").record
    assert record.status == "ok" and record.kernels == ()
    assert reason in record.engine_facts["profile_failed"]
    assert [phase.name for phase in record.phases].count("idle") == 2


def test_a_hanging_profiler_is_ended(tmp_path, monkeypatch):
    """After a time limit of its own."""
    monkeypatch.setattr(runner, "PROFILE_PATIENCE_S", 0.2)
    monkeypatch.setattr(timing, "QUERY_PATIENCE_S", 0.2)
    record = rogue(tmp_path, "hang", "profile").record
    assert record.status == "ok" and "while profiling the kernels" in record.engine_facts["profile_failed"]


def test_an_int8_that_runs_in_float_has_a_finding(tmp_path):
    """A quantized weight that is converted back before the multiplication: the record has float32, and a warning."""
    path = save(
        tmp_path,
        [("x", "FLOAT", ["n", 256])],
        [("w", "DequantizeLinear", ["q", "scale", "zero"]), ("y", "MatMul", ["x", "w"])],
        q=np.full((256, 256), 7, np.int8),
        scale=np.array(0.1, np.float32),
        zero=np.array(0, np.int8),
    )
    options = OnnxRuntime.spec.parameters(graph_optimization="basic").model_dump()
    task = {"engine": "onnxruntime", "engine_options": options, "artifact": {"path": str(path), "format": "onnx"}}
    record = requested("int8", **task)
    assert record.precision_ran == "float32"
    findings = [finding for finding in record.warnings if finding.code == "optimisation_not_run"]
    assert len(findings) == 1 and "but float32 ran" in findings[0].sentence and not findings[0].invalid
    assert not requested(None, **task).warnings


@pytest.mark.parametrize(("weights", "findings"), [(np.int8, []), (np.float32, ["optimisation_not_confirmed"])])
def test_kernels_are_checked_against_the_artifact(tmp_path, weights, findings):
    """An engine that reports int8 for a file that stores only float32 proves nothing."""
    path = save(
        tmp_path, [("x", "FLOAT", ["n", 2])], [("c", "Cast", ["w"], {"to": 1}), ("y", "MatMul", ["x", "c"])], w=np.ones((2, 2), weights)
    )
    record = requested("int8", install(tmp_path), engine="rogue", engine_options={}, artifact={"path": str(path), "format": "onnx"})
    assert record.precision_ran == "int8" and [f.code for f in record.warnings if f.code.startswith("optimisation")] == findings


def test_time_is_shared_by_both_processes():
    """The child's phases are between times of the parent."""
    began = time.monotonic()
    outcome, _ = measured()
    assert all(began <= phase.start_s <= phase.end_s <= time.monotonic() for phase in outcome.record.phases)
