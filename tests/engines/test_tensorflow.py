"""TensorFlow, in the child that makes the models: the session agrees with Keras, and refuses unsupported cases."""

from __future__ import annotations

import pytest

from harness.engines.base import Load
from harness.engines.tensorflow import Options, TensorFlow, _place
from tests.models import model_facts, models


@pytest.mark.parametrize("mode", ["graph", "xla", "eager"])
def test_outputs_are_those_of_keras(mode):
    """Traced, compiled and eager; the facts have the device of the outputs."""
    found = model_facts()["engine"][mode]
    assert found["difference"] < 1e-6
    assert found["precision"] == "float32"
    assert "CPU:0" in found["facts"]["device"]
    assert found["shape"] == [None, 8, 8, 1]


def test_several_inputs_and_outputs_keep_their_order():
    """As in the Keras model."""
    assert max(model_facts()["engine"]["two"]) < 1e-6


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpu", "sees no GPU"),
        ("fixed", "fixed shape (2, 4)"),
        ("eager_xla", "XLA compiles graphs"),
        ("tf32", "tf32 has no effect on the CPU"),
        ("inter_op", "more cores than the 1 of the case"),
    ],
)
def test_unsupported_cases_are_refused(name, words):
    """A refusal with its reason, not a failure."""
    sentence, refused = model_facts()["engine"][f"refusal_{name}"]
    assert words in sentence and refused


@pytest.mark.parametrize("mode", ["graph", "eager"])
def test_every_operator_is_placed(mode):
    """By the partitions that TensorFlow executes, not by the device of an output: those without a place on the GPU are counted and named."""
    report = model_facts()["placements"][mode]
    assert report["placement"]["asked"] == "GPU" and report["placement"]["operators"]["GPU"] == 1
    elsewhere = " ".join(report["placement"]["elsewhere"])
    assert "Softmax" in elsewhere and "SelectV2" in elsewhere and "MatMul" not in elsewhere
    assert report["answers"] == [[[0.5, 0.5]] * 2] * 2


def test_a_silent_fall_back_is_refused():
    """No operator ran on the GPU."""
    sentence, refused = model_facts()["placements"]["nothing"]
    assert "no operator of the model runs on GPU (1 on CPU)" in sentence and refused


def test_tf32_is_off_unless_it_is_requested():
    """TensorFlow's own default is on, which would make every float32 baseline TensorFloat-32."""
    assert model_facts()["placements"]["tf32"] == ["float32", "tf32"]


@pytest.mark.parametrize(
    ("name", "place"), [("/job:localhost/replica:0/task:0/device:GPU:0", "GPU"), ("/device:CPU:1", "CPU"), ("", "unknown")]
)
def test_kind_of_a_device(name, place):
    """From its full name."""
    assert _place(name) == place


@pytest.mark.parametrize(("capability", "warns"), [("9.0", False), ("8.9", False), ("10.0", True), ("12.0", True), (None, False)])
def test_a_card_newer_than_the_wheels_is_a_warning(capability, warns):
    """Its kernels are compiled at the first query: not refused, but named before it."""
    problem = TensorFlow.examine_card({"name": "NVIDIA B200", "compute_capability": capability})
    assert (problem is not None) is warns
    if problem:
        assert "no code for compute capability" in problem.what and "timeout_s" in problem.hint and not problem.refused


@pytest.mark.parametrize(("device", "hidden"), [("cpu", "-1"), ("gpu", None)])
def test_the_environment_bounds_threads_and_hides_the_gpu(device, hidden):
    """Set before the library is imported."""
    variables = TensorFlow.environment(Load(models() / "small.keras", "keras", device, 1, 3, Options()))
    assert variables["TF_NUM_INTRAOP_THREADS"] == "3"
    assert variables["TF_NUM_INTEROP_THREADS"] == "1"
    pools = TensorFlow.environment(Load(models() / "small.keras", "keras", device, 1, 3, Options(inter_op=2)))
    assert (pools["TF_NUM_INTRAOP_THREADS"], pools["TF_NUM_INTEROP_THREADS"]) == ("2", "2")
    assert variables.get("CUDA_VISIBLE_DEVICES") == hidden
