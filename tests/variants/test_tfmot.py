"""The TensorFlow Model Optimization Toolkit, in its own environment: its changes are in the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import venvs
from harness.errors import EngineError
from harness.formats.keras import load_keras
from harness.formats.tflite import precision
from harness.variants.tfmot import PruneLowMagnitude
from tests.variants.made import toolkit

pytestmark = pytest.mark.slow

needs_toolkit = pytest.mark.skipif(not (venvs.folder("tfmot") / "bin/python").exists(), reason="make tfmot")


def kernels(path):
    """The kernels of a saved Keras 3 model."""
    return [np.asarray(layer.kernel) for layer in load_keras(Path(path)).layers if hasattr(layer, "kernel")]


@needs_toolkit
def test_pruning_leaves_the_requested_zeros():
    """In each kernel of the saved Keras 3 model, without pruning wrappers."""
    for kernel in kernels(toolkit()["prune"]["path"]):
        assert np.mean(kernel == 0) >= 0.49
    assert toolkit()["prune"]["notes"]["steps"] == 12


@needs_toolkit
def test_a_schedule_that_the_fit_cannot_reach_is_refused():
    """With the number of steps it needs."""
    refused = toolkit()["unreachable"]
    assert "2000" in refused["refused"] and "12 steps" in refused["refused"]
    assert "2001 steps" in refused["hint"] and refused["for_good"]


@needs_toolkit
def test_clustering_leaves_few_values():
    """At most as many values in a kernel as clusters; preserved zeros stay zeros."""
    assert all(len(np.unique(kernel)) <= 4 for kernel in kernels(toolkit()["cluster"]["path"]))
    for kernel in kernels(toolkit()["cluster pruned"]["path"]):
        assert len(np.unique(kernel)) <= 4
        assert np.mean(kernel == 0) >= 0.49


@needs_toolkit
def test_more_clusters_than_weights_are_refused_by_layer():
    """With the layer, which the toolkit's own error does not name."""
    assert "conv2d" in toolkit()["too many clusters"]["refused"] and "32 clusters" in toolkit()["too many clusters"]["refused"]


@needs_toolkit
@pytest.mark.parametrize("name", ["qat", "qat preserving"])
def test_quantization_aware_training_gives_an_int8_model(name):
    """The file computes in int8; parameters are those of the original model."""
    assert precision(Path(toolkit()[name]["path"])) == "int8"
    assert toolkit()[name]["facts"]["parameters"] == toolkit()["prune"]["facts"]["parameters"]


@needs_toolkit
def test_an_unknown_layer_is_reported():
    """The error names the layer, without a traceback."""
    assert "unit_normalization" in toolkit()["qat odd"]["refused"]


def test_without_the_environment_the_next_step_is_named(tmp_path, monkeypatch):
    """The error names the folder and the command; refused, not failed."""
    monkeypatch.setenv("HARNESS_VENV_TFMOT", str(tmp_path / "none"))
    with pytest.raises(EngineError, match=r"none(.|\n)*make tfmot") as caught:
        venvs.python(PruneLowMagnitude.spec)
    assert caught.value.refused
    assert venvs.versions("tfmot", ["numpy"]) == {"numpy": None}
