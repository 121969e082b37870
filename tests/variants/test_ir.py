"""Conversion to OpenVINO, and to its float16 and int8; no telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness import plugins
from harness.engines.base import Load
from harness.engines.openvino import OpenVino
from harness.errors import EngineError
from harness.schema import Training
from harness.variants.base import Job, TrainData
from harness.variants.ir import TfliteToIr, ToIr
from harness.variants.quantize import CalibrationOptions, Int8
from tests.make_models import SAMPLES
from tests.models import models, workload_facts
from tests.onnx_models import save


def test_no_telemetry(tmp_path):
    """Converting and quantizing leave no trace of Intel's telemetry in the user's home."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 8])], [("y", "MatMul", ["x", "w"])], w=np.ones((8, 4), np.float32))
    code = f"""
from pathlib import Path
import numpy as np
from harness.variants.base import Job, TrainData
from harness.variants.ir import ToIr
from harness.variants.quantize import CalibrationOptions, Int8
made, _ = ToIr().apply(Job(Path({str(path)!r}), "onnx", "ir", Path({str(tmp_path)!r})))
folder = Path({str(tmp_path / "int8")!r})
folder.mkdir()
Int8().apply(Job(made, "ir", "ir", folder, CalibrationOptions(), TrainData([np.ones((9, 8), np.float32)])))
"""
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "int8" / "ir" / "model.xml").exists()
    assert not (tmp_path / "intel").exists()


def test_a_failed_conversion_is_reported(tmp_path):
    """An operator that does not exist; training data of another shape."""
    nonsense = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Nonsense", ["x"])])
    with pytest.raises(EngineError, match=r"cannot be converted to OpenVINO.*"):
        ToIr().apply(Job(nonsense, "onnx", "ir", tmp_path))
    data = TrainData([np.ones((9, 5), np.float32)])
    with pytest.raises(EngineError, match=r"takes samples of shape"):
        Int8().apply(Job(models() / "small.ir", "ir", "ir", tmp_path, CalibrationOptions(), data, Training()))


def test_inputs_keep_the_names_of_the_file(tmp_path):
    """OpenVINO adds the name of an Identity after an input; data are matched by the name in the file."""
    nodes = [("a", "Identity", ["x"]), ("b", "Identity", ["x"]), ("y", "Add", ["a", "b"])]
    made, _ = ToIr().apply(Job(save(tmp_path, [("x", "FLOAT", ["n", 3])], nodes, outputs=["y"]), "onnx", "ir", tmp_path))
    engine = OpenVino()
    assert [tensor.name for tensor in engine.open(Load(made, "ir", "cpu", 1, 1, engine.spec.parameters())).inputs] == ["x"]


@pytest.mark.slow
def test_a_sequential_model_runs_on_openvino():
    """OpenVINO's front end finds no input in a loaded one; answers and counts are those of the model."""
    made, data, engine = workload_facts()["constants"]["ir"], np.load(models() / "constants.npz"), plugins.load("engines", "openvino")
    session = engine().open(Load(Path(made["path"]), "ir", "cpu", 6, 1, engine.spec.parameters()))
    assert [tensor.name for tensor in session.inputs] == ["image"]
    assert np.allclose(session.run([data["x"]])[0], data["y"], atol=1e-5)
    assert made["facts"]["macs"] == 4 * 4 * 3 * 2


def test_a_tflite_answers_as_before(tmp_path):
    """Also with another batch; its input keeps its name."""
    made, facts = TfliteToIr().apply(Job(models() / "small.tflite", "tflite", "ir", tmp_path))
    session = OpenVino().open(Load(made, "ir", "cpu", 4, 1, OpenVino.spec.parameters()))
    assert np.allclose(session.answer([SAMPLES[:4]])[0], np.load(models() / "small.npy")[:4], atol=1e-5)
    assert facts.nonzero_parameters


def test_another_graph_than_the_measured_one_is_refused(tmp_path, monkeypatch):
    """OpenVINO converts the first of several."""
    monkeypatch.setattr("harness.variants.ir.model_inputs", lambda path, format_: [SimpleNamespace(name="other")])
    with pytest.raises(EngineError, match="not the measured signature") as caught:
        TfliteToIr().apply(Job(models() / "small.tflite", "tflite", "ir", tmp_path))
    assert caught.value.refused
