"""CHILD: one step of making a model -> an artifact: data, training, the user's own file, a recipe or an exporter. Sees no test data of a model."""

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
"""The most that one protobuf message may hold."""
LFS_POINTER = b"version https://git-lfs"


Made = tuple[Path, ArtifactFacts, dict[str, Any]]


def main() -> None:
    """Do the task on standard input, and say how it went."""
    channel, task = Parent.from_argv(BuildTask)
    channel.send_mark("build")
    channel.send(outcome(lambda: {"artifact": build(task)}, task.memory_bytes))
    channel.leave()


def build(task: BuildTask) -> Artifact:
    """Make one artifact.

    Args:
        task: What to make, from what, and where to.

    Raises:
        EngineError: It cannot be made so.
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
    """The splits of a built-in workload, a file each."""
    return _written(task, _workload(task).data())


def _data(task: BuildTask) -> Made:
    """One split of the user's samples as arrays; images in the size of the model's input."""
    assert task.data
    names, source, workload = task.build.step.parameters["classes"], task.data, _workload(task) if task.model.workload else None
    if source.kind == "images":
        split = read_images(source, names, _image_shape(task), task.seed, workload.preprocess if workload else None)
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
    """The shape of the model's only input, without its batch."""
    assert task.source
    inputs = model_inputs(Path(task.source.path), task.source.format, trusted=task.model.trusted)
    if len(inputs) != 1:
        raise EngineError(f"the model has {len(inputs)} inputs, a folder of images feeds one", "give the data as a function or .npz")
    return inputs[0].shape[1:]


def _train(task: BuildTask) -> Made:
    """A built-in workload's model, trained."""
    workload = _workload(task)
    seed_everything(task.seed)
    model = workload.model()
    data = _train_data(task)
    assert data and workload.training
    notes = fit(model, workload.training, data, task.seed)
    path = Path(task.folder) / "model.keras"
    model.save(path)
    return path, keras_files.facts(model), notes


def _workload(task: BuildTask) -> Workload:
    plugin: type[Workload] = plugins.load("workloads", str(task.model.workload))
    return plugin(task.model.member, plugin.spec.parameters(**task.model.options) if plugin.spec.parameters else None)


def _source(task: BuildTask) -> Made:
    """A model that is not trained here: built in, or the user's own, checked, in the format that the rest of the harness takes."""
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
        raise EngineError(f"models of the format {format_!r} cannot be read", f"convert it to one of {', '.join(take)}")
    if format_ not in ("workload", "python"):
        _check_unchanged(Path(str(task.model.path)), task.model.sha256)
    return take[format_](task)


def _check_unchanged(path: Path, sha256: str) -> None:
    if not path.exists():
        raise EngineError(f"{path} is not there", "correct `path` in the suite")
    if fingerprint(path)[0] != sha256:
        raise EngineError(f"{path} has changed since the suite was read", "start the run again")
    if path.is_file() and not path.stat().st_size:
        raise EngineError(f"{path.name} is empty", "copy or download it again")
    if path.is_file() and _begins_with(path, LFS_POINTER):
        raise EngineError(f"{path.name} is only a pointer of Git LFS to the model", "git lfs pull")


def _begins_with(path: Path, words: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(words)) == words


def _take_workload(task: BuildTask) -> Made:
    """A built-in model as it is, its random weights by the seed."""
    seed_everything(task.seed)
    model = _workload(task).model()
    path = Path(task.folder) / "model.keras"
    model.save(path)
    return path, keras_files.facts(model), {}


def _take_keras(task: BuildTask) -> Made:
    source = Path(str(task.model.path))
    model = keras_files.load_keras(source, trusted=task.model.trusted)
    path = Path(task.folder) / "model.keras"
    if source.suffix == ".keras":
        shutil.copyfile(source, path)
    else:
        model.save(path)
    return path, keras_files.facts(model), {}


def _take_function(task: BuildTask) -> Made:
    """A model that a function of the user's builds: code of theirs, so only with trust."""
    if not task.model.trusted:
        raise EngineError(f"{task.model.path} is code, which is not run without trust", keras_files.TRUST)
    keras = keras_files.import_keras()
    model = call_function(str(task.model.path), task.model.folder)
    if not isinstance(model, keras.Model):
        raise EngineError(f"{task.model.path} gave a {type(model).__name__}", "let it return a Keras model")
    path = Path(task.folder) / "model.keras"
    model.save(path)
    return path, keras_files.facts(model), {}


def _take_savedmodel(task: BuildTask) -> Made:
    """The folder as it is."""
    source, path = Path(str(task.model.path)), Path(task.folder) / "model"
    facts = savedmodel_files.facts(savedmodel_files.load_savedmodel(source, trusted=task.model.trusted))
    with reading(source, *savedmodel_files.KIND):  # links that lead nowhere, pipes
        shutil.copytree(source, path)
    return path, facts, {}


def _take_tflite(task: BuildTask) -> Made:
    """The file as it is; where it has several signatures, with the graph of the chosen one as its main graph, which is what runs everywhere."""
    source, path = Path(str(task.model.path)), Path(task.folder) / "model.tflite"
    tflite_files.check_tflite(source)
    with reading(source, *tflite_files.KIND):
        found = tflite_graph.signatures(source)
        name = tflite_graph.choose(found, task.model.signature)
        if name is None or (len(found) == 1 and found[name] == 0):
            shutil.copyfile(source, path)
        else:
            path.write_bytes(tflite_graph.with_main_graph(source.read_bytes(), found[name], name))
    return path, tflite_files.facts(path), {"signature": name} if len(found) > 1 else {}


def _take_onnx(task: BuildTask) -> Made:
    """The model in one file, its external data with it."""
    source, path = Path(str(task.model.path)), Path(task.folder) / "model.onnx"
    model = onnx_files.load_onnx(source)
    if source.stat().st_size == (size := model.ByteSize()):
        shutil.copyfile(source, path)
    elif size <= ONNX_BYTES:
        onnx_files.import_onnx().save(model, str(path))
    else:
        raise EngineError(f"{source.name} with its external data is larger than 2 GiB", "models of this size are not supported in ONNX yet")
    with reading(source, *onnx_files.KIND):
        return path, onnx_files.facts(model), {}


FIRST_STEPS: dict[str, Callable[[BuildTask], Made]] = {"dataset": _dataset, "data": _data, "train": _train, "source": _source}

# --- every later step ----------------------------------------------------------------------------------------------------


def _recipe(task: BuildTask) -> Made:
    """A variant or an exporter, on the artifact of the step before."""
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
        raise EngineError(f"{spec.name} needs {' and '.join(spec.needs)}, which the model does not have", "name them in `data.train`")
    path, facts = recipe.apply(job)
    return path, _inherit(facts, task.source.facts), job.notes


def _training(task: BuildTask) -> Training:
    """The suite's, or the built-in workload's own."""
    return task.model.training or (_workload(task).training if task.model.workload else None) or Training()


def _train_data(task: BuildTask) -> TrainData | None:
    """The training and validation splits that a build wrote, or the user's own training arrays; null where there are none."""
    if task.dataset is not None:
        train, validation = (_split(task, name) for name in ("train", "validation"))
        return train and replace(train, validation=validation)
    data = task.model.train
    if data is None or data.source:
        return None
    labels = load_array(data.labels.path, data.labels.key) if data.labels else None
    return _checked(task, [load_array(ref.path, ref.key) for ref in data.inputs], [ref.name for ref in data.inputs], labels)


def _split(task: BuildTask, name: str) -> TrainData | None:
    """One split of a built data set; null where it has none of that name."""
    assert task.dataset is not None
    path = Path(task.dataset.path) / f"{name}.npz"
    split = task.dataset.splits.get(name, SplitFile())
    if not path.is_file():
        return None
    arrays = [load_array(path, ref.key) for ref in split.inputs]
    return _checked(task, arrays, [ref.name for ref in split.inputs], load_array(path, "labels") if split.labels else None)


def _checked(task: BuildTask, inputs: Sequence[Array], names: Sequence[str | None], labels: Array | None) -> TrainData:
    """The arrays in the task of the model's inputs, all of one length."""
    if len({len(array) for array in (*inputs, *([] if labels is None else [labels]))}) > 1:
        raise EngineError("the arrays of `data.train` have different numbers of samples", "the first axis is the sample")
    if any(names) and task.source:
        wanted = model_inputs(Path(task.source.path), task.source.format, trusted=task.model.trusted)
        inputs = [inputs[index] for index in positions([tensor.name for tensor in wanted], names)]
    return TrainData(inputs, labels)


def _inherit(facts: ArtifactFacts, parent: ArtifactFacts) -> ArtifactFacts:
    """What the step could not count and cannot have changed: how many weights there are and what is multiplied, not which of them are 0."""
    inherited = {name: getattr(parent, name) for name in ("parameters", "macs") if getattr(facts, name) is None}
    return facts.model_copy(update=inherited)


if __name__ == "__main__":
    main()
