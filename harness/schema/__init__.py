"""The nouns: what a suite, a case, a trace and a record are, each field with its meaning, its unit, and when it is null.

History of the record's schema (`schema_version`); `store` migrates older ones on reading:

- 1: the first.
- 2: adds what is null or empty in a run of version 1. Records: `lag_s` and `counter` of a measurement, `shift_s`, `resident_bytes`,
  `kernels`, `model` and `zeros` of an artifact. Header: `part_time` and `average_s` of a domain, `stopping` of a suite, `data_id` of
  a build, how a model is brought and trained, samples that are no arrays, `cpu_limit` of an environment. Beside them: imported
  meters, kept outputs, `fronts.json`.
- 3: a tick lies in the middle of its bracket, which reaches from the start of one read to the end of the next, where it was the middle
  between the middles of the two; `gauge` of a measurement; `windows`, `load_s` and `clock_step_s` of a record; `values` of a finding. More findings, and other limits of the old ones.
  Records: `peak_device_memory_bytes` and its source. Header: `allow` of a suite, `poll_period_s` of a domain, the conditions `count` and
  `duration`. In a quality: `threshold`, `threshold_from`, `rival`, `ties`; in a model: `metric_threshold`, `metric_ignore`, `signature`,
  `input_shapes`.
"""

from __future__ import annotations

from harness.schema.base import KINDS, SCHEMA_VERSION, Floats, FrozenModel, Kind, Status, evidence
from harness.schema.measured import Domain, Finding, Kernel, Latency, Measurement, Phase, Quality, Sample, Trace, WindowTimes
from harness.schema.objectives import DECLARED, OBJECTIVES, Objective
from harness.schema.plugins import Catalogue, EngineSpec, PluginSpec, SensorSpec, VariantSpec, WorkloadSpec
from harness.schema.run import (
    Answers,
    Artifact,
    ArtifactFacts,
    CacheEntry,
    Environment,
    Grid,
    Header,
    Meter,
    MeterReading,
    Record,
    StoredRun,
)
from harness.schema.suite import (
    PROFILES,
    ArrayRef,
    Build,
    Case,
    DataRef,
    DataSource,
    Impossible,
    Limits,
    Model,
    Profile,
    Step,
    Suite,
    Task,
    Training,
)

__all__ = [
    "DECLARED",
    "KINDS",
    "OBJECTIVES",
    "PROFILES",
    "SCHEMA_VERSION",
    "Answers",
    "ArrayRef",
    "Artifact",
    "ArtifactFacts",
    "Build",
    "CacheEntry",
    "Case",
    "Catalogue",
    "DataRef",
    "DataSource",
    "Domain",
    "EngineSpec",
    "Environment",
    "Finding",
    "Floats",
    "FrozenModel",
    "Grid",
    "Header",
    "Impossible",
    "Kernel",
    "Kind",
    "Latency",
    "Limits",
    "Measurement",
    "Meter",
    "MeterReading",
    "Model",
    "Objective",
    "Phase",
    "PluginSpec",
    "Profile",
    "Quality",
    "Record",
    "Sample",
    "SensorSpec",
    "Status",
    "Step",
    "StoredRun",
    "Suite",
    "Task",
    "Trace",
    "Training",
    "VariantSpec",
    "WindowTimes",
    "WorkloadSpec",
    "evidence",
]
