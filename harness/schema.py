"""The nouns: what a suite, a case, a trace and a record are, each field with its meaning, its unit, and when it is null.

History of the record's schema (`schema_version`); `store` migrates older ones on reading:

- 1: the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Kind = Literal["counter", "sampled", "modelled", "simulated", "absent"]
Status = Literal["ok", "failed", "oom", "timeout", "killed", "refused"]
Floats = NDArray[np.float64]

# From the strongest evidence to the weakest; a sum is as strong as its weakest part.
KINDS: tuple[Kind, ...] = ("counter", "sampled", "modelled", "simulated", "absent")


class Noun(BaseModel):
    """A frozen value, validated once where it enters the program."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- what plug-ins say of themselves -------------------------------------------------------------------------------


class PluginSpec(Noun):
    """What is known of a plug-in without importing its library."""

    name: str
    summary: str = ""
    packages: tuple[str, ...] = ()
    """Distributions whose versions enter the record and the content hash of what they build."""
    extra: str | None = None
    """The extra of this package that installs them: `pip install 'harness[extra]'`."""
    parameters: type[BaseModel] | None = None
    """The options a suite may give, with their types; null where there are none."""


class EngineSpec(PluginSpec):
    """An engine: which artifact formats it opens, on which devices."""

    formats: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu",)
    simulated: bool = False
    """True for a test double: everything measured on it is `simulated`."""
    load_s: float = 1.0
    """About how long its process takes to import and load, for the expected duration of a run."""


class SensorSpec(PluginSpec):
    """A sensor; its domains are known only once it is opened."""

    devices: tuple[str, ...] = ("cpu",)
    """What it can find besides the CPU: what `auto` stands for in a suite."""
    rank: int = 0
    """Where two sensors offer one domain the lower rank is read: a measurement before a model."""


class VariantSpec(PluginSpec):
    """A recipe, or an exporter: which format it takes and which it gives."""

    conversions: tuple[tuple[str, str], ...]
    """(format in, format out) pairs."""
    exporter: bool = False
    """True where it only changes the format, so that the planner may insert it by itself."""
    needs: tuple[Literal["train", "labels"], ...] = ()
    """What it takes from `data.train`: samples (`train`), and their labels."""
    version: int = 1
    """Raised when the same recipe starts to give another artifact: part of the content hash."""


class WorkloadSpec(PluginSpec):
    """A built-in model with its data and its quality metric."""

    metric: str = "accuracy"
    version: int = 1


@dataclass(frozen=True)
class Catalogue:
    """Every plug-in found, by name; `broken` holds those that could not be imported, with the reason."""

    engines: Mapping[str, EngineSpec]
    sensors: Mapping[str, SensorSpec]
    variants: Mapping[str, VariantSpec]
    workloads: Mapping[str, WorkloadSpec]
    broken: Mapping[str, str] = field(default_factory=dict)


# --- how long and how often ----------------------------------------------------------------------------------------


class Profile(Noun):
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

# --- a suite, resolved ---------------------------------------------------------------------------------------------


class Step(Noun):
    """One recipe of a variant's chain with its parameters, defaults filled in."""

    recipe: str
    parameters: dict[str, Any] = {}


class ArrayRef(Noun):
    """One array in one `.npz` file."""

    path: str
    key: str
    sha256: str
    name: str | None = None
    """The model input it feeds; null: by position."""


class DataRef(Noun):
    """Arrays of the user's `.npz` files: absolute path, key and content hash for each input in the model's order, and for the labels."""

    inputs: tuple[ArrayRef, ...]
    labels: ArrayRef | None = None


class Training(Noun):
    """How a user's model is fine-tuned, as the suite says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    epochs: int = Field(10, ge=1, le=100_000)
    batch_size: int = Field(32, ge=1)
    learning_rate: float | None = Field(None, gt=0)


class Model(Noun):
    """A model of the suite: built in (`workload`) or the user's own (`path`)."""

    name: str
    workload: str | None = None
    path: str | None = None
    """Absolute path of the user's file, or `package.module:function`."""
    format: str
    """keras, h5, tflite, onnx; `python` for a function; `workload` for a built-in one."""
    sha256: str
    """Of the file; for a built-in model of its name and version."""
    train: DataRef | None = None
    test: DataRef | None = None
    metric: str | None = "accuracy"
    training: Training | None = None
    trusted: bool = False


class Build(Noun):
    """One step of making an artifact; `build_id` is the hash of everything that determines the result."""

    build_id: str
    model: str
    step: Step
    """recipe `train` or `source` at the start of a chain, then variants and exporters."""
    parent: str | None = None
    """The build whose artifact goes in; null for the first step."""
    format: str
    """What comes out."""
    lineage: tuple[str, ...] = ()
    """The steps so far, as text."""


class Case(Noun):
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
    """The build that wrote the data of a built-in model; null for the user's own."""
    baseline_case_id: str | None
    """Dense on the same engine, device, batch, threads and scenario; null where the suite has none."""


class Impossible(Noun):
    """A cell of the matrix that cannot be, and why."""

    case_id: str
    reason: str


class Limits(Noun):
    """Bounds on one task."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    timeout_s: float = Field(120.0, gt=0, le=86_400)
    """The longest a child may be silent while it loads, infers once, or measures quality."""
    build_timeout_s: float = Field(1800.0, gt=0, le=604_800)
    memory_bytes: int | None = Field(None, ge=64 * 2**20)
    """Ceiling of the child's private memory; null: nine tenths of what is available when the run starts."""


class Suite(Noun):
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


class Task(Noun):
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


# --- what is measured ----------------------------------------------------------------------------------------------


class Domain(Noun):
    """One quantity that a sensor reads, and where it stands among the others."""

    name: str
    """`package`, `dram`, `gpu:0`, `system`, `wall`; `package:1` where there are several."""
    sensor: str
    quantity: Literal["energy", "power", "mean_power", "temperature", "clock", "load", "memory", "flags"]
    """energy: a counter in J. power: a gauge in W. mean_power: W, each reading the mean since the one before it. The rest are conditions."""
    unit: Literal["J", "W", "degC", "Hz", "1", "bytes"]
    kind: Kind | None = None
    """Of energy and power; null for conditions."""
    device: str = "cpu"
    """cpu, gpu, or what a plug-in calls its own."""
    parent: str | None = None
    """The domain that already contains this one: a parent is never added to its children."""
    wrap_j: float | None = None
    """Where a counter starts again at 0; null: never."""
    update_period_s: float | None = None
    """How often the value changes, as probed; null: not known."""
    counter: str | None = None
    """For power: the energy domain of the same rail, if there is one."""
    part_time: bool = False
    """True for a power reading that may see only a part of each update period: a load that beats with it is misread."""
    limit_w: float | None = None
    gain: float | None = None
    """Relative standard uncertainty of the sensor's gain; null for a model, which has no honest one."""
    detail: dict[str, Any] = {}
    """Device name, uuid, path: what `describe` said."""


class Phase(Noun):
    """A named stretch of time on CLOCK_MONOTONIC."""

    name: Literal["load", "idle", "warmup", "steady", "quality", "build"]
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Sample:
    """Readings of one domain in time order, arrays of one length.

    Attributes:
        start_s: When each read began, CLOCK_MONOTONIC.
        end_s: When it had returned.
        value: In the domain's unit; NaN where the read failed (missing, never 0).
    """

    start_s: Floats
    end_s: Floats
    value: Floats

    @property
    def t_s(self) -> Floats:
        """The middle of each read."""
        return (self.start_s + self.end_s) / 2

    def finite(self) -> Sample:
        """Without the reads that failed."""
        good = np.isfinite(self.value)
        return Sample(self.start_s[good], self.end_s[good], self.value[good])


@dataclass(frozen=True)
class Trace:
    """Everything the sensors said during one task: samples by domain name, and the failures by domain name."""

    domains: Mapping[str, Domain]
    samples: Mapping[str, Sample]
    failures: Mapping[str, str] = field(default_factory=dict)


class Measurement(Noun):
    """The energy of one domain over one phase, between its own edges."""

    domain: str
    sensor: str
    kind: Kind
    phase: str
    start_s: float
    end_s: float
    inferences: float | None
    """Completed between the edges, fractions by interpolation; null outside `steady`."""
    gross_j: float | None
    """null: could not be measured."""
    idle_w: float | None = None
    """Mean power of the idle phases; null: not measured."""
    net_j: float | None = None
    """gross - idle x time; null where either is."""
    integrated_j: float | None = None
    """Of a counter: the same window from its power reading; null where there is none."""
    lag_s: float | None = None
    """Of a counter: how late it shows what happened; its edges were shifted back by it. Null: not known."""
    edge_j: float | None = None
    """Standard uncertainty from the edges; null for a domain without ticks."""
    poll_gap_s: float | None = None
    """The wider of the two poll gaps that bracket the edges."""
    device: str = "cpu"
    parent: str | None = None
    counter: str | None = None
    """The energy domain of the same rail, of which this power reading is the second witness: never summed beside it."""
    gain: float | None = None


class Finding(Noun):
    """A remark on a record: a code from a closed set, a sentence, and the remedy."""

    code: str
    sentence: str
    remedy: str = ""
    invalid: bool = False
    """True where the energy must not be used."""


class Quality(Noun):
    """How good the outputs were, on the test data, in the same process."""

    metric: str
    direction: Literal["higher", "lower"]
    value: float
    samples: int
    low: float | None = None
    """95 % interval; null where the metric has none."""
    high: float | None = None


class Latency(Noun):
    """Per query, of this launch, inside `steady`; a percentile is null where n is too small to bound it (36 / 72 / 368 for p90 / p95 / p99)."""

    queries: int
    mean_s: float
    p50_s: float
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None


class ArtifactFacts(Noun):
    """What the builder counted in the model; null where the format does not tell."""

    parameters: int | None = None
    nonzero_parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates of one inference."""


class Artifact(Noun):
    """A file or folder that a build made."""

    build_id: str
    format: str
    path: str
    sha256: str
    bytes: int
    lineage: tuple[str, ...] = ()
    facts: ArtifactFacts = ArtifactFacts()
    notes: dict[str, Any] = {}
    """What the recipe has to say: sparsity per layer, validation accuracy, epochs."""


class Environment(Noun):
    """The machine and the software, as far as they can change a result."""

    environment_id: str
    """Hash of what follows, without the volatile part."""
    host: str
    os: str
    kernel: str
    python: str
    cpu: str
    cpu_flags: tuple[str, ...]
    cpu_count: int
    cpu_count_physical: int | None = None
    memory_bytes: int
    governor: str | None = None
    turbo: bool | None = None
    virtual: str | None = None
    """The hypervisor or container; null on bare metal, or where it cannot be told."""
    versions: dict[str, str]
    harness_version: str
    harness_commit: str | None = None
    devices: tuple[dict[str, Any], ...] = ()
    """What each sensor's `describe` said of its device: name, uuid, driver, caps, clocks."""
    boot_id: str | None = None
    timezone: str | None = None


class Record(Noun):
    """One task, one attempt: a line of `records.jsonl`."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    task: Literal["build", "case"]
    case_id: str | None = None
    build_id: str | None = None
    """Of a build: its own. Of a case: the build whose artifact it ran."""
    block: int
    repetition: int
    attempt: int
    status: Status
    reason: str | None = None
    """Why it is not ok; null when it is."""
    environment_id: str
    boot_id: str | None
    started_utc: str
    """ISO 8601, UTC."""
    utc_minus_monotonic_s: float
    """Add it to any time in this record to get Unix time."""
    inferences: float | None = None
    """Between the edges of `steady`, one sample counted once; not always whole."""
    throughput_per_s: float | None = None
    phases: tuple[Phase, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    conditions: dict[str, float | None] = {}
    """Means over `steady` of what the sensors saw beside energy: load, temperature, clocks."""
    latency: Latency | None = None
    quality: Quality | None = None
    shift_s: float | None = None
    """Update period of a part-time sensor, by which the phase of the load was shifted; the waits are in the completions. Null: the load ran through."""
    peak_memory_bytes: int | None = None
    """Largest resident set of the child."""
    precision_ran: str | None = None
    """What the engine says it computed in; null where it does not tell."""
    engine_facts: dict[str, Any] = {}
    artifact: Artifact | None = None
    """Of a build: what it made. Of a case: what it ran."""
    cached: bool = False
    """A build that was found in the cache: the rest is quoted from the original's record."""
    trace: str | None = None
    """Path inside the run's folder."""
    warnings: tuple[Finding, ...] = ()
    stderr_tail: str | None = None
    """The last lines a child that failed wrote."""


# --- an external meter -----------------------------------------------------------------------------------------------


class MeterReading(Noun):
    """What a meter saw of one record, which it names."""

    task: Literal["build", "case"]
    case_id: str | None
    build_id: str | None
    repetition: int
    attempt: int
    measurements: tuple[Measurement, ...]
    """One for each phase, between the phase's own edges; `gross_j` is null where the meter does not cover it."""
    findings: tuple[Finding, ...] = ()
    """Why a phase has no energy."""


class Meter(Noun):
    """An imported log: `meters/<name>.json`, beside it the samples on Unix time as `meters/<name>.parquet`."""

    schema_version: int = SCHEMA_VERSION
    domain: Domain
    source: str
    """Name of the log's file."""
    sha256: str
    clock_offset_s: float = 0.0
    """How far the meter's clock is ahead of the run's: subtract it from the sample's times."""
    clock_u_s: float | None = None
    """Standard uncertainty of that; null where it was not found but given."""
    told: tuple[str, ...] = ()
    """What was guessed of columns, units, zone and clock, as sentences."""
    readings: tuple[MeterReading, ...] = ()


# --- a run -----------------------------------------------------------------------------------------------------------


class Grid(Noun):
    """Carbon intensity of the grid that carbon figures are computed with."""

    country: str
    """ISO 3166 alpha-3."""
    g_per_kwh: float
    year: str | None
    """Of the data; null where the source does not tell."""
    source: str


class Header(Noun):
    """What `run.json` holds: everything about a run that is not a record."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    started_utc: str
    harness_version: str
    harness_commit: str | None
    profile: Profile
    seed: int
    suite: Suite
    suite_source: str
    """The file as the user wrote it, for the reader."""
    environments: tuple[Environment, ...]
    """One for each machine or boot that contributed."""
    domains: tuple[Domain, ...]
    """Every domain that was sampled, as the probe found it."""
    unavailable: dict[str, str] = {}
    """Sensors that could not be opened, with the reason."""
    probe: dict[str, Any] = {}
    """What the probe saw: update periods, counter against integrated power."""
    grid: Grid | None = None


@dataclass(frozen=True)
class StoredRun:
    """A run read back from its folder.

    Attributes:
        folder: Where it lies.
        header: Its `run.json`.
        records: Its `records.jsonl`, in order.
        problems: Lines that could not be read, as sentences.
    """

    folder: str
    header: Header
    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
