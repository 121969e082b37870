"""Scores of the test samples, and the outputs that are kept for other variants."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy import performance
from harness.engines.base import Tensor
from harness.errors import EngineError
from harness.schema.worker import Scores
from harness.worker import scoring
from harness.worker.scoring import choose_output, decoded
from harness.workloads.metrics import METRICS
from tests.launch import on_onnx
from tests.onnx_models import save
from tests.tasks import child_task

VECTOR = Tensor("x", (None, 3), np.dtype(np.float32))
pytestmark = pytest.mark.usefixtures("short_lead_in")


def test_inputs_are_matched_by_name_and_the_output_by_its_shape(tmp_path):
    """Arrays in another order than the inputs; the second output has classes; the padding of the last batch is removed."""
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


def test_inputs_without_labels_are_answered_where_kernels_are_requested(tmp_path):
    """In the phase `quality`, in order and without padding; there is no quality. Another launch answers none."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Neg", ["x"])])
    x = np.random.default_rng(1).random((10, 3), dtype=np.float32)
    outcome = on_onnx(path, tmp_path, {"x": x}, batch_size=4)
    assert outcome.record.quality is None
    assert np.array_equal(outcome.outputs, -x)
    assert "quality" in [phase.name for phase in outcome.record.phases]
    assert on_onnx(path, tmp_path, {"x": x}, batch_size=4, profiled=False).outputs.size == 0


def test_noise_is_answered_without_data(tmp_path):
    """64 different samples; none if every sample would be zeros."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Neg", ["x"])])
    outputs = on_onnx(path, tmp_path, {}, batch_size=4).outputs
    assert len(np.unique(outputs, axis=0)) == 64
    path = save(tmp_path, [("x", "INT64", ["n", 3])], [("y", "Neg", ["x"])])
    assert on_onnx(path, tmp_path, {}).outputs.size == 0


def test_only_the_outputs_that_fit_are_kept(tmp_path, monkeypatch):
    """The first ones; text is not kept, nor a single sample that is too large."""
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
    """Boxes, maps and masks are skipped; a class number, a row without its batch and a scalar are accepted."""
    tensors = [Tensor(f"o{i}", (), np.dtype(np.float32)) for i in range(len(outputs))]
    assert choose_output(tensors, outputs, "accuracy", METRICS["accuracy"], labels, 1) == chosen


def test_a_detector_is_refused():
    """Boxes with a score and a class each, as in the usual exports."""
    outputs = [np.zeros((1, 100, 4), np.float32), np.zeros((1, 100), np.float32), np.zeros((1, 100), np.int64)]
    tensors = [Tensor(name, (), np.dtype(np.float32)) for name in ("boxes", "scores", "classes")]
    with pytest.raises(EngineError, match=r"boxes") as caught:
        choose_output(tensors, outputs, "accuracy", METRICS["accuracy"], np.arange(10), 1)
    assert caught.value.refused and "metric: null" in caught.value.hint
    square = [np.zeros((4, 4), np.float32)]  # four classes in a batch of four are not boxes
    assert choose_output(tensors[:1], square, "accuracy", METRICS["accuracy"], np.arange(4), 4) == 0


def test_scores_that_are_shares_have_no_interval_of_a_proportion():
    """Even if all of them are 1."""
    right = np.ones(30)
    scored = Scores(metric="pixel_accuracy", direction="higher")
    assert performance.quality(scored, right).low is None
    assert performance.quality(scored.model_copy(update={"metric": "accuracy"}), right).low is not None


def test_outputs_are_copied_and_have_a_row_for_each_sample():
    """An engine may reuse its buffers."""
    buffer = np.zeros((2, 3), np.float32)
    kept = decoded(VECTOR, buffer, 2)
    buffer += 1
    assert not kept.any()
    with pytest.raises(EngineError, match="row for each of 2"):
        decoded(VECTOR, np.zeros((3, 3)), 2)
