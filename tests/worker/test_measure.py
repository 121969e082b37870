"""The measuring child: a model is loaded, answers queries until its parent closes the window, and is scored."""

from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from harness.engines.base import Session
from harness.schema.suite import Timed
from harness.schema.worker import Close, Done, Go
from harness.worker import measure
from harness.worker.measure import grown
from harness.worker.scenario import Completions, scenario_of
from tests import asynchronous
from tests.launch import measured, on_onnx
from tests.models import models
from tests.onnx_models import save

pytestmark = pytest.mark.usefixtures("short_lead_in")


def test_a_model_that_cannot_answer_is_an_error_with_the_next_step(tmp_path):
    """The file, the reason and what to check, without a traceback."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 4])], [("y", "Reshape", ["x", "s"])], s=np.array([7, -1]))
    outcome = on_onnx(path, tmp_path, {"x": np.ones((2, 4), np.float32)})
    assert outcome.record.status == "failed" and "Traceback" not in str(outcome.record.stderr_tail)
    assert "model.onnx cannot be read as a model that answers its first query" in outcome.record.reason
    assert "check `data.test`" in outcome.record.reason


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_models_resident_size_is_measured(tmp_path):
    """At least the 32 MiB of weights, without the 80 MB of data."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 2048])], [("y", "MatMul", ["x", "w"])], w=np.ones((2048, 4096), np.float32))
    record = on_onnx(path, tmp_path, {"x": np.ones((10_000, 2048), np.float32)}).record
    assert 32 * 2**20 < record.resident_bytes < 32 * 2**20 + 80 * 10**6
    assert measured()[0].record.resident_bytes < 32 * 2**20
    assert grown(100, 150, 1150, 1170) == 70
    assert grown(100, None, 5, 6) is None


def test_tflite_with_integer_inputs_and_outputs_runs():
    """An int8 model on noise."""
    record = measured(
        engine="litert", engine_options={"xnnpack": True}, artifact={"path": str(models() / "int8.tflite"), "format": "tflite"}
    )[0].record
    assert record.status == "ok", record.reason
    assert record.precision_ran == "int8"


def test_memory_is_the_childs_own():
    """Not that of the process that it was forked from, which `ru_maxrss` reports."""
    ballast = np.ones(400 * 2**17)  # 400 MiB here
    record = measured()[0].record
    assert ballast.nbytes > 2 * record.peak_memory_bytes


class ParentDouble:
    """A parent that sends `Go`, and `Close` at the next receive: its window ends after the last query."""

    def __init__(self) -> None:
        self.closing, self.sent, self.until_s = threading.Event(), [], 0.0
        self.closing.set()

    def receive(self):
        """`Go`, then `Close`."""
        if not self.sent:
            return Go()
        self.until_s = time.monotonic()
        return Close(until_s=self.until_s)

    def send_mark(self, name):
        """Keep it."""
        self.sent.append(name)

    def send(self, message):
        """Keep it."""
        self.sent.append(message)


@pytest.mark.parametrize("scenario", ["single_stream", "offline"])
def test_completions_extend_beyond_both_edges_of_the_window(scenario):
    """The parent may open its window after the first; if the last ended before the window, one more follows."""
    parent = ParentDouble()
    completions = measure.answer_queries(parent, SimpleNamespace(run=parent.sent.append, synchronize=lambda: None), [["query"]], scenario)
    assert parent.sent[:3] == ["warmup", ["query"], "go"]
    assert completions.end_ns[-1] * 1e-9 >= parent.until_s > 0
    assert parent.sent[-1] == Done(n=sum(completions.count))


def on_device(tmp_path, **task):
    """(record, submission and completion of each query, start and end of each on the device), of an engine that computes asynchronously."""
    options = {"log": str(tmp_path / "log.npy"), **task.pop("options", {})}
    environment = asynchronous.install(tmp_path)
    outcome, _ = measured(environment, engine="asynchronous", engine_options={"query_s": 0.002, "copy_s": 0.001, **options}, **task)
    assert outcome.record.status == "ok", outcome.record.reason
    queries = int(outcome.completions[2].sum())
    return outcome.record, outcome.completions, np.load(tmp_path / "log.npy")[:, -queries:]


@pytest.mark.parametrize(("device", "copies"), [("cpu", "outside"), ("gpu", "inside")])
def test_a_latency_covers_the_computation_of_an_asynchronous_engine(tmp_path, device, copies):
    """Each query from its submission until after its last instruction on the device, with both copies or without."""
    record, (start, end, _), (begun, ended) = on_device(tmp_path, device=device, copies=copies)
    copy_ns = 1_000_000 if copies == "inside" else 0
    assert (start + copy_ns <= begun).all() and (ended + copy_ns <= end).all()
    assert (begun[1:] >= end[:-1]).all()
    assert (record.copies, record.in_flight) == (copies, 1)
    assert record.latency.p50_s >= ((ended - begun).min() + 2 * copy_ns) * 1e-9


def test_an_offline_chunk_of_a_shifted_load_covers_its_computations(tmp_path, monkeypatch):
    """As many queries as it counts, one at a time."""
    monkeypatch.setattr("harness.run.timing.Timing.shift_s", 0.05)
    _, (start, end, count), (begun, ended) = on_device(tmp_path, scenario="offline", options={"query_s": 0.0})
    last = np.cumsum(count)
    assert (start <= begun[last - count]).all() and (ended[last - 1] <= end).all()
    assert (begun[1:] >= ended[:-1]).all()


@pytest.mark.parametrize(
    ("options", "copies"), [({"lanes": 4, "query_s": 0.02}, "inside"), ({"events": False}, "outside")], ids=["lanes", "no events"]
)
def test_queries_in_flight_are_counted_when_complete(tmp_path, options, copies):
    """Up to four at a time, by the device's own log too."""
    record, (start, end, count), (begun, ended) = on_device(tmp_path, scenario="offline", in_flight=4, copies=copies, options=options)
    assert (count == 1).all() and (start <= begun).all() and (ended <= end).all()
    assert 1 < max(((start <= t) & (end > t)).sum() for t in start) <= 4
    window = next(phase for phase in record.phases if phase.name == "steady")
    done = ((end * 1e-9 > window.start_s) & (end * 1e-9 <= window.end_s)).sum()
    assert record.in_flight == 4 and abs(record.inferences - done) <= 4


@pytest.mark.parametrize(
    ("timed", "calls"),
    [
        ({"copies": "outside"}, ["stage", "synchronize", "run", "synchronize"]),
        ({"copies": "inside"}, ["stage", "run", "synchronize", "fetch"]),
        ({"copies": "outside", "in_flight": 2}, ["stage", "synchronize", "run", "event", "synchronize"]),
        ({"copies": "inside", "in_flight": 2}, ["stage", "run", "event", "synchronize", "fetch"]),
    ],
)
def test_the_copies_are_timed_or_made_before(timed, calls):
    """Inputs are staged once, and complete, before anything is timed; an answer that is not timed is not fetched."""
    log: list[str] = []

    class Logged(Session):
        inputs = outputs = ()

        def run(self, inputs):
            log.append("run")

    for name in ("stage", "synchronize", "event", "fetch"):
        setattr(Logged, name, lambda self, *_, name=name: log.append(name))
    runnable, queries = measure.timed_calls(Logged(), [["query"]], Timed(device="gpu", **timed))
    scenario_of("offline", timed.get("in_flight", 1))(runnable, iter(queries), lambda: True, Completions())
    assert log == calls
