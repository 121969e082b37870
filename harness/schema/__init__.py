"""Types of suites, cases, traces, records and plug-in specs; `worker` has those of the parent-child protocol."""

from __future__ import annotations

from harness.schema.base import KINDS, SCHEMA_VERSION, Floats, FrozenModel, Kind, Status, evidence
from harness.schema.builds import Build, Prepares, Step, Target
from harness.schema.measured import Domain, Finding, Kernel, Latency, Measurement, Phase, Quality, Sample, Trace, WindowTimes
from harness.schema.objectives import DECLARED, OBJECTIVES, Objective
from harness.schema.plugins import Catalogue, EngineSpec, FormatSpec, FrameworkSpec, PluginSpec, SensorSpec, VariantSpec, WorkloadSpec
from harness.schema.profile import PROFILES, Profile
from harness.schema.run import (
    Artifact,
    ArtifactFacts,
    CacheEntry,
    Environment,
    Grid,
    Header,
    Meter,
    MeterReading,
    Record,
    StoredOutputs,
    StoredRun,
)
from harness.schema.suite import (
    TIMEOUT_S,
    Acceptance,
    ArrayRef,
    Case,
    Copies,
    DataRef,
    DataSource,
    Impossible,
    Limits,
    Model,
    Suite,
    Task,
    Training,
    default_copies,
    timing_text,
)

__all__ = [
    "DECLARED", "KINDS", "OBJECTIVES", "PROFILES", "SCHEMA_VERSION", "TIMEOUT_S", "Acceptance", "ArrayRef", "Artifact", "ArtifactFacts", "Build",
    "CacheEntry", "Case", "Catalogue", "Copies", "DataRef", "DataSource", "Domain", "EngineSpec", "Environment", "Finding", "Floats", "FormatSpec",
    "FrameworkSpec", "FrozenModel",
    "Grid", "Header", "Impossible", "Kernel", "Kind", "Latency", "Limits", "Measurement", "Meter", "MeterReading", "Model", "Objective",
    "Phase", "PluginSpec", "Prepares", "Profile", "Quality", "Record", "Sample", "SensorSpec", "Status", "Step", "StoredOutputs", "StoredRun", "Suite", "Target", "Task",
    "Trace", "Training", "VariantSpec", "WindowTimes", "WorkloadSpec", "default_copies", "evidence", "timing_text",
]  # fmt: skip
