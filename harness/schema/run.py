"""What a run leaves behind: artifacts, environments, records, an external meter's readings, the header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.schema.base import SCHEMA_VERSION, Floats, FrozenModel, Status
from harness.schema.measured import Domain, Finding, Kernel, Latency, Measurement, Phase, Quality, WindowTimes
from harness.schema.suite import Profile, Suite


class ArtifactFacts(FrozenModel):
    """What the builder counted in the model; null where the format does not tell."""

    parameters: int | None = None
    nonzero_parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates of one inference."""
    zeros: dict[str, float] | None = None
    """Share of exact zeros in each weight tensor, by its name in the file, 0..1: the 500 largest, biases left out."""


class Artifact(FrozenModel):
    """A file or folder that a build made."""

    build_id: str
    format: str
    path: str
    sha256: str
    bytes: int
    model: str | None = None
    """Of the suite that built it; null in artifacts that were built before it was written down."""
    lineage: tuple[str, ...] = ()
    facts: ArtifactFacts = ArtifactFacts()
    notes: dict[str, Any] = {}
    """What the recipe has to say: sparsity per layer, validation accuracy, epochs."""


class Environment(FrozenModel):
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
    cpu_limit: float | None = None
    """How many of the CPUs it may use at once, where an affinity or a control group grants fewer than there are; null: all."""
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


class Record(FrozenModel):
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
    windows: tuple[WindowTimes, ...] = ()
    """When each phase was asked to begin and end; empty in records of schema 2 and before."""
    load_s: float | None = None
    """When the first query of all began, CLOCK_MONOTONIC; null: it did not get there, or as `windows`."""
    clock_step_s: float = 0.0
    """How far the system's clock was set during the task."""
    measurements: tuple[Measurement, ...] = ()
    conditions: dict[str, float | None] = {}
    """Means over `steady` of what the sensors saw beside energy: load, temperature, clocks."""
    latency: Latency | None = None
    quality: Quality | None = None
    shift_s: float | None = None
    """Update period of a part-time sensor, by which the phase of the load was shifted; the waits are in the completions. Null: the load ran through."""
    peak_memory_bytes: int | None = None
    """Largest resident set of the child."""
    peak_device_memory_bytes: int | None = None
    """Most memory of the case's accelerator that the child held; null: not on an accelerator, or not known."""
    peak_device_memory_source: Literal["process", "rise"] | None = None
    """process: as the driver reports it of the child's processes. rise: of the whole device, over what was used before the case."""
    resident_bytes: int | None = None
    """By how much the child's resident set grew from before the engine was imported to after the first queries, data not counted; null where it cannot be read."""
    precision_ran: str | None = None
    """What most of the arithmetic was computed in, by the kernels that ran; where they are not known what the engine says; null where it does not tell."""
    kernels: tuple[Kernel, ...] = ()
    """What ran, largest share first, profiled apart from the window in the first repetition; empty: not known."""
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


@dataclass(frozen=True)
class CacheEntry:
    """An artifact that lies in the cache.

    Attributes:
        record: Of its build.
        bytes: On the disk.
        used_unix_s: When it was last used, Unix time.
        in_use: Whether a run that is on needs it.
    """

    record: Record
    bytes: int
    used_unix_s: float
    in_use: bool


class MeterReading(FrozenModel):
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


class Meter(FrozenModel):
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
    """What was read of columns, units, zone and clock, and what was left out, as sentences."""
    rows: int | None = None
    """Rows in the log; None in an import of an older version."""
    discarded: dict[str, int] = {}
    """Rows and values of the log that were left out, by reason."""
    readings_in_run: int | None = None
    """Readings between the run's first and last phase; None in an import of an older version."""
    discarded_in_run: int | None = None
    """Rows and values left out between them: at most 1 % of the readings."""
    readings: tuple[MeterReading, ...] = ()


class Grid(FrozenModel):
    """Carbon intensity of the grid that carbon figures are computed with."""

    country: str
    """ISO 3166 alpha-3."""
    g_per_kwh: float
    year: str | None
    """Of the data; null where the source does not tell."""
    source: str


class Header(FrozenModel):
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

    @property
    def commit(self) -> str | None:
        """Twelve digits of the harness's commit, with `+` where files differed from it; null where it is not known."""
        return self.harness_commit and self.harness_commit[:12] + ("+" if self.harness_commit.endswith("+") else "")


@dataclass(frozen=True)
class Answers:
    """What one launch of a case said of the test samples.

    Attributes:
        per_sample: The metric of each sample, shape (n,); empty where it was not measured.
        outputs: The scored output to the first samples, shape (m, ...), m <= n where there are labels; empty where it was not kept.
    """

    per_sample: Floats = field(default_factory=lambda: np.zeros(0))
    outputs: NDArray[Any] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class StoredRun:
    """A run read back from its folder.

    Attributes:
        folder: Where it lies.
        header: Its `run.json`.
        records: Its `records.jsonl`, in order.
        problems: Lines that could not be read, as sentences.
        answers: By case id, where they were read too.
    """

    folder: str
    header: Header
    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    answers: Mapping[str, Answers] = field(default_factory=dict, compare=False, repr=False)
