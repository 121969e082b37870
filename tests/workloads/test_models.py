"""Built-in models, in a child that imports TensorFlow: trained without their test data, and those of keras.applications by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.engines.base import Load
from harness.errors import EngineError
from harness.workloads.applications import MEMBERS, Options
from tests.models import models, workload_facts

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("digits-mlp", 64 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10),
        ("keyword-spotting", 32 * 16 + 16 + 8 * 16 * 32 + 32 + 8 * 32 * 32 + 32 + 4 * 32 * 64 + 64 + 64 * 8 + 8),
        ("anomaly-detection", 64 * 64 + 64 + 64 * 8 + 8 + 8 * 64 + 64 + 64 * 64 + 64),
    ],
)
def test_training_sees_no_test_data(name, parameters):
    """It succeeds without the test file there."""
    found = workload_facts()["trained"][name]
    assert found["facts"]["parameters"] == parameters and found["facts"]["macs"] > 8000
    assert found["notes"]["epochs"] == 1 and found["notes"]["validation_loss"] > 0
    assert all(split["labels"] for split in found["splits"].values())


def test_every_model_of_keras_applications_has_a_name():
    """All that this version of Keras has."""
    assert sorted(MEMBERS) == workload_facts()["members"]


def test_an_application_brings_images_without_labels():
    """Prepared as its module says, here to -1..1; its weights are the same for one seed."""
    found = workload_facts()["application"]
    assert found["splits"]["test"] == {"inputs": [{"key": "inputs", "name": None}], "labels": False, "samples": 64}
    assert found["splits"]["train"]["labels"] is False
    assert -1 <= found["range"][0] < -0.9 and 0.9 < found["range"][1] <= 1
    assert found["same"]
    assert found["facts"]["parameters"] == 3_538_984


def test_the_users_images_take_the_models_size_and_preparation():
    """Where the suite says nothing of either."""
    found = workload_facts()["application"]["images"]
    assert found["shape"] == [1, 32, 32, 3]
    assert found["corner"] == pytest.approx([1, -1, 127 / 127.5 - 1])
    assert found["splits"] == {"test": {"inputs": [{"key": "inputs", "name": None}], "labels": True, "samples": 1}}


def test_imagenet_weights_are_of_one_size():
    """Told with the suite's line, not after a download."""
    assert Options(image_size=64).weights == "random"
    with pytest.raises(ValueError, match="leave image_size out"):
        Options(weights="imagenet", image_size=64)


def test_a_model_that_is_open_in_its_size_has_that_which_it_was_made_for():
    """Else nobody would know how large its images are."""
    assert workload_facts()["constants"]["shapes"] == {"MobileNetV3Small": [None, 224, 224, 3]}


def test_constants_of_a_layer_are_no_inputs_of_its_onnx_model():
    """As the mean of EfficientNet's normalization, which the converter takes for one; the answers are those of Keras, its exact GELU too."""
    path = Path(workload_facts()["constants"]["path"])
    engine = plugins.load("engines", "onnxruntime")
    session = engine().open(Load(path, "onnx", "cpu", 6, 1, engine.spec.parameters()))
    data = np.load(models() / "constants.npz")
    assert len(session.inputs) == 1
    assert np.allclose(session.run([data["x"]])[0], data["y"], atol=1e-5)


def test_a_sequential_model_runs_on_openvino():
    """Its front end finds no input in one that was loaded; the answers and what is counted are the model's."""
    made, data, engine = workload_facts()["constants"]["ir"], np.load(models() / "constants.npz"), plugins.load("engines", "openvino")
    session = engine().open(Load(Path(made["path"]), "ir", "cpu", 6, 1, engine.spec.parameters()))
    assert [tensor.name for tensor in session.inputs] == ["image"]
    assert np.allclose(session.run([data["x"]])[0], data["y"], atol=1e-5)
    assert made["facts"]["macs"] == 4 * 4 * 3 * 2


def test_a_recurrent_layer_runs_on_litert_one_sample_at_a_time():
    """TFLite has no lists of open sizes; the file says of which batch it is, and the answers are those of Keras."""
    engine, data = plugins.load("engines", "litert"), np.load(models() / "keras-2.npz")
    path = Path(workload_facts()["keras_2"]["tflite"])
    session = engine().open(Load(path, "tflite", "cpu", 1, 1, engine.spec.parameters()))
    assert np.allclose(session.run([data["x"][:1]])[0], data["y"][:1], atol=1e-5)
    with pytest.raises(EngineError, match="the fixed shape"):
        engine().open(Load(path, "tflite", "cpu", 4, 1, engine.spec.parameters()))


@pytest.mark.parametrize(("name", "format_"), [("onnxruntime", "onnx"), ("litert", "tflite")])
def test_a_model_that_only_long_inputs_fit_is_exported_and_opened(name, format_):
    """Its size is open: nobody tries one before the data tell it."""
    engine = plugins.load("engines", name)
    session = engine().open(Load(Path(workload_facts()["constants"]["open"][format_]), format_, "cpu", 1, 1, engine.spec.parameters()))
    assert session.run([np.ones((1, 12, 2), np.float32)])[0].shape == (1, 2, 2)
