"""Keras files: refused before Keras loads them if they bring code or read other files; multiply-accumulates of layers."""

from __future__ import annotations

import json
import zipfile

import h5py
import numpy as np
import pytest

from harness.errors import EngineError
from harness.formats.keras import load_keras
from tests.models import model_facts, models


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5"])
def test_a_lambda_needs_trust(name):
    """In both formats; a trusted one is loaded."""
    assert "contains code (Lambda)" in model_facts()["refused"][name][0]
    assert model_facts()["refused"]["trusted"] == 10


def test_a_wrong_checksum_is_reported():
    """Weights with a wrong checksum are reported in one sentence."""
    assert model_facts()["refused"]["flipped.keras"][0].startswith("flipped.keras cannot be read as a Keras model")


@pytest.mark.parametrize("name", ["bad.keras", "bad.h5"])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"PK\x03\x04" + bytes(40), b"\x89HDF\r\n\x1a\n" + bytes(40)], ids=["empty", "text", "zip", "hdf"]
)
def test_a_damaged_file_is_reported(tmp_path, name, content):
    """Reported with its name, without importing Keras."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=name):
        load_keras(tmp_path / name)


@pytest.mark.parametrize("cut", [0.2, 0.7, 0.99])
@pytest.mark.parametrize("name", ["small.keras", "small.h5"])
def test_a_truncated_file_is_reported(tmp_path, name, cut):
    """Reported with its name."""
    whole = (models() / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(EngineError, match=name):
        load_keras(tmp_path / name)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"class_name": "Dense", "module": "os.path", "config": {}}, "not part of Keras"),
        ({"a": [{"b": {"class_name": "__lambda__", "config": {}}}]}, "contains code"),
        ({"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/elsewhere"}}, "contains code"),
        ({"class_name": "Custom", "module": "kerasevil", "config": {}}, "not part of Keras"),
    ],
)
def test_classes_that_are_not_of_keras_are_refused(tmp_path, config, words):
    """At any depth of the configuration."""
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(EngineError, match=words):
        load_keras(tmp_path / "m.keras")


@pytest.mark.parametrize("entry", ["../../evil", "/etc/evil"])
def test_a_path_out_of_the_archive_is_refused(tmp_path, entry):
    """Absolute or with `..`."""
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr(entry, "x")
    with pytest.raises(EngineError, match="leaves the archive"):
        load_keras(tmp_path / "m.keras")


def test_data_of_other_files_are_refused(tmp_path):
    """An external link, and a data set with its bytes in another file."""
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


def test_weights_without_a_model_are_refused(tmp_path):
    """The error names the next step."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["kernel"] = np.zeros(3)
    with pytest.raises(EngineError, match="weights without a model"):
        load_keras(tmp_path / "w.h5")


def test_a_zip_bomb_is_refused(tmp_path):
    """By the sizes in its directory, before anything is unpacked: 300 MiB of zeros in 300 KB."""
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("model.weights.h5", "w") as entry:
            for _ in range(300):
                entry.write(bytes(2**20))
    with pytest.raises(EngineError, match="from very few bytes"):
        load_keras(path)


@pytest.mark.parametrize(
    ("layer", "truth"),
    [
        ("dense", 6 * 4),
        ("conv2d", 6 * 6 * 5 * 3 * 9),
        ("strided", 4 * 4 * 5 * 3 * 9),
        ("grouped", 6 * 6 * 6 * 2 * 9),
        ("depthwise", 6 * 6 * 3 * 9),
        ("separable", 6 * 6 * (3 * 9 + 3 * 5)),
        ("transposed", 4 * 4 * 3 * 5 * 9),
        ("conv1d", 8 * 4 * 2 * 3),
        ("normalized", 6 * 4),
        ("sequential", 6 * 4),
        ("nested", 6 * 4 + 4 * 2),
        ("unknown", None),
        ("open", None),
        ("shared", None),
    ],
)
def test_multiply_accumulates(layer, truth):
    """Computed by hand; None if a layer with weights is unknown, runs twice, or has dynamic dimensions."""
    assert model_facts()["macs"][layer] == truth
