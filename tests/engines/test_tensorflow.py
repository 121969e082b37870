"""TensorFlow, in the child that makes the models: the session agrees with Keras, and refuses unsupported cases."""

from __future__ import annotations

import pytest

from harness.engines.base import Load
from harness.engines.tensorflow import Options, TensorFlow, _checked_device
from harness.errors import EngineError
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
        ("inter_op", "more cores than the 1 of the case"),
    ],
)
def test_unsupported_cases_are_refused(name, words):
    """A refusal with its reason, not a failure."""
    sentence, refused = model_facts()["engine"][f"refusal_{name}"]
    assert words in sentence and refused


def test_a_silent_fall_back_is_an_error():
    """An output on the CPU in a case for the GPU."""
    assert "GPU:0" in _checked_device("/job:localhost/replica:0/task:0/device:GPU:0", "gpu")
    with pytest.raises(EngineError, match=r"computed on .*CPU"):
        _checked_device("/job:localhost/replica:0/task:0/device:CPU:0", "gpu")


@pytest.mark.parametrize(("device", "hidden"), [("cpu", "-1"), ("gpu", None)])
def test_the_environment_bounds_threads_and_hides_the_gpu(device, hidden):
    """Set before the library is imported."""
    variables = TensorFlow.environment(Load(models() / "small.keras", "keras", device, 1, 3, Options()))
    assert variables["TF_NUM_INTRAOP_THREADS"] == "3"
    assert variables["TF_NUM_INTEROP_THREADS"] == "1"
    pools = TensorFlow.environment(Load(models() / "small.keras", "keras", device, 1, 3, Options(inter_op=2)))
    assert (pools["TF_NUM_INTRAOP_THREADS"], pools["TF_NUM_INTEROP_THREADS"]) == ("2", "2")
    assert variables.get("CUDA_VISIBLE_DEVICES") == hidden
