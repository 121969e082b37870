"""The TensorFlow Model Optimization Toolkit, in its own environment: what it says it did is in the files that come out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import venvs
from harness.errors import EngineError
from harness.formats.keras import load_keras
from harness.formats.tflite import precision

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("toolkit.py")
needs_toolkit = pytest.mark.skipif(not (venvs.folder("tfmot") / "bin/python").exists(), reason="make tfmot")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the toolkit's process tells."""
    folder = tmp_path_factory.mktemp("toolkit")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(SCRIPT.parents[2])}
    done = subprocess.run([venvs.python("tfmot"), str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def kernels(path):
    """Of the convolution and the dense layer of a saved Keras 3 model."""
    return [np.asarray(layer.kernel) for layer in load_keras(Path(path)).layers if hasattr(layer, "kernel")]


@needs_toolkit
def test_pruning_leaves_the_zeros_that_were_asked_for(told):
    """In the saved Keras 3 model, in each kernel, and nowhere a pruning wrapper."""
    for kernel in kernels(told["prune"]["path"]):
        assert np.mean(kernel == 0) >= 0.49
    assert told["prune"]["notes"]["steps"] == 12


@needs_toolkit
def test_a_schedule_that_the_fit_cannot_reach_is_refused(told):
    """With the number of steps that it would take."""
    refused = told["unreachable"]
    assert "2000" in refused["refused"] and "12 steps" in refused["refused"]
    assert "2001 steps" in refused["hint"] and refused["for_good"]


@needs_toolkit
def test_clustering_leaves_few_values(told):
    """No more in a kernel than clusters; with zeros preserved they stay zeros."""
    assert all(len(np.unique(kernel)) <= 4 for kernel in kernels(told["cluster"]["path"]))
    for kernel in kernels(told["cluster pruned"]["path"]):
        assert len(np.unique(kernel)) <= 4
        assert np.mean(kernel == 0) >= 0.49


@needs_toolkit
def test_more_clusters_than_weights_are_refused_by_layer(told):
    """The toolkit's own error names neither the layer nor the way out."""
    assert "conv2d" in told["too many clusters"]["refused"] and "32 clusters" in told["too many clusters"]["refused"]


@needs_toolkit
@pytest.mark.parametrize("name", ["qat", "qat preserving"])
def test_quantization_aware_training_gives_an_int8_model(told, name):
    """The file computes in int8, and counts the parameters of the model that went in."""
    assert precision(Path(told[name]["path"])) == "int8"
    assert told[name]["facts"]["parameters"] == told["prune"]["facts"]["parameters"]


@needs_toolkit
def test_a_layer_that_the_toolkit_does_not_know_is_a_sentence(told):
    """Its name, and no traceback."""
    assert "unit_normalization" in told["qat odd"]["refused"]


@needs_toolkit
def test_models_are_the_same_in_legacy_keras_or_are_refused(told):
    """Sequential, shared, nested, recurrent; what legacy Keras lacks is named."""
    graphs = told["graphs"]
    assert {graphs[name] for name in ("sequential", "shared", "recurrent")} == {"same"}
    assert "'odd'" in graphs["unknown layer"] and "RMSNormalization" in graphs["unknown layer"]
    assert "'hard'" in graphs["unknown function"]


def test_without_the_environment_the_next_step_is_told(tmp_path, monkeypatch):
    """Which folder, which command; refused, not failed."""
    monkeypatch.setenv("HARNESS_VENV_TFMOT", str(tmp_path / "none"))
    with pytest.raises(EngineError, match=r"none(.|\n)*make tfmot") as caught:
        venvs.python("tfmot")
    assert caught.value.refused
    assert venvs.versions("tfmot", ["numpy"]) == {"numpy": None}


def test_the_environment_lies_beside_ours(monkeypatch):
    """So that `make tfmot` and the harness agree without a word in the suite."""
    monkeypatch.delenv("HARNESS_VENV_TFMOT", raising=False)
    assert venvs.folder("tfmot") == Path(sys.prefix).parent / ".venv-tfmot"
