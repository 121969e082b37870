"""A resolved suite: profiles, models, builds, cases, and the tasks made of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from harness.schema.base import FrozenModel
from harness.schema.builds import Build, Step
from harness.schema.served import Slo, TokenLoad, Unit


class ArrayRef(FrozenModel):
    """One array in an `.npz` file."""

    path: str
    """Absolute path of the file."""
    key: str
    """Name of the array in the file."""
    sha256: str
    name: str | None = None
    """Model input that it feeds; None: by position."""


class DataSource(FrozenModel):
    """Samples that are not arrays yet; a build writes them as `.npz`."""

    kind: Literal["images", "csv", "function"]
    path: str
    """Absolute path of the folder or table, or `package.module:function`."""
    sha256: str
    """Hash of the content; for a function, of the code in the suite's folder."""
    labelled: bool = True
    """Whether it has labels; for a function this is known only after its build."""
    options: dict[str, Any] = {}
    """Options in the suite: columns, scale, size."""


class DataRef(FrozenModel):
    """The user's samples: arrays in `.npz` files, or a source."""

    inputs: tuple[ArrayRef, ...] = ()
    """An array for each input, in the model's order; empty with a source."""
    labels: ArrayRef | None = None
    """Labels; None: there are none, or a source has them."""
    source: DataSource | None = None
    """Source of the samples; None: arrays."""

    @property
    def labelled(self) -> bool:
        """Whether the samples have labels."""
        return self.source.labelled if self.source else self.labels is not None

    def content(self) -> dict[str, Any]:
        """Fields without paths, so that equal data are equal on another machine."""
        content = self.model_dump(mode="json", exclude={"inputs": {"__all__": {"path"}}, "labels": {"path"}, "source": {"path"}})
        return {name: value for name, value in content.items() if (name, value) != ("source", None)}


class Training(FrozenModel):
    """Options for fine-tuning a user's model."""

    model_config = ConfigDict(strict=True)

    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    epochs: int = Field(10, ge=1, le=100_000)
    batch_size: int = Field(32, ge=1)
    learning_rate: float | None = Field(None, gt=0)


class LmEval(FrozenModel):
    """A task of EleutherAI's lm_eval, which evaluates a served model over its API."""

    task: str
    """Name of the task or of a group of tasks."""
    limit: int | None = None
    """Number of samples, the first ones of the task; None: all."""
    path: str | None = None
    """Absolute path of the user's definition of the task; None: a task of lm_eval."""
    sha256: str | None = None
    """Hash of that definition; None as `path`."""


class Model(FrozenModel):
    """A model of the suite, built in (`workload`) or user-defined (`path`)."""

    name: str
    """Name in the suite."""
    workload: str | None = None
    """Plug-in of a built-in model; None for a user's model."""
    member: str | None = None
    """Model of a plug-in that has several; None: it has one."""
    options: dict[str, Any] = {}
    """Options of the plug-in."""
    path: str | None = None
    """Absolute path of the user's file or folder, or `package.module:function`; None for a built-in model."""
    format: str
    """Model format: the name of a format plug-in; `python` for a function, `workload` for a built-in model."""
    framework: str = "keras"
    """Framework of the model that a function or a workload returns; not used for a file."""
    sha256: str
    """Hash of the content; for a built-in model of its name, options and version."""
    train: DataRef | None = None
    """Training data; None: not given."""
    test: DataRef | None = None
    """Test data; None: not given."""
    brings: Literal["labelled", "unlabelled"] | None = None
    """Data of a built-in model; None: it has none, or the user's are used."""
    trains: bool = False
    """Whether a built-in model is first trained."""
    metric: str | None = "accuracy"
    """Name of a metric, or `package.module:function`; None: quality is not scored."""
    metric_direction: Literal["higher", "lower"] = "higher"
    """Direction in which a user's metric improves."""
    metric_threshold: float | None = None
    """Value above which a single output is class 1; None: by the model's last operator."""
    metric_ignore: int | None = None
    """Label of positions that do not count, in maps and sequences; None: all count."""
    lm_eval: LmEval | None = None
    """Task that gives the quality of a served model; None: its quality is not evaluated so."""
    signature: str | None = None
    """Measured signature of a `.tflite` file; None: the only one, or the main graph."""
    input_shapes: dict[str, tuple[int, ...]] = {}
    """Shape of one sample of each input with dynamic dimensions, by name; empty: from the test data."""
    training: Training | None = None
    """Options for fine-tuning; None: the defaults."""
    trusted: bool = False
    """Whether the user allows the model to run its own code."""
    folder: str | None = None
    """Folder that the user's functions are imported from; None: there are none."""


Copies = Literal["inside", "outside"]


def default_copies(device: str) -> Copies:
    """Place of the copies of a query by default: outside on the CPU, where nothing is copied, inside on any other device."""
    return "outside" if device == "cpu" else "inside"


def timing_text(device: str, copies: Copies, in_flight: int) -> str:
    """`copies outside, 4 in flight`; empty if both are the default. Cases with different texts are not compared with each other."""
    parts = [f"copies {copies}"] if copies != default_copies(device) else []
    return ", ".join([*parts, *([f"{in_flight} in flight"] if in_flight != 1 else [])])


class Timed(FrozenModel):
    """What a latency includes, and how many queries are sent ahead; absent in older files, which have the defaults."""

    device: str
    """Device: `cpu`, `gpu`, or a plug-in's own."""
    copies: Copies = "outside"
    """Whether the copies of a query between host and device are inside the timed region, or outside; default: `default_copies` of the device."""
    in_flight: int = 1
    """Largest number of queries that are sent before the oldest is complete."""

    @property
    def timing(self) -> str:
        """How it is timed where that is not the default; see `timing_text`."""
        return timing_text(self.device, self.copies, self.in_flight)

    @model_validator(mode="before")
    @classmethod
    def _fill_copies(cls, values: Any) -> Any:
        if isinstance(values, dict) and "copies" not in values and "device" in values:
            return values | {"copies": default_copies(values["device"])}
        return values


class Case(Timed):
    """One cell of the matrix."""

    case_id: str
    """Canonical text of the fields below."""
    model: str
    variant: str
    """Text of the variant."""
    steps: tuple[Step, ...]
    """Recipes of the variant."""
    engine: str
    engine_options: dict[str, Any] = {}
    card: str | None = None
    """UUID of the GPU that a suite or `--device` chose for a case on `gpu`; None: the first that CUDA programs see."""
    batch_size: int
    threads: int
    scenario: str
    """Load pattern."""
    build_id: str
    """Build whose artifact it runs."""
    dataset_id: str | None = None
    """Build that wrote its test data; None: the suite names arrays, or none."""
    baseline_case_id: str | None
    """Dense case with the same other settings; None: not in the suite."""
    load: TokenLoad | None = None
    """Requests of a case that generates text; None: it answers queries."""

    @property
    def unit(self) -> Unit:
        """What its energy and throughput are counted per."""
        return "output_token" if self.load else "inference"

    @property
    def timing(self) -> str:
        """As of `Timed`; of generated text the lengths of the requests."""
        return self.load.lengths if self.load else super().timing

    @property
    def device_text(self) -> str:
        """Device as the case's id has it: `gpu:UUID` if the suite chose the card."""
        return f"gpu:{self.card}" if self.card and f"/gpu:{self.card}/" in self.case_id else self.device


class Impossible(FrozenModel):
    """A cell of the matrix that is not supported."""

    case_id: str
    reason: str


TIMEOUT_S, LOAD_TIMEOUT_S, LM_EVAL_TIMEOUT_S = 120.0, 600.0, 3600.0
"""Default time limits, s. Loading has the longer one: kernels that a wheel lacks for a card are compiled for minutes (TensorFlow's PTX, TensorRT)."""


class Limits(FrozenModel):
    """Bounds on one task."""

    model_config = ConfigDict(strict=True)

    timeout_s: float = Field(TIMEOUT_S, gt=0, le=86_400)
    """Longest duration of one query after the first ones, at least 10 s, and of scoring the quality, s."""
    load_timeout_s: float | None = Field(None, gt=0, le=86_400)
    """Longest duration of loading and of the first queries, which may compile kernels, s; None: 600 s, or `timeout_s` if that is not 120 s."""
    build_timeout_s: float = Field(1800.0, gt=0, le=604_800)
    """Longest duration of a build, s."""
    lm_eval_timeout_s: float = Field(LM_EVAL_TIMEOUT_S, gt=0, le=604_800)
    """Longest duration of an evaluation with lm_eval, s; then the case has no quality."""
    memory_bytes: int | None = Field(None, ge=64 * 2**20)
    """Limit of the child's private memory; None: nine tenths of what is available when the run starts."""

    @property
    def loading_s(self) -> float:
        """Limit of loading and the first queries in seconds; `timeout_s` alone is meant for loading too."""
        if self.load_timeout_s is not None:
            return self.load_timeout_s
        return LOAD_TIMEOUT_S if self.timeout_s == TIMEOUT_S else self.timeout_s


class Acceptance(FrozenModel):
    """Rules that a run must keep to be used for a procurement; a rule that is not written is not required."""

    model_config = ConfigDict(strict=True)

    max_temperature_degc: float | None = Field(
        None, gt=0, le=150, description="largest mean temperature of a case's device over a window, degC"
    )
    max_temperature_range_k: float | None = Field(
        None, gt=0, le=150, description="largest difference of that mean between the launches of a case: the temperature is level, K"
    )
    max_foreign_cores: float | None = Field(None, ge=0, le=10_000, description="CPU cores that other processes use during a window")
    exclusive_card: bool = Field(False, description="no other process on the card of a case, and no MIG")
    default_power_cap: bool = Field(False, description="the power limit of the card of a case is its default; otherwise no run is started")


class Suite(FrozenModel):
    """A suite with all names resolved, as `run.json` keeps it."""

    name: str
    sha256: str
    """Hash of the resolved content."""
    models: tuple[Model, ...]
    cases: tuple[Case, ...]
    """Cells of the matrix."""
    builds: tuple[Build, ...]
    """Build steps of all cases."""
    impossible: tuple[Impossible, ...] = ()
    """Cells that are not supported."""
    domains: tuple[str, ...] | None = None
    """Domains that count as a case's energy; None: by its device."""
    allow: tuple[Literal["mig_shared"], ...] = ()
    """Codes of invalidating findings that the suite accepts: they are reported, and the energy is used."""
    quality_margin: float = 0.01
    """Non-inferiority margin of the quality, in the metric's unit."""
    stopping: Literal["half_width", "open_pairs"] = "half_width"
    """Stopping rule: half_width repeats each case until its interval is narrow, open_pairs those for which it is undecided whether they are on the front."""
    limits: Limits = Limits()
    """Bounds on each task."""
    acceptance: Acceptance | None = None
    """Rules that a run must keep; None: the suite has none."""
    slo: Slo | None = None
    """Objectives of a request, for the goodput of cases that generate text; None: the suite has none."""
    seed: int = 0
    """Seed of the order of tasks."""

    def model(self, name: str) -> Model:
        """The model of a name."""
        return next(model for model in self.models if model.name == name)

    def build(self, build_id: str) -> Build:
        """The build of an id."""
        return next(build for build in self.builds if build.build_id == build_id)


class Task(FrozenModel):
    """A build, or one repetition of a case."""

    build: Build | None = None
    case: Case | None = None
    block: int = 0
    repetition: int = 0
    attempt: int = 1
    profiled: bool = True
    """Whether kernels and outputs are requested: of a case without an earlier completed repetition, since they are the same in each."""

    @property
    def name(self) -> str:
        """Text for progress and messages."""
        if self.case:
            return self.case.case_id
        assert self.build
        return "build " + " > ".join((self.build.model, *self.build.lineage))

    @property
    def identity(self) -> dict[str, Any]:
        """Fields of a record that identify its task."""
        return {
            "task": "case" if self.case else "build",
            "case_id": self.case.case_id if self.case else None,
            "build_id": self.case.build_id if self.case else self.build.build_id if self.build else None,
            "block": self.block,
            "repetition": self.repetition,
            "attempt": self.attempt,
        }
