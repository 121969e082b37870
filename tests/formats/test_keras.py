"""Keras files of other people's: refused before Keras sees them where they bring code or draw from elsewhere."""

from __future__ import annotations

import json
import zipfile

import h5py
import numpy as np
import pytest

from harness.errors import EngineError
from harness.formats.keras import load_keras
from harness.formats.keras2 import uses_changed_function
from tests.models import model_facts, models, workload_facts


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5"])
def test_a_lambda_wants_trust(name):
    """In both formats; with trust it is loaded."""
    assert "brings code of its own (Lambda)" in model_facts()["refused"][name][0]
    assert model_facts()["refused"]["trusted"] == 10


def test_damage_inside_is_a_sentence():
    """Weights that do not match their checksum."""
    assert model_facts()["refused"]["flipped.keras"][0].startswith("flipped.keras cannot be read as a Keras model")


@pytest.mark.parametrize("name", ["bad.keras", "bad.h5"])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"PK\x03\x04" + bytes(40), b"\x89HDF\r\n\x1a\n" + bytes(40)], ids=["empty", "text", "zip", "hdf"]
)
def test_a_damaged_file_is_a_sentence(tmp_path, name, content):
    """Without importing Keras for it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=name):
        load_keras(tmp_path / name)


@pytest.mark.slow
def test_an_h5_of_keras_2_answers_the_same():
    """Whatever it says that means nothing any more; what would mean something else is refused, with what to do where Keras 2 is."""
    assert workload_facts()["keras_2"]["difference"] == 0
    sentence, _ = workload_facts()["keras_2"]["refused"]
    assert "time_major" in sentence and "it is of Keras 2: save it there as a SavedModel" in sentence


def test_only_the_function_is_another():
    """A layer may be named after it."""
    assert not uses_changed_function({"class_name": "ReLU", "config": {"name": "hard_sigmoid", "activation": "relu"}})


@pytest.mark.parametrize("written", ["hard_sigmoid", {"class_name": "function", "config": "hard_sigmoid"}], ids=["name", "object"])
def test_a_function_that_keras_3_computes_otherwise_is_refused(tmp_path, written):
    """An LSTM of the first Keras 2 would load, and answer something else without a word."""
    layer = {"class_name": "LSTM", "config": {"units": 4, "recurrent_activation": written}}
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        file.attrs["keras_version"] = "2.2.4"
    with pytest.raises(EngineError, match=r"(?s)old\.h5 uses hard_sigmoid.*SavedModel"):
        load_keras(tmp_path / "old.h5")


@pytest.mark.parametrize("cut", [0.2, 0.7, 0.99])
@pytest.mark.parametrize("name", ["small.keras", "small.h5"])
def test_a_file_cut_short_is_a_sentence(tmp_path, name, cut):
    """As a full disk leaves it."""
    whole = (models() / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(EngineError, match=name):
        load_keras(tmp_path / name)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"class_name": "Dense", "module": "os.path", "config": {}}, "not part of Keras"),
        ({"a": [{"b": {"class_name": "__lambda__", "config": {}}}]}, "brings code"),
        ({"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/elsewhere"}}, "brings code"),
        ({"class_name": "Custom", "module": "kerasevil", "config": {}}, "not part of Keras"),
    ],
)
def test_classes_that_are_not_of_keras_are_refused(tmp_path, config, words):
    """Wherever they hide in the configuration."""
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(EngineError, match=words):
        load_keras(tmp_path / "m.keras")


@pytest.mark.parametrize("entry", ["../../evil", "/etc/evil"])
def test_a_path_out_of_the_archive_is_refused(tmp_path, entry):
    """Whatever would become of it."""
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr(entry, "x")
    with pytest.raises(EngineError, match="leaves the archive"):
        load_keras(tmp_path / "m.keras")


def test_data_of_other_files_are_refused(tmp_path):
    """An external link, and a data set whose bytes lie elsewhere."""
    for name in ("link", "data"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs["model_config"] = "{}"
            group = file.create_group("layers")
            if name == "link":
                group["w"] = h5py.ExternalLink("/etc/passwd", "/")
            else:
                group.create_dataset("w", (4,), np.float32, external=[(str(tmp_path / "other.bin"), 0, 16)])
        with pytest.raises(EngineError, match="from another file"):
            load_keras(tmp_path / f"{name}.h5")


def test_weights_alone_are_no_model(tmp_path):
    """With what to do instead."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["kernel"] = np.zeros(3)
    with pytest.raises(EngineError, match="weights without a model"):
        load_keras(tmp_path / "w.h5")


def test_an_archive_that_unpacks_to_far_too_much_is_refused(tmp_path):
    """By what it says of itself, before anything is unpacked: 300 MiB of zeros in 300 KB."""
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("model.weights.h5", "w") as entry:
            for _ in range(300):
                entry.write(bytes(2**20))
    with pytest.raises(EngineError, match="out of next to nothing"):
        load_keras(path)
