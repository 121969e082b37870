"""Exporters: the converted file answers as the model, with the names of its inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.engines.base import Load
from harness.errors import EngineError
from harness.formats.inputs import positions
from tests.models import model_facts, models, workload_facts
from tests.variants.made import builds


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format_"), [("litert", "tflite"), ("onnxruntime", "onnx")])
def test_an_exported_savedmodel_answers_the_same(name, format_):
    """With data in another order, matched by name, and another size along the dynamic dimension."""
    found = workload_facts()["saved"]
    engine = plugins.load("engines", name)
    session = engine().open(Load(models() / found["paths"][format_], format_, "cpu", 4, 1, engine.spec.parameters()))
    data = np.load(models() / "pair.npz")
    given = [("zeta_In.0", data["zeta"][:4]), ("Alpha", data["alpha"][:4])]
    order = positions([tensor.name for tensor in session.inputs], [one for one, _ in given])
    answers = session.run([given[index][1] for index in order])
    scores = next(answer for answer in answers if answer.shape == (4, 3))
    assert np.allclose(scores, data["scores"][:4], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format_"), [("litert", "tflite"), ("onnxruntime", "onnx")])
def test_a_model_of_tensorflow_1_is_exported(name, format_):
    """With reference variables, and with input names that only its signature has."""
    engine = plugins.load("engines", name)
    path = models() / workload_facts()["saved"]["first"][format_]
    session = engine().open(Load(path, format_, "cpu", 2, 1, engine.spec.parameters()))
    zeta, alpha = np.ones((2, 4), np.float32), np.ones((2, 5, 2), np.float32)
    order = positions([tensor.name for tensor in session.inputs], ["zeta", "alpha"])
    (scores,) = session.run([(zeta, alpha)[index] for index in order])
    assert np.allclose(scores, zeta @ np.arange(12, dtype=np.float32).reshape(4, 3) + 10)


@pytest.mark.parametrize("name", ["small.tflite", "small.onnx"])
def test_counts_of_an_exported_model(name):
    """Parameters stay, zeros are counted in the file itself."""
    found = model_facts()["built"][name]
    assert found["nonzero_parameters"] <= found["parameters"] <= 16 * 9 + 16 + 2 * 1024 + 2
    assert found["nonzero_parameters"] > 0.97 * (16 * 9 + 2 * 1024)
    if name.endswith(".tflite"):
        assert found["macs"] == 64 * 16 * 9 + 1024 * 2


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", "litert", "onnxruntime", "openvino"])
def test_any_layer_and_input_names_work(engine):
    """Layers and inputs of an `.h5` with non-ASCII letters, spaces, a backslash, equal up to case; data are matched by name."""
    assert builds()["odd"][engine] < 1e-5


@pytest.mark.slow
def test_constants_of_a_layer_are_no_inputs_of_its_onnx_model():
    """The converter makes an input of EfficientNet's mean; the answers are those of Keras, with an exact GELU too."""
    path = Path(workload_facts()["constants"]["path"])
    engine = plugins.load("engines", "onnxruntime")
    session = engine().open(Load(path, "onnx", "cpu", 6, 1, engine.spec.parameters()))
    data = np.load(models() / "constants.npz")
    assert len(session.inputs) == 1
    assert np.allclose(session.run([data["x"]])[0], data["y"], atol=1e-5)


@pytest.mark.slow
def test_a_recurrent_layer_runs_on_litert_one_sample_at_a_time():
    """TFLite has no lists of dynamic size; the file has a fixed batch, and the answers are those of Keras."""
    engine, data = plugins.load("engines", "litert"), np.load(models() / "keras-2.npz")
    path = Path(workload_facts()["keras_2"]["tflite"])
    session = engine().open(Load(path, "tflite", "cpu", 1, 1, engine.spec.parameters()))
    assert np.allclose(session.run([data["x"][:1]])[0], data["y"][:1], atol=1e-5)
    with pytest.raises(EngineError, match="the fixed shape"):
        engine().open(Load(path, "tflite", "cpu", 4, 1, engine.spec.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format_"), [("onnxruntime", "onnx"), ("litert", "tflite")])
def test_a_model_with_a_dynamic_dimension_is_exported_and_opened(name, format_):
    """Its size is dynamic: none is tried before the data are known."""
    engine = plugins.load("engines", name)
    session = engine().open(Load(Path(workload_facts()["constants"]["open"][format_]), format_, "cpu", 1, 1, engine.spec.parameters()))
    assert session.run([np.ones((1, 12, 2), np.float32)])[0].shape == (1, 2, 2)
