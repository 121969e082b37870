"""(A build or a case, the suite, the artifacts so far) -> what its child is started with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from harness import plugins, venvs
from harness.channel import Request
from harness.engines.base import Load
from harness.schema import Artifact, Build, Case, DataSource, Model, Suite, Task
from harness.schema.worker import ArrayFile, BuildTask, Dataset, MeasureTask, ModelFile, SourceFile, SplitFile

RUNS = {"engine", "device", "batch_size", "threads", "scenario"}
"""Fields of a case that its child is given as they are."""
# Builds run on the CPU, so that every machine makes the same artifact.
BUILD_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def build_request(build: Build, suite: Suite, artifacts: Mapping[str, Artifact], folder: Path, memory_bytes: int) -> Request:
    """The request of a build; the model's test data stay behind.

    Args:
        build: What to make.
        suite: It belongs to.
        artifacts: By build id; its parent's must be there.
        folder: Empty, for the result.
        memory_bytes: Ceiling of the child.

    Raises:
        EngineError: The recipe has a virtual environment of its own, which is not there.
    """
    source = artifacts.get(build.parent) if build.parent else None
    dataset = artifacts.get(build.data_id or _first(suite, build).build_id)
    task = BuildTask(
        model=suite.model(build.model),
        build=build,
        source=SourceFile(path=source.path, format=source.format, facts=source.facts) if source else None,
        dataset=Dataset(path=dataset.path, splits=dataset.notes.get("splits", {})) if dataset and dataset.format == "npz" else None,
        data=_data_source(suite.model(build.model), build),
        folder=str(folder),
        seed=suite.seed,
        memory_bytes=memory_bytes,
    )
    return Request("harness.worker.build", task, python=(_interpreter(build),), environment=BUILD_ENVIRONMENT)


def _interpreter(build: Build) -> str:
    """Our own, or that of the recipe's virtual environment."""
    spec = plugins.catalogue().variants.get(build.step.recipe)
    return venvs.python(spec.venv) if spec and spec.venv else sys.executable


def case_request(case: Case, suite: Suite, artifacts: Mapping[str, Artifact], memory_bytes: int, visible: str | None = None) -> Request:
    """The request of a repetition.

    Args:
        case: What to measure.
        suite: It belongs to.
        artifacts: By build id; the case's own must be there.
        memory_bytes: Ceiling of the child; not set on an accelerator, whose driver maps far more than it uses.
        visible: UUID of the card that the child may use; None: the user's own CUDA_VISIBLE_DEVICES holds. A case on `cpu` sees no card.
    """
    model, artifact = suite.model(case.model), artifacts[case.build_id]
    inputs, labels = _test_data(model, artifacts.get(case.dataset_id or ""))
    engine = plugins.load("engines", case.engine)
    options = engine.spec.parameters(**case.engine_options) if engine.spec.parameters else None
    load = Load(Path(artifact.path), artifact.format, case.device, case.batch_size, case.threads, options, model.trusted)
    task = MeasureTask(
        **case.model_dump(include=RUNS),
        engine_options=case.engine_options,
        artifact=ModelFile(path=artifact.path, format=artifact.format),
        inputs=inputs,
        labels=labels,
        metric=model.metric if labels and not engine.spec.simulated else None,
        metric_direction=model.metric_direction,
        metric_threshold=model.metric_threshold,
        metric_ignore=model.metric_ignore,
        input_shapes=model.input_shapes,
        trusted=model.trusted,
        code_folder=model.folder,
        memory_bytes=memory_bytes if case.device == "cpu" else None,
    )
    return Request(
        "harness.worker.measure",
        task,
        environment={**engine.environment(load), **_shown(case.device, visible)},
        simulated=engine.spec.simulated,
        artifact=artifact,
        precision=plugins.catalogue().requested_precision(case),
    )


def _shown(device: str, visible: str | None) -> dict[str, str]:
    """What CUDA shows to the child: for a case on the processor no card, which would draw power for nothing."""
    shown = "-1" if device == "cpu" else visible if device == "gpu" else None
    return {} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}


def null_request() -> tuple[Task, Request]:
    """A task that computes nothing, to see what measuring itself costs: queries of 1 ms that spin."""
    case = Case(
        case_id="null", model="null", variant="dense", steps=(), engine="null", device="cpu", batch_size=1, threads=1,
        scenario="single_stream", build_id="null", baseline_case_id=None,
    )  # fmt: skip
    task = MeasureTask(**case.model_dump(include=RUNS), engine_options={"query_s": 0.001}, artifact=ModelFile(path="/", format="none"))
    return Task(case=case), Request("harness.worker.measure", task, simulated=True)


def _first(suite: Suite, build: Build) -> Build:
    while build.parent:
        build = suite.build(build.parent)
    return build


def _data_source(model: Model, build: Build) -> DataSource | None:
    """What a build of data turns into arrays: one split, so that the build of one never hears of the other; null for any other build."""
    if build.step.recipe != "data":
        return None
    ref = model.test if build.step.parameters["split"] == "test" else model.train
    assert ref and ref.source
    return ref.source


def _test_data(model: Model, dataset: Artifact | None) -> tuple[tuple[ArrayFile, ...], ArrayFile | None]:
    """Where the measuring child finds its inputs and labels."""
    if dataset:
        path = str(Path(dataset.path) / "test.npz")
        split = SplitFile(**dataset.notes.get("splits", {}).get("test", {}))
        inputs = tuple(ArrayFile(path=path, key=each.key, name=each.name) for each in split.inputs)
        return inputs, ArrayFile(path=path, key="labels") if split.labels else None
    if model.test is None:
        return (), None
    inputs = tuple(ArrayFile(path=ref.path, key=ref.key, name=ref.name) for ref in model.test.inputs)
    labels = model.test.labels
    return inputs, ArrayFile(path=labels.path, key=labels.key) if labels else None
