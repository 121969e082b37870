"""The measuring child, through the runner: engines that misbehave, and models of every shape, type and number of inputs and outputs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from harness.channel import Request
from harness.engines.base import Tensor
from harness.engines.onnxruntime import OnnxRuntime
from harness.errors import EngineError, WorkerError
from harness.run import runner, timing
from harness.run.runner import Outcome, RunContext, run
from harness.schema import PROFILES, Limits, Record, Task
from harness.schema.worker import ArrayFile, Close, Done, Go
from harness.sensors.base import Sensor
from harness.worker import measure, scoring
from harness.worker.inputs import fit, load_data, make_queries, sized
from harness.worker.measure import grown
from harness.worker.scoring import choose_output, decoded
from harness.workloads.metrics import METRICS
from tests.models import models
from tests.onnx_models import save
from tests.rogue import install
from tests.tasks import CASE, child_task

PROFILE = PROFILES["quick"].model_copy(update={"idle_s": 0.05, "window_s": 0.1})


@pytest.fixture(autouse=True)
def _short_lead_in(monkeypatch):
    monkeypatch.setattr(timing, "LEAD_IN_S", 0.1)


class PidKeeper(Sensor):
    """Reads nothing, and knows which process was measured."""

    pid = None

    def open(self):
        """No domain."""
        return []

    def read(self, domain):
        """Never asked."""
        raise AssertionError

    def watch(self, pid):
        """Remember."""
        self.pid = pid or self.pid


def measured(
    environment=None, timeout_s=60.0, memory_bytes=None, on_phase=lambda phase, pid: None, repetition=0, **task
) -> tuple[Outcome, int]:
    """One repetition, and the process it ran in."""
    keeper = PidKeeper()
    bench = RunContext([(keeper, ())], PROFILE, Limits(timeout_s=timeout_s), "run", "environment", None)
    order = Request("harness.worker.measure", child_task(**task, memory_bytes=memory_bytes), environment=environment or {})
    return run(Task(case=CASE, repetition=repetition), order, bench, on_phase=lambda phase: on_phase(phase, keeper.pid)), keeper.pid


def promised(precision, **task) -> Record:
    """One repetition of a case whose variant promises to run in a precision."""
    bench = RunContext([], PROFILE, Limits(timeout_s=60.0), "run", "environment", None)
    order = Request("harness.worker.measure", child_task(**task), precision=precision)
    return run(Task(case=CASE), order, bench).record


def rogue(tmp_path, what, when="open", **more) -> Outcome:
    """One repetition of the engine that misbehaves; nothing of it is left."""
    outcome, pid = measured(install(tmp_path), engine="rogue", engine_options={"what": what, "when": when}, **more)
    assert not psutil.pid_exists(pid)
    return outcome


@pytest.mark.parametrize("when", ["open", "query"])
def test_a_crash_is_a_record(tmp_path, when):
    """SIGSEGV inside the engine, while it loads and inside the window."""
    record = rogue(tmp_path, "crash", when).record
    assert record.status == "failed"
    assert "SIGSEGV" in record.reason
    assert record.phases


def test_an_exit_is_a_record(tmp_path):
    """An engine that ends the process without a word."""
    record = rogue(tmp_path, "exit").record
    assert record.status == "failed" and "exit code 7" in record.reason


@pytest.mark.parametrize("what", ["hang", "interrupt_proof"])
def test_a_hang_is_ended(tmp_path, what):
    """After the limit, whatever signals it ignores."""
    record = rogue(tmp_path, what, timeout_s=2.0).record
    assert record.status == "timeout" and "2 s" in record.reason


@pytest.mark.parametrize("what", ["python_memory", "native_memory"])
def test_memory_that_runs_out_is_told(tmp_path, what):
    """Under the ceiling of the suite, by Python's exception or by the death of a library."""
    record = rogue(tmp_path, what, memory_bytes=1 * 2**30).record
    assert record.status == "oom" and "memory" in record.reason


def test_a_flood_of_output_does_no_harm(tmp_path):
    """60 MB on stdout and stderr: the pipe never blocks the child, and the protocol is not spoilt."""
    assert rogue(tmp_path, "flood").record.status == "ok"


def test_a_killed_child_is_told():
    """SIGKILL from outside, inside the window."""
    outcome, pid = measured(on_phase=lambda phase, pid: phase == "steady" and os.kill(pid, signal.SIGKILL))
    assert outcome.record.status == "killed" and "SIGKILL" in outcome.record.reason
    assert not psutil.pid_exists(pid)


def test_a_child_that_cannot_be_started_is_told_and_nothing_is_left_open(tmp_path):
    """An interpreter that is none, or may not be run: a sentence, no file descriptor and no sampler more than before."""
    (tmp_path / "python").write_text("no program")
    bench = RunContext([], PROFILE, Limits(), "run", "environment", None)
    before = psutil.Process().num_fds(), threading.active_count()
    with pytest.raises(WorkerError, match="could not be started: Permission denied"):
        run(Task(case=CASE), Request("harness.worker.measure", child_task(), python=(str(tmp_path / "python"),)), bench)
    assert (psutil.Process().num_fds(), threading.active_count()) == before


def test_no_orphan_survives_its_parent(tmp_path):
    """SIGKILL of the parent inside the window, while the child is deaf to signals and pipes."""
    code = f"""
import sys
from tests.worker.test_measure import measured
options = {{"what": "interrupt_proof", "when": "query"}}
measured({install(tmp_path)!r}, engine="rogue", engine_options=options, on_phase=lambda phase, pid: phase == "steady" and print(pid, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=30)  # raises where it lives on


@pytest.mark.parametrize("size", [0, 5, 100, 140])
def test_what_a_child_was_writing_when_it_was_ended_costs_no_record(tmp_path, size):
    """A file that is empty or cut short is one that holds nothing."""
    path = tmp_path / "completions.npy"
    np.save(path, np.arange(30).reshape(3, 10))
    path.write_bytes(path.read_bytes()[:size])
    assert runner._load(path, (3, 0)).shape == (3, 0)


def test_an_interrupt_is_passed_on():
    """Ctrl-C ends the child, keeps the record, and tells the caller."""

    def interrupt(phase, pid):
        if phase == "steady":
            raise KeyboardInterrupt

    outcome, pid = measured(on_phase=interrupt)
    assert outcome.interrupted and outcome.record.status == "killed"
    assert not psutil.pid_exists(pid)


# --- what really ran ---------------------------------------------------------------------------------------------------


def test_the_first_repetition_tells_its_kernels(tmp_path):
    """With their shares, and the precision of the largest; the next has been spared it."""
    record = rogue(tmp_path, "nothing", "profile").record
    assert [(k.op, k.kernel, k.share) for k in record.kernels] == [("Conv", "fast", 0.75), ("Conv", "slow", 0.25)]
    assert record.precision_ran == "int8"
    again, _ = measured(install(tmp_path / "again"), repetition=1, engine="rogue", engine_options={"what": "nothing", "when": "profile"})
    assert again.record.status == "ok" and again.record.kernels == ()


@pytest.mark.parametrize(("what", "reason"), [("error", "no counters here"), ("crash", "died in its profiler"), ("exit", "died")])
def test_a_profiler_that_fails_fails_no_case(tmp_path, what, reason):
    """Whatever it does, the case has been measured: the record is ok, says why, and has its idle power before and after."""
    record = rogue(tmp_path, what, "profile").record
    assert record.status == "ok" and record.kernels == ()
    assert reason in record.engine_facts["profile_failed"]
    assert [phase.name for phase in record.phases].count("idle") == 2


def test_a_profiler_that_hangs_is_given_up(tmp_path, monkeypatch):
    """After its own patience."""
    monkeypatch.setattr(runner, "PROFILE_PATIENCE_S", 0.2)
    monkeypatch.setattr(timing, "QUERY_PATIENCE_S", 0.2)
    record = rogue(tmp_path, "hang", "profile").record
    assert record.status == "ok" and "sent nothing" in record.engine_facts["profile_failed"]


def test_an_int8_that_runs_in_float_is_told(tmp_path):
    """A quantized weight that is made float again before it is multiplied: the record says float32, and warns with the share in int8."""
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
    record = promised("int8", **task)
    assert record.precision_ran == "float32"
    told = [finding for finding in record.warnings if finding.code == "optimisation_not_run"]
    assert len(told) == 1 and "float32 ran" in told[0].sentence and not told[0].invalid
    assert not promised(None, **task).warnings


@pytest.mark.parametrize(("weights", "told"), [(np.int8, []), (np.float32, ["optimisation_not_confirmed"])])
def test_kernels_are_believed_as_far_as_the_artifact_goes(tmp_path, weights, told):
    """An engine that says int8 of a file that stores float32 alone has shown nothing."""
    path = save(
        tmp_path, [("x", "FLOAT", ["n", 2])], [("c", "Cast", ["w"], {"to": 1}), ("y", "MatMul", ["x", "c"])], w=np.ones((2, 2), weights)
    )
    bench = RunContext([], PROFILE, Limits(timeout_s=60.0), "run", "environment", None)
    task = child_task(engine="rogue", engine_options={}, artifact={"path": str(path), "format": "onnx"})
    record = run(Task(case=CASE), Request("harness.worker.measure", task, environment=install(tmp_path), precision="int8"), bench).record
    assert record.precision_ran == "int8" and [f.code for f in record.warnings if f.code.startswith("optimisation")] == told


def test_a_model_that_loads_and_cannot_answer_is_told_with_the_next_step(tmp_path):
    """No traceback: the file, the reason, what to look at."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 4])], [("y", "Reshape", ["x", "s"])], s=np.array([7, -1]))
    outcome = on_onnx(path, tmp_path, {"x": np.ones((2, 4), np.float32)})
    assert outcome.record.status == "failed" and "Traceback" not in str(outcome.record.stderr_tail)
    assert "model.onnx cannot be read as a model that answers its first query" in outcome.record.reason
    assert "look at `data.test`" in outcome.record.reason


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_models_resident_size_is_told(tmp_path):
    """32 MiB of weights are resident, whatever the engine makes of them; 80 MB of data are not counted."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 2048])], [("y", "MatMul", ["x", "w"])], w=np.ones((2048, 4096), np.float32))
    record = on_onnx(path, tmp_path, {"x": np.ones((10_000, 2048), np.float32)}).record
    assert 32 * 2**20 < record.resident_bytes < 32 * 2**20 + 80 * 10**6
    assert measured()[0].record.resident_bytes < 32 * 2**20
    assert grown(100, 150, 1150, 1170) == 70
    assert grown(100, None, 5, 6) is None


# --- models and data ---------------------------------------------------------------------------------------------------


def on_onnx(path, tmp_path, arrays, labels=None, metric=None, names=None, batch_size=1, repetition=0) -> Outcome:
    """One repetition of an ONNX model on the arrays given."""
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
        repetition=repetition,
    )[0]


def test_inputs_are_found_by_name_and_the_output_by_what_can_be_scored(tmp_path):
    """Arrays in another order than the model's inputs; the first output is no class, the second is; the last batch is filled up and cut again."""
    path = save(
        tmp_path,
        [("scores", "FLOAT", ["n", 3]), ("offset", "INT64", ["n"])],
        [("shifted", "Neg", ["offset"]), ("classes", "Softmax", ["scores"])],
    )
    rng = np.random.default_rng(1)
    scores, labels = rng.random((10, 3), dtype=np.float32), rng.integers(0, 3, 10)
    arrays = {"b": rng.integers(5, 9, (10, 1)), "a": scores}
    outcome = on_onnx(path, tmp_path, arrays, labels, "accuracy", names={"a": "scores", "b": "offset"}, batch_size=4)
    record = outcome.record
    assert record.status == "ok", record.reason
    assert record.engine_facts["scored_output"] == "classes"
    assert record.quality.value == pytest.approx(np.mean(scores.argmax(1) == labels))
    assert record.quality.samples == 10
    assert outcome.outputs.dtype == np.float32 and outcome.outputs.shape == (10, 3)
    assert outcome.outputs.argmax(1).tolist() == scores.argmax(1).tolist()


def test_inputs_without_labels_are_answered_in_the_first_repetition(tmp_path):
    """In the phase `quality`, in their order and without what filled up the last batch; no quality is claimed. A second repetition answers none."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Neg", ["x"])])
    x = np.random.default_rng(1).random((10, 3), dtype=np.float32)
    outcome = on_onnx(path, tmp_path, {"x": x}, batch_size=4)
    assert outcome.record.quality is None
    assert np.array_equal(outcome.outputs, -x)
    assert "quality" in [phase.name for phase in outcome.record.phases]
    assert on_onnx(path, tmp_path, {"x": x}, batch_size=4, repetition=1).outputs.size == 0


def test_noise_is_answered_where_there_is_no_data(tmp_path):
    """64 samples of which no two are the same; not where every sample would be zeros."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Neg", ["x"])])
    outputs = on_onnx(path, tmp_path, {}, batch_size=4).outputs
    assert len(np.unique(outputs, axis=0)) == 64
    path = save(tmp_path, [("x", "INT64", ["n", 3])], [("y", "Neg", ["x"])])
    assert on_onnx(path, tmp_path, {}).outputs.size == 0


def test_only_the_outputs_that_fit_are_kept(tmp_path, monkeypatch):
    """The first ones; text is not kept, and a sample that does not fit alone leaves none."""
    monkeypatch.setattr(scoring, "OUTPUT_BYTES", 100)
    path = tmp_path / "outputs.npy"
    scoring.keep_outputs(np.arange(40.0).reshape(20, 2), child_task(outputs_path=str(path)))
    assert np.load(path).tolist() == np.arange(24.0).reshape(12, 2).tolist()
    scoring.keep_outputs(np.arange(5) > 2, child_task(outputs_path=str(path)))
    assert np.load(path).dtype == np.int64
    scoring.keep_outputs(np.zeros((2, 50)), child_task(outputs_path=str(path)))
    assert np.load(path).size == 0
    path.unlink()
    scoring.keep_outputs(np.array(["a"]), child_task(outputs_path=str(path)))
    assert not path.exists()


def test_strings_bools_scalars_and_states(tmp_path):
    """What only a batch of 1 can take: each sample is a whole value; no labels, no quality."""
    inputs = [("words", "STRING", ["n"]), ("mask", "BOOL", [1, 2]), ("rate", "INT64", []), ("state", "FLOAT", [2, "n", 3])]
    path = save(tmp_path, inputs, [(f"y{i}", "Identity", [name]) for i, (name, _, _) in enumerate(inputs)])
    arrays = {
        "words": np.array(["a", "bc"]),
        "mask": np.ones((2, 2), bool),
        "rate": np.array([8, 16]),
        "state": np.zeros((2, 2, 1, 3), np.float32),
    }
    record = on_onnx(path, tmp_path, arrays).record
    assert record.status == "ok", record.reason
    assert record.quality is None


@pytest.mark.parametrize(
    ("arrays", "labels", "words"),
    [
        ({"x": np.zeros((4, 3, 5), np.float32)}, None, "wants samples of shape (5, 3)"),
        ({"x": np.zeros((4, 5, 3)), "z": np.zeros(4)}, None, "1 inputs (x), the data 2"),
        ({"x": np.zeros((0, 5, 3))}, None, "first axis is the sample"),
        ({"x": np.array([["text"]])}, None, "wants samples"),
        ({"x": np.zeros((4, 5, 3))}, np.zeros(3), "labels of shape (3,) for 4 samples"),
        ({"x": np.zeros((4, 5, 3))}, np.zeros(4), "accuracy cannot be measured"),
    ],
)
def test_data_that_do_not_fit_are_a_sentence(tmp_path, arrays, labels, words):
    """Before anything is measured, and not again in the next repetition: a refusal."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 5, 3])], [("y", "Relu", ["x"])])
    record = on_onnx(path, tmp_path, arrays, labels, "accuracy").record
    assert record.status == "refused" and words in record.reason and "Traceback" not in record.reason
    assert record.latency is None


def test_tflite_with_integer_ends_runs():
    """The digits of an int8 model with noise for data."""
    record = measured(
        engine="litert", engine_options={"xnnpack": True}, artifact={"path": str(models() / "int8.tflite"), "format": "tflite"}
    )[0].record
    assert record.status == "ok", record.reason
    assert record.precision_ran == "int8"


def test_memory_is_the_childs_own():
    """Not that of the process it was forked from, which `ru_maxrss` would give."""
    ballast = np.ones(400 * 2**17)  # 400 MiB here
    record = measured()[0].record
    assert ballast.nbytes > 2 * record.peak_memory_bytes


FLOAT = Tensor("x", (None, 4, 1), np.dtype(np.float32))
BYTE = Tensor("q", (None, 2), np.dtype(np.int8), scale=0.5, zero_point=-3)


@pytest.mark.parametrize(
    ("have", "fits"), [((4, 1), True), ((4,), True), ((1, 4), True), ((4, 1, 1), True), ((2, 2), False), ((4, 2), False), ((5,), False)]
)
def test_only_axes_of_one_are_mended(have, fits):
    """A reshape that would move numbers is refused, for the axes may be in another order."""
    data = np.arange(3 * np.prod(have), dtype=np.float32).reshape(3, *have)
    if fits:
        assert np.array_equal(fit(FLOAT, data, 1).ravel(), data.ravel())
    else:
        with pytest.raises(EngineError, match="wants samples"):
            fit(FLOAT, data, 1)


def test_quantized_ends_are_encoded_and_decoded():
    """Real values by scale and zero point, clipped; values of the tensor's own type pass as they are."""
    assert BYTE.encode(np.array([[0.0, 1.0]], np.float32)).tolist() == [[-3, -1]]
    assert BYTE.encode(np.array([[1000, -1000]])).tolist() == [[127, -128]]
    assert BYTE.encode(np.array([[5, 6]], np.int8)).tolist() == [[5, 6]]
    assert BYTE.decode(np.array([[-3, -1]], np.int8)).tolist() == [[0.0, 1.0]]


def test_fractions_are_not_cut_off():
    """Probabilities for an input of token ids are a mistake, whole floats are not."""
    ids = Tensor("ids", (None, 2), np.dtype(np.int64))
    assert fit(ids, np.array([[1.0, 2.0]]), 1).shape == (1, 2)
    with pytest.raises(EngineError, match="int64"):
        fit(ids, np.array([[0.5, 2.0]]), 1)


def test_an_open_shape_wants_data():
    """Noise has no size of its own."""
    with pytest.raises(EngineError, match=r"\[\?\] a sample\n.*input_shapes: {x: \[128\]}"):
        make_queries([Tensor("x", (None, None), np.dtype(np.float32))], [], 1)


def test_the_suite_gives_dynamic_inputs_their_size():
    """Without the batch; of an input that has none, whole. The noise has that size, and the names may be TensorFlow's."""
    image = Tensor("serving_default_x:0", (None, 3, None, None), np.dtype(np.float32))
    state = Tensor("state", (2, None, 4), np.dtype(np.float32))
    inputs = sized([image, state], {"x": [3, 8, 6], "state": [2, 1, 4]}, 1)
    assert [array.shape for array in make_queries(inputs, [], 1)[0]] == [(1, 3, 8, 6), (2, 1, 4)]
    assert make_queries(sized([image], {"x": [3, 8, 6]}, 5), [], 5)[0][0].shape == (5, 3, 8, 6)
    for shapes in ({"y": [3, 8, 6]}, {"x": [4, 8, 6]}, {"x": [1, 3, 8, 6]}):
        with pytest.raises(EngineError, match="input_shapes") as caught:
            sized([image], shapes, 1)
        assert caught.value.refused


BINARY = [("x", "FLOAT", ["n", 3])]
WEIGHT = {"w": np.array([[1.0], [-1.0], [0.5]], np.float32)}
SAMPLES = np.random.default_rng(8).normal(size=(40, 3)).astype(np.float32)
TRUTH = (SAMPLES @ WEIGHT["w"])[:, 0] > 0


@pytest.mark.parametrize(
    ("nodes", "labels", "threshold", "source"),
    [
        ([("y", "MatMul", ["x", "w"])], TRUTH.astype(int), 0.0, "logit"),
        ([("y", "MatMul", ["x", "w"])], 2 * TRUTH.astype(int) - 1, 0.0, "logit"),
        ([("z", "MatMul", ["x", "w"]), ("y", "Sigmoid", ["z"])], TRUTH, 0.5, "probability"),
    ],
    ids=["logits", "signed-labels", "sigmoid"],
)
def test_a_binary_head_is_cut_where_its_last_operator_says(tmp_path, nodes, labels, threshold, source):
    """Every sample is right, and the record says why the threshold is what it is."""
    path = save(tmp_path, BINARY, nodes, outputs=["y"], **WEIGHT)
    quality = on_onnx(path, tmp_path, {"x": SAMPLES}, labels, "accuracy").record.quality
    assert (quality.value, quality.threshold, quality.threshold_from, quality.ties) == (1.0, threshold, source, 0)


def test_a_head_that_is_not_known_is_refused_with_the_line_to_add(tmp_path):
    """Before anything is measured; with the line it is scored."""
    path = save(tmp_path, BINARY, [("z", "MatMul", ["x", "w"]), ("y", "Elu", ["z"])], outputs=["y"], **WEIGHT)
    record = on_onnx(path, tmp_path, {"x": SAMPLES}, TRUTH, "accuracy").record
    assert record.status == "refused" and "metric: {name: accuracy, threshold: 0.5}" in record.reason and record.latency is None


def test_a_name_that_is_no_input_is_refused(tmp_path):
    """With the names there are."""
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 4)))
    with pytest.raises(EngineError, match="inputs are x"):
        load_data([FLOAT], [ArrayFile(path=str(tmp_path / "d.npz"), key="x", name="y")], 1)


@pytest.mark.parametrize(
    ("outputs", "labels", "chosen"),
    [
        ([np.zeros((1, 4)), np.zeros((1, 10))], np.arange(10), 1),
        ([[{0: 0.5}], np.zeros((1, 10))], np.arange(10), 1),
        ([np.array([3]), np.zeros((1, 4))], np.arange(10), 0),
        ([np.array([3]), np.zeros((1, 10))], np.arange(10), 1),
        ([np.zeros((1, 8, 8, 10)), np.zeros(10)], np.arange(10), 1),
        ([np.array(3)], np.arange(10), 0),
    ],
)
def test_the_scored_output(outputs, labels, chosen):
    """Boxes, maps and masks are passed over; a class number, a row without its batch and a scalar are taken."""
    tensors = [Tensor(f"o{i}", (), np.dtype(np.float32)) for i in range(len(outputs))]
    assert choose_output(tensors, outputs, "accuracy", METRICS["accuracy"], labels, 1) == chosen


def test_a_detector_has_no_classes_to_compare():
    """Boxes with a score and a class each, as the usual exports give them; the number of boxes in a batch of one is none either."""
    outputs = [np.zeros((1, 100, 4), np.float32), np.zeros((1, 100), np.float32), np.zeros((1, 100), np.int64)]
    tensors = [Tensor(name, (), np.dtype(np.float32)) for name in ("boxes", "scores", "classes")]
    with pytest.raises(EngineError, match=r"boxes") as caught:
        choose_output(tensors, outputs, "accuracy", METRICS["accuracy"], np.arange(10), 1)
    assert caught.value.refused and "metric: null" in caught.value.hint
    square = [np.zeros((4, 4), np.float32)]  # four classes in a batch of four are no boxes
    assert choose_output(tensors[:1], square, "accuracy", METRICS["accuracy"], np.arange(4), 4) == 0


def test_outputs_are_copied_and_have_a_row_for_each_sample():
    """An engine may use its buffers again."""
    buffer = np.zeros((2, 3), np.float32)
    kept = decoded(FLOAT, buffer, 2)
    buffer += 1
    assert not kept.any()
    with pytest.raises(EngineError, match="row for each of 2"):
        decoded(FLOAT, np.zeros((3, 3)), 2)


def test_time_is_shared_by_both_processes():
    """The child's marks lie between the parent's own times."""
    began = time.monotonic()
    outcome, _ = measured()
    assert all(began <= phase.start_s <= phase.end_s <= time.monotonic() for phase in outcome.record.phases)


class Talk:
    """A parent that says go, and close as soon as it is listened to again: its window ended after the last query."""

    def __init__(self) -> None:
        self.closing, self.said, self.until_s = threading.Event(), [], 0.0
        self.closing.set()

    def receive(self):
        """Go, then close."""
        if not self.said:
            return Go()
        self.until_s = time.monotonic()
        return Close(until_s=self.until_s)

    def send_mark(self, name):
        """Note it."""
        self.said.append(name)

    def send(self, message):
        """Note it."""
        self.said.append(message)


@pytest.mark.parametrize("scenario", ["single_stream", "offline"])
def test_completions_reach_over_both_edges_of_the_window(scenario):
    """The parent is told to open its window after the first; where the last ended before the window did, one more follows."""
    talk = Talk()
    completions = measure.answer(talk, SimpleNamespace(run=talk.said.append, synchronize=lambda: None), [["query"]], scenario)
    assert talk.said[:3] == ["warmup", ["query"], "go"]
    assert completions.end_ns[-1] * 1e-9 >= talk.until_s > 0
    assert talk.said[-1] == Done(n=sum(completions.count))
