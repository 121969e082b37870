"""The build child, through the runner: a built-in model without its test data, the user's own files, and errors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.channel import Request
from harness.run.runner import RunContext, run
from harness.schema import PROFILES, ArrayRef, Build, DataRef, Limits, Model, Step, Task
from harness.schema.worker import BuildTask
from harness.worker.build import fingerprint
from tests.models import model_facts, models, rows
from tests.onnx_models import save

CONTEXT = RunContext([], PROFILES["quick"], Limits(), "run", "environment", None)
DIGITS = Model(name="digits-cnn", workload="digits-cnn", format="workload", sha256="-")


def made(folder, model, recipe, format_, source=None, dataset=None, memory_bytes=None, **parameters):
    """The record of one build."""
    folder.mkdir()
    build = Build(build_id="b", model=model.name, step=Step(recipe=recipe, parameters=parameters), format=format_, lineage=(recipe,))
    task = BuildTask(
        model=model.model_copy(update={"test": None}), build=build, source=source, dataset=dataset and {"path": str(dataset)},
        folder=str(folder), memory_bytes=memory_bytes,
    )  # fmt: skip
    return run(Task(build=build), Request("harness.worker.build", task, environment={"CUDA_VISIBLE_DEVICES": "-1"}), CONTEXT).record


def own(path, format_, **more) -> Model:
    """A user's model."""
    return Model(name="own", path=str(path), format=format_, sha256=fingerprint(Path(path))[0] if Path(path).is_file() else "-", **more)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("version https://git-lfs.github.com/spec/v1\nsize 12345\n", "m.onnx is a Git LFS pointer, not the model\nrun `git lfs pull`"),
        ("", "m.onnx is empty\ncopy or download it again"),
    ],
)
def test_a_missing_download_is_not_a_damaged_file(tmp_path, content, reason):
    """A clone without Git LFS, an interrupted copy."""
    (tmp_path / "m.onnx").write_text(content)
    record = made(tmp_path / "out", own(tmp_path / "m.onnx", "onnx"), "source", "onnx")
    assert (record.status, record.reason) == ("failed", reason)


def test_the_splits_of_a_data_set_are_disjoint(tmp_path):
    """By the hash of each sample; the artifact is their folder."""
    data = tmp_path / "data"
    record = made(data, DIGITS, "dataset", "npz")
    assert record.status == "ok", record.reason
    assert (record.artifact.sha256, record.artifact.bytes) == fingerprint(data / "data")
    assert [phase.name for phase in record.phases] == ["build"]
    splits = {name: rows(np.load(data / "data" / f"{name}.npz")["inputs"]) for name in ("train", "validation", "test")}
    assert not splits["test"] & (splits["train"] | splits["validation"])


def test_training_sees_no_test_data():
    """It succeeds without the test file, with the size and the accuracy of such a model."""
    digits = model_facts()["digits"]
    assert [digits["facts"][name] for name in ("parameters", "nonzero_parameters", "macs")] == [21546, 21546, 320832]
    assert digits["test_accuracy"] > 0.95 and digits["notes"]["validation_accuracy"] > 0.95
    assert digits["bytes"] < 2 * 4 * 21546  # without the optimizer


def test_a_build_task_drops_test_data():
    """Even if a parent sends them."""
    reference = DataRef(inputs=(ArrayRef(path="/secret.npz", key="x", sha256="-"),))
    build = Build(build_id="b", model="m", step=Step(recipe="train"), format="keras")
    task = BuildTask(model=DIGITS.model_copy(update={"test": reference}), build=build, folder="/f")
    assert "secret" not in task.model_dump_json()


def test_the_users_h5_is_fine_tuned_on_the_users_data():
    """Source, then pruning on `data.train` with the suite's training."""
    source, pruned = model_facts()["own"]
    assert source["format"] == "keras" and source["facts"]["parameters"] == 2210
    assert pruned["notes"]["epochs"] == 2
    assert min(pruned["notes"]["sparsity"].values()) >= 0.8


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_the_users_file_is_copied(tmp_path, format_):
    """Unchanged, with its weights, zeros and multiply-accumulates counted."""
    path = models() / f"small.{format_}"
    artifact = made(tmp_path / "source", own(path, format_), "source", format_).artifact
    assert artifact.sha256 == fingerprint(path)[0] and artifact.bytes == path.stat().st_size
    assert artifact.facts.parameters > 2000 and artifact.facts.macs == 64 * 16 * 9 + 1024 * 2
    assert len(artifact.facts.zeros) == 2


def test_macs_are_inherited(tmp_path):
    """A step that cannot count them takes them from the artifact before it; zeros are counted again, since it may have changed them."""
    path = save(tmp_path, [("x", "FLOAT", ["n", "t", 8])], [("y", "MatMul", ["x", "w"])], outputs=["y"], w=np.ones((8, 4), np.float32))
    source = {"path": str(path), "format": "onnx", "facts": {"macs": 11264, "zeros": {"w": 0.7}, "nonzero_parameters": 5}}
    artifact = made(tmp_path / "f16", own(path, "onnx"), "float16", "onnx", source=source).artifact
    assert artifact.facts.macs == 11264 and artifact.facts.zeros == {"w": 0.0}
    assert artifact.facts.parameters == artifact.facts.nonzero_parameters == 32


def test_external_data_are_included(tmp_path):
    """A model in two files becomes an artifact of one."""
    (tmp_path / "own").mkdir()
    path = save(tmp_path / "own", [("x", "FLOAT", ["n", 500])], [("y", "Add", ["x", "w"])], w=np.arange(500, dtype=np.float32))
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    artifact = made(tmp_path / "source", own(path, "onnx"), "source", "onnx").artifact
    assert artifact.bytes > 2000
    assert (artifact.facts.parameters, artifact.facts.nonzero_parameters) == (500, 499)


@pytest.mark.parametrize(
    ("name", "format_", "words"),
    [
        ("lambda.h5", "h5", "contains code"),
        ("nothing.onnx", "onnx", "does not exist"),
        ("empty.onnx", "onnx", "empty.onnx"),
        ("empty.tflite", "tflite", "empty.tflite"),
        ("empty.keras", "keras", "empty.keras"),
        ("os:getcwd", "python", "run only with --trust"),
    ],
)
def test_an_unusable_file_is_an_error(tmp_path, name, format_, words):
    """Status failed, no traceback, no artifact."""
    path = name
    if format_ != "python":
        path = tmp_path / name
        if name.startswith("empty"):
            path.touch()
        elif name == "lambda.h5":
            shutil.copy(models() / name, path)
    record = made(tmp_path / "out", own(path, format_), "source", "keras")
    assert record.status == "failed" and words in record.reason and "Traceback" not in record.reason
    assert record.artifact is None


def test_a_file_that_changed_is_not_built(tmp_path):
    """The cache would store it under the old hash."""
    shutil.copy(models() / "small.onnx", tmp_path / "m.onnx")
    model = own(tmp_path / "m.onnx", "onnx")
    (tmp_path / "m.onnx").write_bytes((models() / "two.onnx").read_bytes())
    assert "has changed" in made(tmp_path / "out", model, "source", "onnx").reason


def test_a_recipe_without_its_data_is_an_error(tmp_path):
    """int8 without training data."""
    source = {"path": str(models() / "small.onnx"), "format": "onnx"}
    record = made(tmp_path / "out", own(models() / "small.onnx", "onnx"), "int8", "onnx", source=source)
    assert record.status == "failed" and "needs train" in record.reason
