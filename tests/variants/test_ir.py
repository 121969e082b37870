"""OpenVINO's converters: what cannot be converted is a sentence, and nobody outside is told of what is."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from harness.engines.base import Load
from harness.engines.openvino import OpenVino
from harness.errors import EngineError
from harness.schema import Training
from harness.variants.base import Job, TrainData
from harness.variants.ir import ToIr
from harness.variants.quantize import CalibrationOptions, Int8
from harness.variants.weights import WeightInt4, WeightInt8
from tests.make_models import SAMPLES
from tests.models import models
from tests.onnx_models import save


def test_no_usage_data_are_collected(tmp_path):
    """Converting and quantizing leave no trace of Intel's telemetry in the home of who runs it."""
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


def test_what_cannot_be_converted_is_a_sentence(tmp_path):
    """An operator nobody has; training data of another shape."""
    nonsense = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Nonsense", ["x"])])
    with pytest.raises(EngineError, match=r"cannot be converted to OpenVINO.*"):
        ToIr().apply(Job(nonsense, "onnx", "ir", tmp_path))
    data = TrainData([np.ones((9, 5), np.float32)])
    with pytest.raises(EngineError, match=r"takes samples of shape"):
        Int8().apply(Job(models() / "small.ir", "ir", "ir", tmp_path, CalibrationOptions(), data, Training()))


def test_inputs_keep_the_names_of_the_file(tmp_path):
    """OpenVINO gives an input the names of what an Identity makes of it as well; data are found by the file's."""
    nodes = [("a", "Identity", ["x"]), ("b", "Identity", ["x"]), ("y", "Add", ["a", "b"])]
    made, _ = ToIr().apply(Job(save(tmp_path, [("x", "FLOAT", ["n", 3])], nodes, outputs=["y"]), "onnx", "ir", tmp_path))
    engine = OpenVino()
    assert [tensor.name for tensor in engine.open(Load(made, "ir", "cpu", 1, 1, engine.spec.parameters())).inputs] == ["x"]


@pytest.mark.filterwarnings("ignore")  # NNCF and OpenVINO warn of each other
@pytest.mark.parametrize(("recipe", "share", "tolerance"), [(WeightInt8, 0.4, 0.01), (WeightInt4, 0.3, 0.05)])
def test_weights_alone_are_made_small(tmp_path, recipe, share, tolerance):
    """Those of the convolution too; OpenVINO answers nearly the same."""
    made, facts = recipe().apply(Job(models() / "small.ir", "ir", "ir", tmp_path))
    assert (made / "model.bin").stat().st_size < share * (models() / "small.ir" / "model.bin").stat().st_size
    assert facts.nonzero_parameters and facts.nonzero_parameters > 0.8 * 2200
    engine = OpenVino()
    session = engine.open(Load(made, "ir", "cpu", 32, 1, engine.spec.parameters()))
    (found,) = session.run([SAMPLES[:32]])
    assert np.allclose(found, np.load(models() / "small.npy")[:32], atol=tolerance)
