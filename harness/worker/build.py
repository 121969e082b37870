"""Child process: runs one build step; it never receives a model's test data."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Parent
from harness.errors import EngineError
from harness.formats.base import Imported, ImportRequest
from harness.formats.fingerprint import fingerprint
from harness.formats.inputs import model_inputs, positions
from harness.formats.keras import TRUST
from harness.frameworks.base import Framework
from harness.schema import Artifact, ArtifactFacts, Training
from harness.schema.worker import BuildTask, SplitFile
from harness.variants.base import Array, Job, Recipe, TrainData
from harness.worker.outcome import outcome
from harness.workloads.base import Split, Workload, arrays_of, describe_split
from harness.workloads.data import load_array
from harness.workloads.functions import call_function, make_importable
from harness.workloads.sources import call_data, read_csv, read_images

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
    if task.model.trusted and task.model.folder:
        make_importable(task.model.folder)
    target = task.build.target
    path, facts, notes = (_prepared if target else FIRST_STEPS.get(task.build.step.recipe, _recipe))(task)
    sha256, size = fingerprint(path)
    return Artifact(
        build_id=task.build.build_id,
        format=task.build.format,
        path=str(path),
        sha256=sha256,
        bytes=size,
        model=task.build.model,
        lineage=task.build.lineage,
        device=target.device if target else None,
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
    workload, framework = _workload(task), _framework(task)
    framework.seed(task.seed)
    model = workload.model()
    data = _train_data(task)
    assert data and workload.training
    notes = framework.fit(model, workload.training, data, task.seed)
    imported = framework.save(model, Path(task.folder), [array[:2] for array in data.inputs])
    return imported.path, imported.facts, {**imported.notes, **notes}


def _framework(task: BuildTask) -> Framework:
    framework: Framework = plugins.load("frameworks", task.model.framework)()
    return framework


def _workload(task: BuildTask) -> Workload:
    plugin: type[Workload] = plugins.load("workloads", str(task.model.workload))
    return plugin(task.model.member, plugin.spec.parameters(**task.model.options) if plugin.spec.parameters else None)


def _source(task: BuildTask) -> Made:
    """A model that is not trained here, in a format that the later steps read."""
    if task.model.format == "workload":
        framework, workload = _framework(task), _workload(task)
        framework.seed(task.seed)
        return framework.save(workload.model(), Path(task.folder), workload.samples())
    if task.model.format == "python":
        return _from_function(task)
    source = Path(str(task.model.path))
    _check_unchanged(source, task.model.sha256)
    names, samples = _samples(task)
    request = ImportRequest(source, Path(task.folder), task.model.trusted, task.model.signature, samples, names)
    imported: Imported = plugins.load("formats", task.model.format)().import_model(request)
    return imported


def _from_function(task: BuildTask) -> Made:
    """A model that a function of the user returns, alone or with its example inputs, in a trusted suite."""
    if not task.model.trusted:
        raise EngineError(f"{task.model.path} is code, which is run only with --trust", TRUST)
    framework = _framework(task)
    framework.seed(task.seed)
    model, (names, samples) = call_function(str(task.model.path), task.model.folder), _samples(task)
    if isinstance(model, tuple) and len(model) == 2 and framework.owns(model[0]):
        model, given = model
        names, samples = [], [np.asarray(sample) for sample in (given if isinstance(given, list | tuple) else [given])]
    if not framework.owns(model):
        others = (
            f"a {framework.spec.name} model, or name its `framework` in the suite ({', '.join(sorted(plugins.catalogue().frameworks))})"
        )
        raise EngineError(f"{task.model.path} returned a {type(model).__name__}", f"return {others}")
    return framework.save(model, Path(task.folder), framework.arrange(model, names, samples) if names else samples)


def _samples(task: BuildTask) -> tuple[list[str], list[Array]]:
    """Names of inputs, none if the suite has none, and two samples for each; both empty without shapes in the suite and training data."""
    if shapes := task.model.input_shapes:
        return list(shapes), [np.random.default_rng(task.seed).random((2, *shape), dtype=np.float32) for shape in shapes.values()]
    data, train = _train_data(task), task.model.train
    names = [ref.name for ref in train.inputs if ref.name] if train and task.dataset is None else []
    return names, [np.asarray(array[:2]) for array in data.inputs] if data else []


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


FIRST_STEPS: dict[str, Callable[[BuildTask], Made]] = {"dataset": _dataset, "data": _data, "train": _train, "source": _source}

# --- every later step ----------------------------------------------------------------------------------------------------


def _prepared(task: BuildTask) -> Made:
    """What an engine makes for one device."""
    from harness.worker.prepare import prepare  # no other build needs the engines

    return prepare(task)


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
