"""Request with which the child of a build or a case is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness import plugins, venvs
from harness.channel import Request
from harness.engines.base import Load
from harness.errors import EngineError
from harness.formats.shapes import stored_sample_shape
from harness.run.prepared import target_of
from harness.schema import Artifact, Build, Case, DataSource, Model, PluginSpec, Suite, Target, Task
from harness.schema.suite import LmEval
from harness.schema.worker import (
    ArrayFile,
    BuildTask,
    Dataset,
    Evaluation,
    MeasureTask,
    ModelFile,
    SampleShape,
    ServeTask,
    SourceFile,
    SplitFile,
)
from harness.suite.environments import maker

CASE_FIELDS = {"engine", "device", "batch_size", "threads", "scenario", "copies", "in_flight"}
"""Fields of a case that its task takes unchanged."""
MODEL_FIELDS = {"metric_direction", "metric_threshold", "metric_ignore", "input_shapes", "trusted"}
"""Fields of a model that its task takes unchanged."""
# Builds run on the CPU, so that every machine makes the same artifact.
BUILD_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def build_request(
    build: Build, suite: Suite, artifacts: Mapping[str, Artifact], folder: Path, memory_bytes: int, visible: str | None = None
) -> Request:
    """The request of a build; the model's test data are left out.

    Args:
        build: The build.
        suite: Suite that it belongs to.
        artifacts: Artifacts by build id.
        folder: Empty folder for the artifact.
        memory_bytes: Memory limit of the child; not applied on a GPU.
        visible: UUID of the GPU that the child of a build with a target may use; as in `case_request`.

    Raises:
        EngineError: The virtual environment of the recipe is not installed, or the test data cannot be read.
    """
    model, catalogue, target = suite.model(build.model), plugins.catalogue(), build.target
    source = artifacts.get(build.parent) if build.parent else None
    dataset = artifacts.get(build.data_id or _first(suite, build).build_id)
    task = BuildTask(
        model=model,
        build=build,
        source=SourceFile(path=source.path, format=source.format, facts=source.facts) if source else None,
        dataset=_dataset(dataset) if dataset and dataset.format == "npz" and not target else None,
        data=_data_source(model, build),
        shapes=_shapes(model, dataset if build.data_id else None) if target else (),
        folder=str(folder),
        seed=suite.seed,
        memory_bytes=memory_bytes if target is None or target.device == "cpu" else None,
    )
    python = venvs.python(maker(build, suite, catalogue))
    environment: Mapping[str, str] = BUILD_ENVIRONMENT
    if target:
        assert source
        environment = _environment(target, source, trusted=model.trusted, visible=visible)
    return Request("harness.worker.build", task, python=(python,), environment=environment)


def case_request(case: Case, suite: Suite, artifacts: Mapping[str, Artifact], memory_bytes: int, visible: str | None = None) -> Request:
    """The request of one repetition of a case.

    Args:
        case: The case.
        suite: Suite that it belongs to.
        artifacts: Artifacts by build id, that of the case among them.
        memory_bytes: Memory limit of the child; not applied on a GPU, whose driver maps far more memory than it uses.
        visible: UUID of the GPU that the child may use; None: as CUDA_VISIBLE_DEVICES is set. A case on `cpu` sees no GPU.
    """
    if case.load:
        return _token_request(case, suite, artifacts[case.build_id], memory_bytes, visible)
    model, artifact, prepared = suite.model(case.model), artifacts[case.build_id], target_of(suite, case)
    opened = artifacts[str(prepared.parent)] if prepared else artifact
    inputs, labels = _test_data(model, artifacts.get(case.dataset_id or ""))
    engine = plugins.load("engines", case.engine)
    task = MeasureTask(
        **case.model_dump(include=CASE_FIELDS),
        **model.model_dump(include=MODEL_FIELDS),
        engine_options=case.engine_options,
        artifact=ModelFile(path=opened.path, format=opened.format),
        prepared=artifact.path if prepared else None,
        inputs=inputs,
        labels=labels,
        metric=model.metric if labels and not engine.spec.simulated else None,
        code_folder=model.folder,
        memory_bytes=memory_bytes if case.device == "cpu" else None,
    )
    return Request(
        "harness.worker.measure",
        task,
        python=(venvs.python(engine.spec.at(case.device)),),
        environment=_environment(case, opened, trusted=model.trusted, visible=visible),
        simulated=engine.spec.simulated,
        artifact=artifact,
        precision=plugins.catalogue().requested_precision(case),
    )


def _token_request(case: Case, suite: Suite, artifact: Artifact, memory_bytes: int, visible: str | None) -> Request:
    """As `case_request`, of a case that generates text."""
    model, engine = suite.model(case.model), plugins.load("engines", case.engine)
    limits, evaluator = suite.limits, engine.spec.evaluator
    task = ServeTask(
        **case.model_dump(include={"engine", "engine_options", "device", "threads", "scenario", "load"}),
        artifact=ModelFile(path=artifact.path, format=artifact.format),
        trusted=model.trusted,
        code_folder=model.folder,
        memory_bytes=memory_bytes if case.device == "cpu" else None,
        seed=suite.seed,
        warm_s=limits.timeout_s,
        drain_s=limits.timeout_s,
        evaluation=_evaluation(model.lm_eval, evaluator, limits.lm_eval_timeout_s) if model.lm_eval and evaluator else None,
    )
    return Request(
        "harness.worker.serve",
        task,
        python=(venvs.python(engine.spec.at(case.device)),),
        environment=_environment(case, artifact, trusted=model.trusted, visible=visible),
        simulated=engine.spec.simulated,
        artifact=artifact,
        precision=plugins.catalogue().requested_precision(case),
    )


def _evaluation(task: LmEval, evaluator: PluginSpec, timeout_s: float) -> Evaluation:
    """The evaluation of a served model; the case has its energy without it, so that a missing environment is not an error here."""
    try:
        return Evaluation(**task.model_dump(), python=venvs.python(evaluator), timeout_s=timeout_s)
    except EngineError as error:
        return Evaluation(**task.model_dump(), missing=error.what, remedy=error.hint or "", timeout_s=timeout_s)


def _environment(of: Case | Target, source: Artifact, *, trusted: bool, visible: str | None) -> dict[str, str]:
    """Environment of a child that opens a model with an engine."""
    engine = plugins.load("engines", of.engine)
    options = engine.spec.parameters(**of.engine_options) if engine.spec.parameters else None
    load = Load(Path(source.path), source.format, of.device, of.batch_size, of.threads, options, trusted)
    return {**engine.environment(load), **_cuda_visible(of.device, visible)}


def _cuda_visible(device: str, visible: str | None) -> dict[str, str]:
    """GPUs that CUDA shows to the child: none for a case on the CPU."""
    value = "-1" if device == "cpu" else visible if device == "gpu" else None
    return {} if value is None else {"CUDA_VISIBLE_DEVICES": value}


def null_request() -> tuple[Task, Request]:
    """A task of the null engine, which busy-waits for 1 ms a query."""
    case = Case(
        case_id="null", model="null", variant="dense", steps=(), engine="null", device="cpu", batch_size=1, threads=1,
        scenario="single_stream", build_id="null", baseline_case_id=None,
    )  # fmt: skip
    artifact = ModelFile(path="/", format="none")
    task = MeasureTask(**case.model_dump(include=CASE_FIELDS), engine_options={"query_s": 0.001}, artifact=artifact)
    return Task(case=case), Request("harness.worker.measure", task, simulated=True)


def _dataset(artifact: Artifact) -> Dataset:
    return Dataset(path=artifact.path, splits=artifact.notes.get("splits", {}))


def _shapes(model: Model, dataset: Artifact | None) -> tuple[SampleShape, ...]:
    """Shapes of the test inputs; empty if there are none."""
    inputs, _ = _test_data(model, dataset)
    return tuple(SampleShape(shape=stored_sample_shape(Path(each.path), each.key), name=each.name) for each in inputs)


def _first(suite: Suite, build: Build) -> Build:
    while build.parent:
        build = suite.build(build.parent)
    return build


def _data_source(model: Model, build: Build) -> DataSource | None:
    """Source of a build of data; None for any other build."""
    if build.step.recipe != "data":
        return None
    ref = model.test if build.step.parameters["split"] == "test" else model.train
    assert ref and ref.source
    return ref.source


def _test_data(model: Model, dataset: Artifact | None) -> tuple[tuple[ArrayFile, ...], ArrayFile | None]:
    """Files of the test inputs and labels."""
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
