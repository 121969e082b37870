"""CHILD: one step of making a model -> an artifact: data, training, the user's own file, a recipe or an exporter. Sees no test data of a model."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Parent
from harness.child import outcome
from harness.errors import EngineError
from harness.formats import keras as keras_files
from harness.formats import onnx as onnx_files
from harness.formats import tflite as tflite_files
from harness.formats.reading import reading
from harness.schema import Artifact, ArtifactFacts, Build, DataRef, Model, Training
from harness.variants.base import Job, Recipe, TrainData
from harness.variants.training import fit, seed_everything
from harness.workloads.base import Workload, arrays_of
from harness.workloads.data import load_array

ONNX_BYTES = 2**31 - 1
"""The most that one protobuf message may hold."""


@dataclass(frozen=True)
class Order:
    """What a build child is asked for.

    Attributes:
        model: Without its test data.
        build: The step.
        source: The artifact that goes in; null for the first step of a chain.
        dataset: Folder with the `.npz` files of a built-in workload; null for the user's own.
        folder: Where to write; empty.
        seed: For every random choice.
    """

    model: Model
    build: Build
    source: dict[str, Any] | None
    dataset: Path | None
    folder: Path
    seed: int

    @classmethod
    def of(cls, task: dict[str, Any]) -> Order:
        """From the JSON; test data would be dropped here, had the parent sent any."""
        dataset = task.get("dataset")
        return cls(
            model=Model(**{**task["model"], "test": None}),
            build=Build(**task["build"]),
            source=task.get("source"),
            dataset=Path(dataset["path"]) if dataset else None,
            folder=Path(task["folder"]),
            seed=task.get("seed", 0),
        )


Made = tuple[Path, ArtifactFacts, dict[str, Any]]


def main() -> None:
    """Do the task on standard input, and say how it went."""
    channel, task = Parent.from_argv()
    channel.mark("build")
    channel.send("result", **outcome(lambda: {"artifact": build(task).model_dump(mode="json")}, task.get("memory_bytes")))
    channel.leave()


def build(task: dict[str, Any]) -> Artifact:
    """Make one artifact.

    Args:
        task: `model`, `build`, `source`, `dataset`, `folder`, `seed`.

    Raises:
        EngineError: It cannot be made so.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    order = Order.of(task)
    path, facts, notes = FIRST_STEPS.get(order.build.step.recipe, _recipe)(order)
    sha256, size = fingerprint(path)
    return Artifact(
        build_id=order.build.build_id,
        format=order.build.format,
        path=str(path),
        sha256=sha256,
        bytes=size,
        model=order.build.model,
        lineage=order.build.lineage,
        facts=facts,
        notes=notes,
    )


def fingerprint(path: Path) -> tuple[str, int]:
    """SHA-256 and size in bytes of a file, or of a folder: the hash of its sorted (name, hash) pairs, and the sum."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    whole, size = hashlib.sha256(), 0
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        sha256, part = fingerprint(file_path)
        whole.update(f"{file_path.relative_to(path).as_posix()}\0{sha256}\n".encode())
        size += part
    return whole.hexdigest(), size


# --- the first steps of a chain ------------------------------------------------------------------------------------------


def _dataset(order: Order) -> Made:
    """The splits of a built-in workload, a file each."""
    splits = _workload(order).data()
    for name, split in splits.items():
        np.savez(order.folder / f"{name}.npz", allow_pickle=False, **arrays_of(split))
    return order.folder, ArtifactFacts(), {"samples": {name: len(split.labels) for name, split in splits.items()}}


def _train(order: Order) -> Made:
    """A built-in workload's model, trained."""
    workload = _workload(order)
    seed_everything(order.seed)
    model = workload.model()
    data = _train_data(order)
    assert data
    notes = fit(model, workload.training, data, order.seed)
    path = order.folder / "model.keras"
    model.save(path)
    return path, keras_files.facts(model), notes


def _workload(order: Order) -> Workload:
    workload: Workload = plugins.load("workloads", str(order.model.workload))()
    return workload


def _source(order: Order) -> Made:
    """The user's own model, checked, in the format that the rest of the harness takes."""
    take = {"keras": _take_keras, "h5": _take_keras, "python": _take_function, "tflite": _take_tflite, "onnx": _take_onnx}
    if order.model.format not in take or not order.model.path:
        raise EngineError(f"models of the format {order.model.format!r} cannot be read", f"convert it to one of {', '.join(take)}")
    if order.model.format != "python" and not Path(order.model.path).is_file():
        raise EngineError(f"{order.model.path} is not there, or no file", "correct `path` in the suite")
    if order.model.format != "python" and fingerprint(Path(order.model.path))[0] != order.model.sha256:
        raise EngineError(f"{order.model.path} has changed since the suite was read", "start the run again")
    return take[order.model.format](order)


def _take_keras(order: Order) -> Made:
    source = Path(str(order.model.path))
    model = keras_files.load_keras(source, trusted=order.model.trusted)
    path = order.folder / "model.keras"
    if source.suffix == ".keras":
        shutil.copyfile(source, path)
    else:
        model.save(path)
    return path, keras_files.facts(model), {}


def _take_function(order: Order) -> Made:
    """A model that a function of the user's builds: code of theirs, so only with trust."""
    if not order.model.trusted:
        raise EngineError(f"{order.model.path} is code, which is not run without trust", keras_files.TRUST)
    module, _, name = str(order.model.path).partition(":")
    sys.path.insert(0, str(Path.cwd()))
    keras = keras_files.import_keras()
    try:
        model = getattr(importlib.import_module(module), name)()
    except Exception as error:  # the user's code may raise anything
        raise EngineError(f"{order.model.path} failed: {type(error).__name__}: {error}", "run the function by itself") from error
    if not isinstance(model, keras.Model):
        raise EngineError(f"{order.model.path} gave a {type(model).__name__}", "let it return a Keras model")
    path = order.folder / "model.keras"
    model.save(path)
    return path, keras_files.facts(model), {}


def _take_tflite(order: Order) -> Made:
    source, path = Path(str(order.model.path)), order.folder / "model.tflite"
    tflite_files.check_tflite(source)
    shutil.copyfile(source, path)
    return path, tflite_files.facts(path), {}


def _take_onnx(order: Order) -> Made:
    """The model in one file, its external data with it."""
    source, path = Path(str(order.model.path)), order.folder / "model.onnx"
    model = onnx_files.load_onnx(source)
    if source.stat().st_size == (size := model.ByteSize()):
        shutil.copyfile(source, path)
    elif size <= ONNX_BYTES:
        onnx_files.import_onnx().save(model, str(path))
    else:
        raise EngineError(f"{source.name} with its external data is larger than 2 GiB", "models of this size are not supported in ONNX yet")
    with reading(source, *onnx_files.KIND):
        return path, onnx_files.facts(model), {}


FIRST_STEPS: dict[str, Callable[[Order], Made]] = {"dataset": _dataset, "train": _train, "source": _source}

# --- every later step ----------------------------------------------------------------------------------------------------


def _recipe(order: Order) -> Made:
    """A variant or an exporter, on the artifact of the step before."""
    recipe: Recipe = plugins.load("variants", order.build.step.recipe)()
    spec = recipe.spec
    assert order.source
    job = Job(
        source=Path(order.source["path"]),
        source_format=order.source["format"],
        target_format=order.build.format,
        folder=order.folder,
        parameters=spec.parameters(**order.build.step.parameters) if spec.parameters else None,
        data=_train_data(order) if spec.needs else None,
        training=_training(order),
        seed=order.seed,
        trusted=order.model.trusted,
    )
    if spec.needs and (job.data is None or ("labels" in spec.needs and job.data.labels is None)):
        raise EngineError(f"{spec.name} needs {' and '.join(spec.needs)}, which the model does not have", "name them in `data.train`")
    path, facts = recipe.apply(job)
    return path, _inherit(facts, order.source.get("facts") or {}), job.notes


def _training(order: Order) -> Training:
    """The suite's, or the built-in workload's own."""
    return order.model.training or (_workload(order).training if order.model.workload else Training())


def _train_data(order: Order) -> TrainData | None:
    """The training and validation splits of a built-in workload, or the user's own training arrays."""
    if order.model.workload:
        if order.dataset is None:
            raise EngineError("the build was given no dataset", "this is a bug of the harness: please report it")
        train, validation = (_split(order.dataset / f"{name}.npz") for name in ("train", "validation"))
        return TrainData(train.inputs, train.labels, validation)
    return _arrays(order.model.train) if order.model.train else None


def _split(path: Path) -> TrainData:
    return TrainData([load_array(path, "inputs")], load_array(path, "labels"))


def _arrays(data: DataRef) -> TrainData:
    labels = load_array(data.labels.path, data.labels.key) if data.labels else None
    inputs = [load_array(ref.path, ref.key) for ref in data.inputs]
    if len({len(array) for array in (*inputs, *([] if labels is None else [labels]))}) > 1:
        raise EngineError("the arrays of `data.train` have different numbers of samples", "the first axis is the sample")
    return TrainData(inputs, labels)


def _inherit(facts: ArtifactFacts, parent: dict[str, Any]) -> ArtifactFacts:
    """What the step could not count and cannot have changed: how many weights there are and what is multiplied, not which of them are 0."""
    inherited = {name: parent.get(name) for name in ("parameters", "macs") if getattr(facts, name) is None}
    return facts.model_copy(update=inherited)


if __name__ == "__main__":
    main()
