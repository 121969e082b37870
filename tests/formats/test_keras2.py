"""Files of Keras 2: read as Keras 3 reads them, or refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import h5py
import pytest

from harness.errors import EngineError
from harness.formats.keras import load_keras
from harness.formats.keras2 import modern, uses_changed_function
from tests.models import workload_facts


@pytest.mark.slow
def test_an_h5_of_keras_2_answers_the_same():
    """Settings without effect are ignored; others are refused, with the next step in an environment with Keras 2."""
    assert workload_facts()["keras_2"]["difference"] == 0
    sentence, _ = workload_facts()["keras_2"]["refused"]
    assert "time_major" in sentence and "it is of Keras 2: save it there as a SavedModel" in sentence


def test_a_layer_may_have_the_name_of_a_changed_function():
    """A layer with that name is not a use of it."""
    assert not uses_changed_function({"class_name": "ReLU", "config": {"name": "hard_sigmoid", "activation": "relu"}})


@pytest.mark.parametrize("written", ["hard_sigmoid", {"class_name": "function", "config": "hard_sigmoid"}], ids=["name", "object"])
def test_a_function_that_keras_3_changed_is_refused(tmp_path, written):
    """An LSTM of early Keras 2 would load, and give other answers without an error."""
    layer = {"class_name": "LSTM", "config": {"units": 4, "recurrent_activation": written}}
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        file.attrs["keras_version"] = "2.2.4"
    with pytest.raises(EngineError, match=r"(?s)old\.h5 uses hard_sigmoid.*SavedModel"):
        load_keras(tmp_path / "old.h5")


class Layer:
    """A layer of Keras 3 that has one of the settings."""

    def __init__(self, units, trainable=True):
        pass


KERAS = SimpleNamespace(layers=SimpleNamespace(LSTM=Layer))


def test_settings_without_effect_are_dropped():
    """Other values stay, so that Keras refuses them, and so do settings that the layer has."""
    config = {"class_name": "LSTM", "config": {"units": 4, "time_major": False, "groups": 2, "trainable": True}}
    assert modern(config, KERAS)["config"] == {"units": 4, "groups": 2, "trainable": True}
    assert config["config"]["time_major"] is False


def test_calls_of_nested_models_are_numbered_from_zero():
    """Keras 2 begins with 1; a single output is unwrapped."""
    inner = {"class_name": "Functional", "name": "inner", "config": {}, "inbound_nodes": [[["x", 0, 0, {}]], [["x", 0, 0, {}]]]}
    add = {"class_name": "Add", "name": "add", "config": {}, "inbound_nodes": [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]}
    made = modern({"layers": [inner, add], "output_layers": [["add", 0, 0]]}, KERAS)
    assert [call[1] for call in made["layers"][1]["inbound_nodes"][0]] == [0, 1]
    assert made["output_layers"] == ["add", 0, 0]


def test_an_axis_in_a_list_becomes_a_number():
    """Only of a batch normalization."""
    made = modern({"layers": [{"axis": [3], "momentum": 0.9}, {"axis": [3]}]}, KERAS)
    assert [layer["axis"] for layer in made["layers"]] == [3, [3]]
