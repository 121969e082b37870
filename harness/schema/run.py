"""Stored parts of a run: artifacts, environments, records, imported meters and the header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.schema.base import SCHEMA_VERSION, Floats, FrozenModel, Status
from harness.schema.measured import Domain, Finding, Kernel, Latency, Measurement, Phase, Quality, WindowTimes
from harness.schema.profile import Profile
from harness.schema.served import TokenFigures
from harness.schema.suite import Copies, Suite

WEIGHT_NOTES = ("stored", "requested_types", "requantized_from", "random_weights")
"""Notes on stored weights: share of the parameters by type, the types that were asked, earlier quantizations, whether they are random."""


class ArtifactFacts(FrozenModel):
    """Counts of a model; None where the format does not give them."""

    parameters: int | None = None
    nonzero_parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates per inference."""
    zeros: dict[str, float] | None = None
    """Share of exact zeros, 0 to 1, in each of the 500 largest weight tensors, without biases, by name in the file."""


class Artifact(FrozenModel):
    """A file or folder that a build made."""

    build_id: str
    """Hash of everything that determines the artifact."""
    format: str
    """Model format."""
    path: str
    """Path on the machine that built it."""
    sha256: str
    """Hash of the content."""
    bytes: int
    """Size on disk."""
    model: str | None = None
    """Name of the model in the suite that built it; None in artifacts of schema 1."""
    lineage: tuple[str, ...] = ()
    """Build steps as text."""
    device: str | None = None
    """Device on which it was made and which alone can use it; None: it was made on the CPU and runs anywhere."""
    facts: ArtifactFacts = ArtifactFacts()
    """Counts of the model."""
    notes: dict[str, Any] = {}
    """Values that the recipe reports: sparsity per layer, validation accuracy, epochs."""

    @property
    def weight_facts(self) -> dict[str, Any]:
        """`stored_weights` with what is known of the stored weights, for the facts of a measured case; empty if nothing is."""
        weights = {name: self.notes[name] for name in WEIGHT_NOTES if name in self.notes}
        return {"stored_weights": weights} if weights else {}


class Environment(FrozenModel):
    """Properties of the machine and the software that can change a result."""

    environment_id: str
    """Hash of the fields below, without volatile ones."""
    host: str
    os: str
    kernel: str
    python: str
    cpu: str
    """Model name of the CPU."""
    cpu_flags: tuple[str, ...]
    """Instruction-set flags, sorted."""
    cpu_count: int
    """Number of logical CPUs."""
    cpu_count_physical: int | None = None
    """Number of physical cores; None: unknown."""
    cpu_limit: float | None = None
    """Number of CPUs usable at once, by affinity or control group; None: all."""
    memory_bytes: int
    """Physical memory."""
    governor: str | None = None
    """CPU frequency governor; None: not reported."""
    turbo: bool | None = None
    """Whether the CPU may exceed its nominal clock; None: not reported."""
    virtual: str | None = None
    """Hypervisor or container; None on bare metal, or unknown."""
    versions: dict[str, str]
    harness_version: str
    harness_commit: str | None = None
    """Git commit, with `+` if files differ from it; None outside a checkout."""
    devices: tuple[dict[str, Any], ...] = ()
    """Facts that each sensor reports of its device: name, UUID, driver, limits, clocks."""
    boot_id: str | None = None
    """Id of the boot; None: not reported."""
    timezone: str | None = None
    """Name of the local time zone; None: unknown."""


class Record(FrozenModel):
    """One attempt at one task: a line of `records.jsonl`."""

    schema_version: int = SCHEMA_VERSION
    """Version of the schema that it was written in."""
    run_id: str
    """Name of the run."""
    task: Literal["build", "case"]
    """Kind of task."""
    case_id: str | None = None
    """Case; None for a build."""
    build_id: str | None = None
    """For a build: its own id. For a case: the build whose artifact it ran."""
    block: int
    """Number of the randomised block, from 0."""
    repetition: int
    """Number of the repetition of the case, from 0."""
    attempt: int
    """Number of the attempt at the repetition, from 1."""
    status: Status
    """Outcome."""
    reason: str | None = None
    """Cause of any status but `ok`."""
    environment_id: str
    """Environment that it ran in."""
    boot_id: str | None
    """Boot that it ran in, on whose clock its times are; None: not reported."""
    started_utc: str
    """Start, ISO 8601 in UTC."""
    utc_minus_monotonic_s: float
    """Unix time minus CLOCK_MONOTONIC, s: add it to any time in the record to get Unix time."""
    inferences: float | None = None
    """Inferences (samples) between the edges of `steady`, not always whole; None for a build, or not measured."""
    throughput_per_s: float | None = None
    """Inferences per second of load in `steady`; None as `inferences`."""
    phases: tuple[Phase, ...] = ()
    """Phases; `steady` as it was measured."""
    windows: tuple[WindowTimes, ...] = ()
    """Requested beginnings and ends of the phases; empty in records of schema 2 and before."""
    load_s: float | None = None
    """Start of the first query, s on CLOCK_MONOTONIC; None: there was none, or schema 2 and before."""
    clock_step_s: float = 0.0
    """Step of the system clock during the task, s."""
    measurements: tuple[Measurement, ...] = ()
    """Energy of each domain in each phase."""
    conditions: dict[str, float | None] = {}
    """Means over `steady` of load, temperature, clocks and other conditions, by domain; None: not read in the window."""
    start_conditions: dict[str, float] = {}
    """Last reading of each temperature and clock of the machine and the case's device before the child could use them, by domain;
    empty in older records."""
    latency: Latency | None = None
    """Latency per query; None for a build, or without queries in the window."""
    tokens: TokenFigures | None = None
    """Figures of a case that generates text, whose `inferences` are output tokens and whose `latency` is the time per output token; None: it
    answers queries, or was not measured."""
    quality: Quality | None = None
    """Quality on the test data; None: not scored."""
    copies: Copies | None = None
    """Whether the copies of a query were inside the timed region; None for a build, or not recorded (before this field: outside on `cpu`)."""
    in_flight: int | None = None
    """Largest number of queries that were sent before the oldest was complete; None: as `copies` (before: 1)."""
    profiled: bool | None = None
    """Whether the kernels were requested; None for a build, or not recorded (before this field: in the first repetition)."""
    shift_s: float | None = None
    """Update period of a part-time sensor by which the phase of the load was shifted, s; None: the load was not shifted."""
    peak_memory_bytes: int | None = None
    """Largest resident set of the child; None: unknown."""
    peak_device_memory_bytes: int | None = None
    """Largest memory of the case's accelerator that the child held; None: no accelerator, or unknown."""
    peak_device_memory_source: Literal["process", "rise"] | None = None
    """process: reported by the driver for the child's processes. rise: increase of the whole device's memory since before the case."""
    resident_bytes: int | None = None
    """Growth of the child's resident set from before the import of the engine to after the first queries, without data; None: unknown."""
    precision_ran: str | None = None
    """Compute precision of most of the arithmetic, by kernels or else as the engine reports it; None: unknown."""
    kernels: tuple[Kernel, ...] = ()
    """Kernels that ran, largest share first, profiled outside the window in the first repetition; empty: unknown."""
    engine_facts: dict[str, Any] = {}
    """Facts that the engine reports of itself and of the artifact."""
    artifact: Artifact | None = None
    """For a build: what it made. For a case: what it ran."""
    cached: bool = False
    """Whether a build was found in the cache, so that its figures are those of the original record."""
    trace: str | None = None
    """Path of the trace inside the run's folder; None: there is none."""
    warnings: tuple[Finding, ...] = ()
    """Findings."""
    stderr_tail: str | None = None
    """Last lines that a failed child wrote; None if it did not fail."""


@dataclass(frozen=True)
class CacheEntry:
    """An artifact in the cache.

    Attributes:
        record: Record of its build.
        bytes: Size on disk.
        used_unix_s: Last use, s in Unix time.
        in_use: Whether a running process needs it.
    """

    record: Record
    bytes: int
    used_unix_s: float
    in_use: bool


class MeterReading(FrozenModel):
    """What a meter measured of one record."""

    task: Literal["build", "case"]
    """Key of the record, as are the next four fields."""
    case_id: str | None
    build_id: str | None
    repetition: int
    attempt: int
    measurements: tuple[Measurement, ...]
    """One for each phase, between the phase's own edges; `gross_j` is None where the log does not cover it."""
    findings: tuple[Finding, ...] = ()
    """Reasons why a phase has no energy."""


class Meter(FrozenModel):
    """An imported power-meter log: `meters/<name>.json`, with its samples on Unix time in `meters/<name>.parquet`."""

    schema_version: int = SCHEMA_VERSION
    """Version of the schema that it was written in."""
    domain: Domain
    """Domain that its energies belong to."""
    source: str
    """File name of the log."""
    sha256: str
    """Hash of the log."""
    clock_offset_s: float = 0.0
    """Time that the meter's clock is ahead of the run's, s: subtract it from the times of the samples."""
    clock_u_s: float | None = None
    """Standard uncertainty of the offset, s; None for one that the user gave."""
    notes: tuple[str, ...] = ()
    """Sentences on the columns, units, time zone and clock that were read, and on what was left out."""
    rows: int | None = None
    """Rows in the log; None in an import of schema 2 and before."""
    discarded: dict[str, int] = {}
    """Number of rows and values that were left out, by reason."""
    readings_in_run: int | None = None
    """Readings between the first and last phase of the run; None as `rows`."""
    discarded_in_run: int | None = None
    """Rows and values left out in between, at most 1 % of the readings; None as `rows`."""
    readings: tuple[MeterReading, ...] = ()
    """Energies by record."""


class Grid(FrozenModel):
    """Carbon intensity of the electricity grid."""

    country: str
    """ISO 3166 alpha-3 code."""
    g_per_kwh: float
    """CO2e per energy, g/kWh."""
    year: str | None
    """Year of the data; None: unknown."""
    source: str
    """Origin of the data."""


class Header(FrozenModel):
    """Contents of `run.json`: everything about a run but its records."""

    schema_version: int = SCHEMA_VERSION
    """Version of the schema that it was written in."""
    run_id: str
    """Name of the run and its folder."""
    started_utc: str
    harness_version: str
    harness_commit: str | None
    """Git commit, with `+` if files differed from it; None outside a checkout."""
    profile: Profile
    """Repetitions and windows."""
    seed: int
    """Seed of the order of tasks."""
    suite: Suite
    """Resolved suite."""
    suite_source: str
    """Text of the suite file."""
    environments: tuple[Environment, ...]
    """One for each machine or boot that contributed."""
    domains: tuple[Domain, ...]
    """All sampled domains, as probed."""
    unavailable: dict[str, str] = {}
    """Sensors that could not be opened, with the reason."""
    probe: dict[str, Any] = {}
    """Results of the probe: update periods, counter against integrated power."""
    grid: Grid | None = None
    """Grid for carbon figures; None: not requested."""

    @property
    def commit(self) -> str | None:
        """First twelve digits of the commit, with `+` if files differed from it; None: unknown."""
        return self.harness_commit and self.harness_commit[:12] + ("+" if self.harness_commit.endswith("+") else "")


@dataclass(frozen=True)
class StoredOutputs:
    """Scores and outputs of one launch on the test samples.

    Attributes:
        per_sample: Score of each sample, shape (n,); empty: not scored.
        outputs: Scored output of the first m samples, shape (m, ...), m <= n if there are labels; empty: not kept.
    """

    per_sample: Floats = field(default_factory=lambda: np.zeros(0))
    outputs: NDArray[Any] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class StoredRun:
    """A run read from its folder.

    Attributes:
        folder: Path of the folder.
        header: Content of `run.json`.
        records: Content of `records.jsonl`, in order.
        problems: Sentences on lines that could not be read.
        outputs: Scores and outputs by case id, if they were read.
    """

    folder: str
    header: Header
    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    outputs: Mapping[str, StoredOutputs] = field(default_factory=dict, compare=False, repr=False)
