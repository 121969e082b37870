"""A suite, resolved: profiles, models, builds, cases, and the tasks made of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from harness.schema.base import FrozenModel


class Profile(FrozenModel):
    """How much a run spends: measurement.md, section 4."""

    name: Literal["quick", "standard", "publish"]
    first: int
    """Repetitions of every case before any is judged."""
    cap: int
    """The most repetitions of one case."""
    half_width: float | None
    """Relative half-width of the repeatability interval at which a case is finished; null: `first` repetitions, told as they are."""
    window_s: float
    """The least length of the measured window."""
    window_ticks: float = 0.0
    """The least length in update periods of the slowest counter."""
    window_inferences: int = 0
    """The least length in inferences."""
    idle_s: float
    """Idle, model loaded, before and after."""
    warmup_s: float
    """Bound of the warm-up that waits for a steady state; 0: the lead-in alone."""
    slope_s: float = 0.0
    """Over how long power and temperature must have been level; 0: the rate of queries is watched instead."""


PROFILES: dict[str, Profile] = {
    "quick": Profile(
        name="quick", first=3, cap=3, half_width=None, window_s=1.5, window_ticks=5, window_inferences=3, idle_s=0.5, warmup_s=0.0
    ),
    "standard": Profile(
        name="standard", first=5, cap=8, half_width=0.02, window_s=3.0, window_ticks=20, window_inferences=8, idle_s=1.0, warmup_s=5.0
    ),
    "publish": Profile(
        name="publish",
        first=5,
        cap=30,
        half_width=0.01,
        window_s=10.0,
        window_ticks=100,
        window_inferences=32,
        idle_s=5.0,
        warmup_s=300.0,
        slope_s=30.0,
    ),
}


class Step(FrozenModel):
    """One recipe of a variant's chain with its parameters, defaults filled in."""

    recipe: str
    parameters: dict[str, Any] = {}


class ArrayRef(FrozenModel):
    """One array in one `.npz` file."""

    path: str
    key: str
    sha256: str
    name: str | None = None
    """The model input it feeds; null: by position."""


class DataSource(FrozenModel):
    """Samples that are no arrays yet: a build of their own writes them as `.npz`, once."""

    kind: Literal["images", "csv", "function"]
    path: str
    """Absolute path of the folder or table, or `package.module:function`."""
    sha256: str
    """Of the content; of a function that of the code beside the suite."""
    labelled: bool = True
    """Whether labels come with it; a function's are known only once it has run."""
    options: dict[str, Any] = {}
    """As the suite says: columns, scale, size."""


class DataRef(FrozenModel):
    """The user's samples: arrays in `.npz` files (absolute path, key and content hash for each input in the model's order, and for the labels), or a source."""

    inputs: tuple[ArrayRef, ...] = ()
    labels: ArrayRef | None = None
    source: DataSource | None = None

    @property
    def labelled(self) -> bool:
        """Whether labels come with the samples."""
        return self.source.labelled if self.source else self.labels is not None

    def content(self) -> dict[str, Any]:
        """What makes the data the same on another machine: not their paths."""
        content = self.model_dump(mode="json", exclude={"inputs": {"__all__": {"path"}}, "labels": {"path"}, "source": {"path"}})
        return {name: value for name, value in content.items() if (name, value) != ("source", None)}


class Training(FrozenModel):
    """How a user's model is fine-tuned, as the suite says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    epochs: int = Field(10, ge=1, le=100_000)
    batch_size: int = Field(32, ge=1)
    learning_rate: float | None = Field(None, gt=0)


class Model(FrozenModel):
    """A model of the suite: built in (`workload`) or the user's own (`path`)."""

    name: str
    workload: str | None = None
    """The plug-in that brings a built-in model."""
    member: str | None = None
    """Which model of a plug-in that brings several."""
    options: dict[str, Any] = {}
    """Of the plug-in."""
    path: str | None = None
    """Absolute path of the user's file or folder, or `package.module:function`."""
    format: str
    """keras, h5, savedmodel, tflite, onnx; `python` for a function; `workload` for a built-in one."""
    sha256: str
    """Of the content; for a built-in model of its name, options and version."""
    train: DataRef | None = None
    test: DataRef | None = None
    brings: Literal["labelled", "unlabelled"] | None = None
    """The data that a built-in model brings with it; null: none, or the user's are used."""
    trains: bool = False
    """Whether a built-in model is trained first."""
    metric: str | None = "accuracy"
    """Name of a metric, or `package.module:function`; null: no quality of its own."""
    metric_direction: Literal["higher", "lower"] = "higher"
    """Which is better; for a function of the user's."""
    metric_threshold: float | None = None
    """Above which a single output is class 1; None: what the model's last operator says."""
    metric_ignore: int | None = None
    """The label of positions that do not count, in maps and sequences; None: all count."""
    signature: str | None = None
    """Which signature of a `.tflite` is measured; None: its only one, or its main graph."""
    input_shapes: dict[str, tuple[int, ...]] = {}
    """Sizes of inputs with dynamic dimensions, by the input's name, of one sample; empty: the test data say them."""
    training: Training | None = None
    trusted: bool = False
    folder: str | None = None
    """Where the user's functions are looked for: the suite's folder."""


class Build(FrozenModel):
    """One step of making an artifact; `build_id` is the hash of everything that determines the result."""

    build_id: str
    model: str
    step: Step
    """recipe `dataset`, `train` or `source` at the start of a chain, then variants and exporters; `data` for the user's samples."""
    parent: str | None = None
    """The build whose artifact goes in; null for the first step."""
    data_id: str | None = None
    """The build that wrote the training data it learns from; null: none, or those at the start of its own chain."""
    format: str
    """What comes out."""
    lineage: tuple[str, ...] = ()
    """The steps so far, as text."""


class Case(FrozenModel):
    """One cell of the matrix; `case_id` is its canonical text."""

    case_id: str
    model: str
    variant: str
    steps: tuple[Step, ...]
    engine: str
    engine_options: dict[str, Any] = {}
    device: str
    batch_size: int
    threads: int
    scenario: str
    build_id: str
    """The build whose artifact it runs."""
    dataset_id: str | None = None
    """The build that wrote its test data; null where the suite names arrays, or none."""
    baseline_case_id: str | None
    """Dense on the same engine, device, batch, threads and scenario; null where the suite has none."""


class Impossible(FrozenModel):
    """A cell of the matrix that cannot be, and why."""

    case_id: str
    reason: str


class Limits(FrozenModel):
    """Bounds on one task."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    timeout_s: float = Field(120.0, gt=0, le=86_400)
    """The longest a child may be silent while it loads, infers once, or measures quality."""
    build_timeout_s: float = Field(1800.0, gt=0, le=604_800)
    memory_bytes: int | None = Field(None, ge=64 * 2**20)
    """Ceiling of the child's private memory; null: nine tenths of what is available when the run starts."""


class Suite(FrozenModel):
    """A suite with every name resolved: what `run.json` keeps."""

    name: str
    sha256: str
    """Of the resolved content, so that two runs may be compared."""
    models: tuple[Model, ...]
    cases: tuple[Case, ...]
    builds: tuple[Build, ...]
    impossible: tuple[Impossible, ...] = ()
    domains: tuple[str, ...] | None = None
    """What counts as a case's energy; null: the domains of its device."""
    allow: tuple[Literal["mig_shared"], ...] = ()
    """Findings that make an energy invalid and that this suite accepts: they are reported, and the energy is used."""
    quality_margin: float = 0.01
    stopping: Literal["half_width", "open_pairs"] = "half_width"
    """After the first repetitions: half_width repeats each case until its interval is narrow, open_pairs those whose place on the front is not settled."""
    limits: Limits = Limits()
    seed: int = 0

    def model(self, name: str) -> Model:
        """The model of that name."""
        return next(model for model in self.models if model.name == name)

    def build(self, build_id: str) -> Build:
        """The build of that id."""
        return next(build for build in self.builds if build.build_id == build_id)


class Task(FrozenModel):
    """What the runner is given: a build, or one repetition of a case."""

    build: Build | None = None
    case: Case | None = None
    block: int = 0
    repetition: int = 0
    attempt: int = 1

    @property
    def name(self) -> str:
        """What a person is told is running."""
        if self.case:
            return self.case.case_id
        assert self.build
        return "build " + " > ".join((self.build.model, *self.build.lineage))

    @property
    def identity(self) -> dict[str, Any]:
        """The fields of a record that say whose it is."""
        return {
            "task": "case" if self.case else "build",
            "case_id": self.case.case_id if self.case else None,
            "build_id": self.case.build_id if self.case else self.build.build_id if self.build else None,
            "block": self.block,
            "repetition": self.repetition,
            "attempt": self.attempt,
        }
