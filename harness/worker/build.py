"""Child process: runs one build step; it never receives a model's test data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Parent
from harness.errors import EngineError
from harness.formats import keras as keras_files
from harness.formats import onnx as onnx_files
from harness.formats import savedmodel as savedmodel_files
from harness.formats import tflite as tflite_files
from harness.formats import tflite_graph
from harness.formats.fingerprint import fingerprint
from harness.formats.inputs import model_inputs, positions
from harness.formats.libraries import reading
from harness.schema import Artifact, ArtifactFacts, Training
from harness.schema.worker import BuildTask, SplitFile
from harness.variants.base import Array, Job, Recipe, TrainData
from harness.variants.training import fit, seed_everything
from harness.worker.outcome import outcome
from harness.workloads.base import Split, Workload, arrays_of, describe_split
from harness.workloads.data import load_array
from harness.workloads.functions import call_function
from harness.workloads.sources import call_data, read_csv, read_images

ONNX_BYTES = 2**31 - 1
"""Largest size of a protobuf message."""
LFS_POINTER = b"version https://git-lfs"

Made = tuple[Path, ArtifactFacts, dict[str, Any]]
"""Path, facts and notes of an artifact."""


def main() -> None:
    """Build the task on standard input, and report the result."""
    channel, task = Parent.from_argv(BuildTask)
    channel.send_mark("build")
    channel.send(outcome(lambda: {"artifact": build(task)}, task.memory_bytes))
    channel.leave()


def build(task: BuildTask) -> Artifact:
    """Build one artifact.

    Raises:
        EngineError: The model cannot be read, or the step fails on it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    path, facts, notes = FIRST_STEPS.get(task.build.step.recipe, _recipe)(task)
    sha256, size = fingerprint(path)
    return Artifact(
        build_id=task.build.build_id,
        format=task.build.format,
        path=str(path),
        sha256=sha256,
        bytes=size,
        model=task.build.model,
        lineage=task.build.lineage,
        facts=facts,
        notes=notes,
    )


# --- the first steps of a chain ------------------------------------------------------------------------------------------


def _dataset(task: BuildTask) -> Made:
    """The splits of a built-in workload, one file each."""
    return _written(task, _workload(task).data())


def _data(task: BuildTask) -> Made:
    """One split of the user's samples as arrays."""
    assert task.data
    names, source = task.build.step.parameters["classes"], task.data
    if source.kind == "images":
        preprocess = _workload(task).preprocess if task.model.workload else None
        split = read_images(source, names, _image_shape(task), task.seed, preprocess)
    elif source.kind == "csv":
        split = read_csv(source, names)
    else:
        split = call_data(source, task.model.folder, trusted=task.model.trusted)
    return _written(task, {task.build.step.parameters["split"]: split})


def _written(task: BuildTask, splits: dict[str, Split]) -> Made:
    folder = Path(task.folder) / "data"
    folder.mkdir()
    for name, split in splits.items():
        np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays_of(split))
    return folder, ArtifactFacts(), {"splits": {name: describe_split(split) for name, split in splits.items()}}


def _image_shape(task: BuildTask) -> tuple[int | None, ...]:
    """Shape of the model's only input, without the batch."""
    assert task.source
    inputs = model_inputs(Path(task.source.path), task.source.format, trusted=task.model.trusted)
    if len(inputs) != 1:
        raise EngineError(
            f"the model has {len(inputs)} inputs, but a folder of images feeds only one", "give the data as a function or as .npz"
        )
    return inputs[0].shape[1:]


def _train(task: BuildTask) -> Made:
    """The trained model of a built-in workload."""
    workload = _workload(task)
    seed_everything(task.seed)
    model = workload.model()
    data = _train_data(task)
    assert data and workload.training
    notes = fit(model, workload.training, data, task.seed)
    return _saved(task, model, notes)


def _saved(task: BuildTask, model: Any, notes: dict[str, Any] | None = None) -> Made:
    """A Keras model as an artifact."""
    path = Path(task.folder) / "model.keras"
    model.save(path)
    return path, keras_files.facts(model), notes or {}


def _workload(task: BuildTask) -> Workload:
    plugin: type[Workload] = plugins.load("workloads", str(task.model.workload))
    return plugin(task.model.member, plugin.spec.parameters(**task.model.options) if plugin.spec.parameters else None)


def _source(task: BuildTask) -> Made:
    """A model that is not trained here, in a format that the later steps read."""
    take = {
        "workload": _take_workload,
        "keras": _take_keras,
        "h5": _take_keras,
        "python": _take_function,
        "savedmodel": _take_savedmodel,
        "tflite": _take_tflite,
        "onnx": _take_onnx,
    }
    format_ = task.model.format
    if format_ not in take or (format_ != "workload" and not task.model.path):
        raise EngineError(f"models of the format {format_!r} are not supported", f"convert it to one of {', '.join(take)}")
    if format_ not in ("workload", "python"):
        _check_unchanged(Path(str(task.model.path)), task.model.sha256)
    return take[format_](task)


def _check_unchanged(path: Path, sha256: str) -> None:
    if not path.exists():
        raise EngineError(f"{path} does not exist", "correct `path` in the suite")
    if fingerprint(path)[0] != sha256:
        raise EngineError(f"{path} has changed since the suite was read", "start the run again")
    if path.is_dir():
        return
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if not head:
        raise EngineError(f"{path.name} is empty", "copy or download it again")
    if head == LFS_POINTER:
        raise EngineError(f"{path.name} is a Git LFS pointer, not the model", "run `git lfs pull`")


def _take_workload(task: BuildTask) -> Made:
    """A built-in model; random weights follow the seed."""
    seed_everything(task.seed)
    return _saved(task, _workload(task).model())


def _take_keras(task: BuildTask) -> Made:
    source = Path(str(task.model.path))
    model = keras_files.load_keras(source, trusted=task.model.trusted)
    if source.suffix != ".keras":
        return _saved(task, model)
    path = Path(task.folder) / "model.keras"
    shutil.copyfile(source, path)
    return path, keras_files.facts(model), {}


def _take_function(task: BuildTask) -> Made:
    """A model that a user function builds, in a trusted suite."""
    if not task.model.trusted:
        raise EngineError(f"{task.model.path} is code, which is run only with --trust", keras_files.TRUST)
    keras = keras_files.import_keras()
    model = call_function(str(task.model.path), task.model.folder)
    if not isinstance(model, keras.Model):
        raise EngineError(f"{task.model.path} returned a {type(model).__name__}", "return a Keras model")
    return _saved(task, model)


def _take_savedmodel(task: BuildTask) -> Made:
    """A copy of the folder."""
    source, path = Path(str(task.model.path)), Path(task.folder) / "model"
    facts = savedmodel_files.facts(savedmodel_files.load_savedmodel(source, trusted=task.model.trusted))
    with reading(source, *savedmodel_files.KIND):  # broken links, pipes
        shutil.copytree(source, path)
    return path, facts, {}


def _take_tflite(task: BuildTask) -> Made:
    """A copy of the file, with the chosen signature as its main graph."""
    source, path = Path(str(task.model.path)), Path(task.folder) / "model.tflite"
    tflite_files.check_tflite(source)
    with reading(source, *tflite_files.KIND):
        signatures = tflite_graph.signatures(source)
        name = tflite_graph.choose(signatures, task.model.signature)
        if name is None or (len(signatures) == 1 and signatures[name] == 0):
            shutil.copyfile(source, path)
        else:
            path.write_bytes(tflite_graph.with_main_graph(source.read_bytes(), signatures[name], name))
    return path, tflite_files.facts(path), {"signature": name} if len(signatures) > 1 else {}


def _take_onnx(task: BuildTask) -> Made:
    """The model with its external data in one file."""
    source, path = Path(str(task.model.path)), Path(task.folder) / "model.onnx"
    model = onnx_files.load_onnx(source)
    if source.stat().st_size == (size := model.ByteSize()):
        shutil.copyfile(source, path)
    elif size <= ONNX_BYTES:
        onnx_files.import_onnx().save(model, str(path))
    else:
        raise EngineError(
            f"{source.name} with its external data is larger than 2 GiB", "ONNX models of this size are not supported: use a smaller one"
        )
    with reading(source, *onnx_files.KIND):
        return path, onnx_files.facts(model), {}


FIRST_STEPS: dict[str, Callable[[BuildTask], Made]] = {"dataset": _dataset, "data": _data, "train": _train, "source": _source}

# --- every later step ----------------------------------------------------------------------------------------------------


def _recipe(task: BuildTask) -> Made:
    """A variant or an exporter applied to the artifact of the step before."""
    recipe: Recipe = plugins.load("variants", task.build.step.recipe)()
    spec = recipe.spec
    assert task.source
    job = Job(
        source=Path(task.source.path),
        source_format=task.source.format,
        target_format=task.build.format,
        folder=Path(task.folder),
        parameters=spec.parameters(**task.build.step.parameters) if spec.parameters else None,
        data=_train_data(task) if spec.needs else None,
        training=_training(task),
        seed=task.seed,
        trusted=task.model.trusted,
    )
    if spec.needs and (job.data is None or ("labels" in spec.needs and job.data.labels is None)):
        raise EngineError(
            f"{spec.name} needs {' and '.join(spec.needs)}, which the model does not have", "add them to `data.train` in the suite"
        )
    path, facts = recipe.apply(job)
    return path, _inherit(facts, task.source.facts), job.notes


def _training(task: BuildTask) -> Training:
    """The training settings of the suite, or else of the built-in workload."""
    return task.model.training or (_workload(task).training if task.model.workload else None) or Training()


def _train_data(task: BuildTask) -> TrainData | None:
    """Training and validation splits, or the user's training arrays; None if absent."""
    if task.dataset is not None:
        train, validation = (_split(task, name) for name in ("train", "validation"))
        return train and replace(train, validation=validation)
    data = task.model.train
    if data is None or data.source:
        return None
    labels = load_array(data.labels.path, data.labels.key) if data.labels else None
    return _checked(task, [load_array(ref.path, ref.key) for ref in data.inputs], [ref.name for ref in data.inputs], labels)


def _split(task: BuildTask, name: str) -> TrainData | None:
    """One split of a built data set; None if it has no such split."""
    assert task.dataset is not None
    path = Path(task.dataset.path) / f"{name}.npz"
    split = task.dataset.splits.get(name, SplitFile())
    if not path.is_file():
        return None
    arrays = [load_array(path, ref.key) for ref in split.inputs]
    return _checked(task, arrays, [ref.name for ref in split.inputs], load_array(path, "labels") if split.labels else None)


def _checked(task: BuildTask, inputs: Sequence[Array], names: Sequence[str | None], labels: Array | None) -> TrainData:
    """The arrays in the order of the model's inputs, checked to be of one length."""
    if len({len(array) for array in (*inputs, *([] if labels is None else [labels]))}) > 1:
        raise EngineError(
            "the arrays of `data.train` have different numbers of samples", "make their first axes, which are the samples, equally long"
        )
    if any(names) and task.source:
        tensors = model_inputs(Path(task.source.path), task.source.format, trusted=task.model.trusted)
        inputs = [inputs[index] for index in positions([tensor.name for tensor in tensors], names)]
    return TrainData(inputs, labels)


def _inherit(facts: ArtifactFacts, parent: ArtifactFacts) -> ArtifactFacts:
    """The facts, with the numbers that the step could not count from its parent."""
    inherited = {name: getattr(parent, name) for name in ("parameters", "macs") if getattr(facts, name) is None}
    return facts.model_copy(update=inherited)


if __name__ == "__main__":
    main()
