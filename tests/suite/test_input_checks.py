"""Errors that only the files of models and data reveal."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from harness.schema import Model
from harness.suite.input_checks import declared_inputs, unfit_batch
from tests.onnx_models import save
from tests.suites import errors, load
from tests.tflite_models import dense, write

TEXT = "name: x\nmodels:\n  - {name: m, path: FILE MORE}\nmatrices: [{engines: [ENGINE], batch_sizes: [BATCH]}]\n"


def suite(file: str, more: str = "", engine: str = "onnxruntime", batch: str = "1") -> str:
    """A suite of one model."""
    return TEXT.replace("FILE", file).replace("MORE", f", {more}" if more else "").replace("ENGINE", engine).replace("BATCH", batch)


@pytest.fixture
def folder(tmp_path):
    """Models with dynamic dimensions, a fixed batch, several signatures; and data."""
    save(tmp_path, [("x", "FLOAT", ["n", 3, "h", "w"])], [("y", "Relu", ["x"])], "image.onnx")
    save(
        tmp_path,
        [("x", "FLOAT", ["n", "t"]), ("state", "FLOAT", [2, "n", 4]), ("rate", "INT64", [])],
        [("y", "Relu", ["x"])],
        "speech.onnx",
    )
    save(tmp_path, [("x", "FLOAT", [4, 3])], [("y", "Relu", ["x"])], "fixed.onnx")
    save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Relu", ["x"])], "flat.onnx")
    write(tmp_path / "several.tflite", [dense(np.ones((2, 3), np.float32)), dense(np.ones((4, 5), np.float32))], {"a": 0, "b": 1})
    np.savez(tmp_path / "d.npz", x=np.zeros((5, 3)), wide=np.zeros((5, 4)), image=np.zeros((5, 3, 8, 8)), y=np.zeros(5), few=np.zeros(3))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (suite("image.onnx"), ["dynamic dimensions", "'x' [3, ?, ?]", "`data.test`", "input_shapes: {x: [3, 224, 224]}"]),
        (suite("speech.onnx"), ["'x' [?], 'state' [2, ?, 4]", "input_shapes: {x: [128], state: [2, 1, 4]}"]),
        (suite("speech.onnx", "input_shapes: {x: [512]}"), ["'state' also has dynamic dimensions"]),
        (suite("image.onnx", "input_shapes: {x: [1, 3, 8, 8]}"), ["takes [3, ?, ?] a sample, not [1, 3, 8, 8]", "without the batch"]),
        (suite("image.onnx", "input_shapes: {x: [4, 8, 8]}"), ["takes [3, ?, ?]"]),
        (suite("image.onnx", "input_shapes: {y: [3, 8, 8]}"), ["no input 'y'"]),
        (suite("image.onnx", "input_shapes: {x: [3, 0, 8]}"), ["greater than or equal to 1"]),
        (suite("image.onnx", "input_shapes: [3, 8, 8]"), ["'input_shapes' must be a mapping"]),
        (
            suite("image.onnx", "input_shapes: {x: [3, 8, 8]}, data: {test: {inputs: 'd.npz:image'}}"),
            ["the test data determine the sizes"],
        ),
        (suite("several.tflite", engine="litert"), ["signatures a, b", "`signature: a`"]),
        (suite("several.tflite", "signature: c", engine="litert"), ["no signature 'c', only a, b"]),
        (suite("flat.onnx", "signature: a"), ["belongs to a .tflite"]),
        (
            suite("flat.onnx", "data: {test: {inputs: 'd.npz:wide', labels: 'd.npz:y'}}"),
            ["takes [3] a sample, but the array 'wide' has [4]"],
        ),
        (suite("flat.onnx", "data: {test: {inputs: 'd.npz:x', labels: 'd.npz:few'}}"), ["(3,) labels for (5,) samples"]),
        (suite("speech.onnx", "data: {test: {inputs: 'd.npz:x'}}"), ["3 inputs (x, state, rate), but the data have 1"]),
        (suite("flat.onnx", "metric: {name: mean_squared_error, threshold: 0}"), ["'threshold' belongs to"]),
        (suite("flat.onnx", "metric: {name: accuracy, ignore: 255}"), ["'ignore' belongs to"]),
        (suite("flat.onnx", "metric: {threshold: 0}"), ["one of the two"]),
        (suite("flat.onnx", "metric: {name: accuracy, function: 'm:f'}"), ["one of the two"]),
        (suite("flat.onnx", "metric: {name: accuracy, direction: lower}"), ["'direction' belongs to a function"]),
        (suite("flat.onnx", "metric: {name: accurcy}"), ["did you mean 'accuracy'"]),
        (suite("flat.onnx", "metric: {name: accuracy, treshold: 0}"), ["did you mean 'threshold'"]),
        (suite("flat.onnx", "metric: {name: accuracy, threshold: zero}"), ["plain number"]),
    ],
)
def test_files_that_do_not_fit_are_errors(folder, text, words):
    """With the line of the model and what to write."""
    sentence = errors(folder, text)
    assert "suite.yaml:3:" in sentence and all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    "text",
    [
        suite("image.onnx", "input_shapes: {x: [3, 48, 320]}"),
        suite("image.onnx", "data: {test: {inputs: 'd.npz:image'}}"),
        suite("speech.onnx", "input_shapes: {x: [512], state: [2, 1, 4]}"),
        suite("several.tflite", "signature: b", engine="litert"),
        suite("flat.onnx", "data: {test: {inputs: 'd.npz:x', labels: 'd.npz:y'}}, metric: {name: accuracy, threshold: 0}"),
        suite("flat.onnx", "metric: {name: token_accuracy, ignore: -100}, data: {test: {inputs: 'd.npz:x', labels: 'd.npz:y'}}"),
    ],
)
def test_files_that_fit_are_cases(folder, text):
    """One case, nothing unsupported."""
    planned = load(folder, text)
    assert len(planned.cases) == 1 and not planned.impossible


def test_the_suites_fields_reach_the_model(folder):
    """The threshold and the sizes as written; a signature changes what is built, and so the build's id."""
    model = load(folder, suite("image.onnx", "input_shapes: {x: [3, 48, 320]}, metric: {name: accuracy, threshold: 0}")).models[0]
    assert (model.metric, model.metric_threshold, model.input_shapes) == ("accuracy", 0.0, {"x": (3, 48, 320)})
    builds = [load(folder, suite("several.tflite", f"signature: {name}", "litert")).builds[0] for name in "ab"]
    assert builds[0].build_id != builds[1].build_id and builds[0].step.parameters == {"signature": "a"}


def test_a_fixed_batch_makes_other_batches_unsupported(folder):
    """With the reason; its own batch size is a case."""
    planned = load(folder, suite("fixed.onnx", batch="1, 4"))
    assert [case.batch_size for case in planned.cases] == [4]
    assert "fixed shape (4, 3), but the case has a batch of 1" in planned.impossible[0].reason
    assert len(load(folder, suite("fixed.onnx", engine="'null'", batch="1, 4")).cases) == 2


def test_inputs_of_a_keras_file_are_read_without_keras(tmp_path):
    """From its configuration; damaged files have no error before they are built."""
    layer = {"class_name": "InputLayer", "config": {"name": "image", "batch_shape": [None, None, 8, 3]}}
    config = {"class_name": "Functional", "config": {"layers": [layer, {"class_name": "Dense", "config": {}}]}}
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert "'image' [?, 8, 3]" in errors(tmp_path, suite("m.keras", engine="litert"))
    for name, content in {"bad.keras": b"no zip", "bad.onnx": b"onnx", "bad.tflite": b"TFL3"}.items():
        (tmp_path / name).write_bytes(content)
        assert declared_inputs(str(tmp_path / name), name.split(".")[1], "-", None) is None
    assert unfit_batch(Model(name="m", path=str(tmp_path / "bad.onnx"), format="onnx", sha256="-"), 8) is None


def test_new_fields_leave_the_identity_of_older_suites(tmp_path):
    """So that runs of version 2 can be compared and resumed; a field with another value changes it."""
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    plain = load(tmp_path, suite("m.onnx"))
    assert plain.sha256 == "c4b512f45363f41c0e0de8683ba219e26fe7add7cce9a4444f5dee0b102740cf"
    others = [
        "input_shapes: {x: [3]}",
        "metric: {name: accuracy, threshold: 0}",
        "metric: {name: pixel_accuracy, ignore: 0}",
        "metric: {name: pixel_accuracy}",
    ]
    hashes = [load(tmp_path, suite("m.onnx", more)).sha256 for more in others]
    assert len({plain.sha256, *hashes}) == 5
    assert [case.case_id for case in plain.cases] == ["m/dense/onnxruntime/cpu/b1/t1/single_stream"]
