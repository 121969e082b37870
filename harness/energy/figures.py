"""Raw data of one task -> every figure of its record: the one way that a run, `verify` and the recovery of a lost task get them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from harness.analysis.kernels import precision_of
from harness.energy import joules, performance, validity
from harness.energy.joules import CompletionCurve, Window
from harness.energy.lag import Lag, lags_of
from harness.energy.scope import case_energy, device_detail, near_domains
from harness.schema import Case, Finding, Kernel, Latency, Measurement, Phase, Quality, Trace, WindowTimes
from harness.schema.worker import Scores


@dataclass(frozen=True)
class Raw:
    """What was kept of a task.

    Attributes:
        trace: What the sensors showed.
        windows: When each phase began and ended, in order.
        completions: Shape (3, n): start and end of each query in ns on CLOCK_MONOTONIC, and how many queries; empty where none were kept.
        per_sample: Shape (n,): score of each test sample; empty where there is none.
        scores: How the samples were scored; None: they were not.
        load_s: When the load began, CLOCK_MONOTONIC; None: not known, and no counter's lag is.
        clock_step_s: How far the system's clock was set meanwhile.
        precision: As the engine reported it; None: not reported.
        kernels: That ran; empty: not known.
        facts: What the child reported of its engine.
    """

    trace: Trace
    windows: Sequence[WindowTimes] = ()
    completions: np.ndarray = field(default_factory=lambda: np.zeros((3, 0), dtype=np.int64))
    per_sample: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scores: Scores | None = None
    load_s: float | None = None
    clock_step_s: float = 0.0
    precision: str | None = None
    kernels: tuple[Kernel, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What was asked for.

    Attributes:
        case: None: of a build.
        domains: The suite's choice of what counts as the case's energy; None: by its device.
        allow: Codes of findings that the suite accepts.
        simulated: Whether the engine is a test double.
        shift_s: Update period by which the phase of the load was shifted; None: it ran through.
        requested_precision: Precision that the variant promises; None: it promises nothing.
        profiled: Whether the engine was asked for its kernels in this repetition.
    """

    case: Case | None = None
    domains: Sequence[str] | None = None
    allow: Collection[str] = ()
    simulated: bool = False
    shift_s: float | None = None
    requested_precision: str | None = None
    profiled: bool = False


@dataclass(frozen=True)
class Figures:
    """The fields of a record that follow from its raw data.

    Attributes:
        measurements: As computed, also those that a finding voids.
        phases: Each with its own times; `steady` as it was measured.
        findings: Empty where the task did not run to its end.
    """

    measurements: tuple[Measurement, ...]
    phases: tuple[Phase, ...]
    inferences: float | None
    throughput_per_s: float | None
    conditions: dict[str, float | None]
    latency: Latency | None
    quality: Quality | None
    precision_ran: str | None
    peak_device_memory_bytes: int | None
    peak_device_memory_source: Literal["process", "rise"] | None
    findings: tuple[Finding, ...]

    def of_record(self, trace: Trace) -> dict[str, Any]:
        """The fields as a record has them: without the energy of what is known not to be it."""
        own = {name: value for name, value in vars(self).items() if name not in ("findings", "measurements")}
        return {**own, "measurements": tuple(validity.void(trace, self.measurements))}


def figures(raw: Raw, setting: Setting, *, ended: bool = True) -> Figures:
    """Every figure of a task.

    Args:
        raw: What was kept of it.
        setting: What was asked for.
        ended: Whether it ran to its end: what is wrong with one that did not is its status.
    """
    return figures_of(raw, setting, *measured(raw, setting), ended=ended)


def progress_of(completions: np.ndarray, setting: Setting) -> CompletionCurve:
    """How many inferences had been completed when."""
    start_ns, end_ns, count = completions
    return CompletionCurve.of(start_ns, end_ns, count, setting.case.batch_size if setting.case else 1, shifted=setting.shift_s is not None)


def measured(raw: Raw, setting: Setting) -> tuple[list[Measurement], dict[str, Lag]]:
    """The energy of every domain in every window, and the lags of the counters for which they are known."""
    near = near_domains(tuple(raw.trace.domains.values()), setting.case.device if setting.case else "cpu", setting.domains)
    windows = [Window(**times.model_dump(), near=near) for times in raw.windows]
    lags = lags_of(raw.trace, raw.load_s, next((w.end_s for w in windows if w.phase == "steady"), None))
    return joules.measure(raw.trace, windows, progress_of(raw.completions, setting), lags), lags


def figures_of(raw: Raw, setting: Setting, measurements: Sequence[Measurement], lags: Mapping[str, Lag], *, ended: bool = True) -> Figures:
    """The rest of the figures, from measurements that are known.

    Args:
        raw: What was kept of the task.
        setting: What was asked for.
        measurements: Of all domains and windows.
        lags: Of the counters.
        ended: Whether it ran to its end.
    """
    if setting.simulated:
        measurements = [m.model_copy(update={"kind": "simulated"}) for m in measurements]
    phases = _phases(raw.windows, performance.steady_span(measurements))
    window = next((phase for phase in phases if phase.name == "steady"), None)
    progress = progress_of(raw.completions, setting)
    inferences = progress.between(window.start_s, window.end_s) if window else None
    waited_s = progress.waited_s(window.start_s, window.end_s) if window else 0.0
    conditions, latency = performance.conditions(raw.trace, window), performance.latency(raw.completions, window)
    quality = performance.quality(raw.scores, raw.per_sample)
    peak_bytes, source = performance.device_memory(raw.trace, phases, setting.case.device if setting.case else None)
    found = _findings(raw, setting, measurements, lags, conditions, latency) if ended else []
    return Figures(
        measurements=tuple(measurements),
        phases=phases,
        inferences=inferences,
        throughput_per_s=performance.throughput_per_s(inferences, window, waited_s),
        conditions=conditions,
        latency=latency,
        quality=quality,
        precision_ran=precision_of(raw.kernels) or raw.precision,
        peak_device_memory_bytes=peak_bytes,
        peak_device_memory_source=source,
        findings=(*(validity.examine_quality(quality) if ended else ()), *found),
    )


def _phases(windows: Sequence[WindowTimes], steady: tuple[float, float] | None) -> tuple[Phase, ...]:
    """Windows as phases; `steady` as it was measured."""
    phases = []
    for window in windows:
        start_s, end_s = steady if window.phase == "steady" and steady else (window.open_s, window.end_s)
        phases.append(Phase(name=window.phase, start_s=start_s, end_s=end_s))
    return tuple(phases)


def _findings(
    raw: Raw,
    setting: Setting,
    measurements: Sequence[Measurement],
    lags: Mapping[str, Lag],
    conditions: Mapping[str, float | None],
    latency: Latency | None,
) -> list[Finding]:
    """Whether the energy is valid, the device the one that was asked for, and the precision too."""
    found: list[Finding] = []
    if case := setting.case:
        found += validity.examine(
            raw.trace,
            measurements,
            conditions,
            {m.domain for m in case_energy(measurements, case.device, setting.domains).parts},
            lags_s={name: lag.seconds for name, lag in lags.items() if lag.suspect},
            clock_step_s=raw.clock_step_s,
            device=case.device,
            query_s=latency.mean_s if latency else None,
            allow=setting.allow,
        )
        charged = device_detail(raw.trace.domains.values(), case.device).get("uuid")
        found += validity.examine_device(case.device, charged, raw.facts, simulated=setting.simulated)
    found += validity.examine_precision(
        setting.requested_precision, raw.precision, raw.kernels, raw.facts.get("stored_types"), profiled=setting.profiled
    )
    return found
