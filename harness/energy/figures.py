"""All figures of a record, computed from its raw data, for runs, `verify` and the recovery of lost tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from harness.analysis.kernels import precision_of
from harness.energy import cards, joules, performance, validity
from harness.energy.completions import CompletionCurve
from harness.energy.joules import Window
from harness.energy.lag import Lag, lags_of
from harness.energy.placement import examine_placement, examine_prepared
from harness.energy.precision import examine_instructions, examine_precision, examine_weights
from harness.energy.scope import case_energy, device_detail, near_domains
from harness.energy.token_findings import examine_tokens
from harness.energy.tokens import latency_of, token_figures
from harness.schema import Case, Finding, Kernel, Latency, Measurement, Phase, Quality, Trace, WindowTimes
from harness.schema.served import REQUEST_COLUMNS, Slo, TokenFigures
from harness.schema.worker import Scores


@dataclass(frozen=True)
class Raw:
    """Raw data of a task.

    Attributes:
        trace: Readings of the sensors.
        windows: Requested beginning and end of each phase, in order.
        completions: Start and end of each query in ns on CLOCK_MONOTONIC, and number of queries, shape (3, n).
        per_sample: Score of each test sample, shape (n,).
        scores: How the samples were scored; None: they were not.
        load_s: Start of the load, s on CLOCK_MONOTONIC; None: unknown, and so are the lags of the counters.
        clock_step_s: Step of the system clock during the task, s.
        precision: Precision that the engine reports; None: not reported.
        kernels: Kernels that ran; empty: unknown.
        facts: Facts that the child reports of its engine.
        requests: Table of requests of a case that generates text, shape (columns, n); the completions are then tokens.
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
    requests: np.ndarray = field(default_factory=lambda: np.zeros((len(REQUEST_COLUMNS), 0), dtype=np.int64))


@dataclass(frozen=True)
class Setting:
    """Settings of a task.

    Attributes:
        case: Case; None for a build.
        domains: The suite's choice of domains of the case's energy; None: by its device.
        allow: Codes of findings that the suite accepts.
        simulated: Whether the engine is a test double.
        shift_s: Update period by which the phase of the load was shifted, s; None: it was not shifted.
        requested_precision: Precision that the variant requests; None: none.
        profiled: Whether the kernels were requested in this repetition.
        slo: Objectives of a request; None: the suite has none.
    """

    case: Case | None = None
    domains: Sequence[str] | None = None
    allow: Collection[str] = ()
    simulated: bool = False
    shift_s: float | None = None
    requested_precision: str | None = None
    profiled: bool = False
    slo: Slo | None = None


@dataclass(frozen=True)
class Figures:
    """The fields of a record that follow from its raw data.

    Attributes:
        measurements: Measurements, including those that a finding invalidates.
        phases: Phases; `steady` as it was measured.
        findings: Findings; empty if the task did not run to its end.
    """

    measurements: tuple[Measurement, ...]
    phases: tuple[Phase, ...]
    inferences: float | None
    throughput_per_s: float | None
    conditions: dict[str, float | None]
    start_conditions: dict[str, float]
    latency: Latency | None
    tokens: TokenFigures | None
    quality: Quality | None
    precision_ran: str | None
    peak_device_memory_bytes: int | None
    peak_device_memory_source: Literal["process", "rise"] | None
    findings: tuple[Finding, ...]

    def of_record(self, trace: Trace) -> dict[str, Any]:
        """The fields of a record, without energies that are known to be wrong."""
        own = {name: value for name, value in vars(self).items() if name not in ("findings", "measurements")}
        return {**own, "measurements": tuple(validity.discard_invalid(trace, self.measurements))}


def figures(raw: Raw, setting: Setting, *, ended: bool = True) -> Figures:
    """All figures of a task; one that has not ended properly has no findings, since its status states what is wrong."""
    return figures_of(raw, setting, *measured(raw, setting), ended=ended)


def progress_of(completions: np.ndarray, setting: Setting) -> CompletionCurve:
    """Inferences completed over time."""
    start_ns, end_ns, count = completions
    if setting.case and setting.case.load:
        return CompletionCurve.of_tokens(start_ns, end_ns, count)
    return CompletionCurve.of(start_ns, end_ns, count, setting.case.batch_size if setting.case else 1, shifted=setting.shift_s is not None)


def measured(raw: Raw, setting: Setting) -> tuple[list[Measurement], dict[str, Lag]]:
    """The energy of every domain in every window, and the known lags of counters."""
    near = near_domains(tuple(raw.trace.domains.values()), setting.case.device if setting.case else "cpu", setting.domains)
    windows = [Window(**times.model_dump(), near=near) for times in raw.windows]
    lags = lags_of(raw.trace, raw.load_s, next((w.end_s for w in windows if w.phase == "steady"), None))
    return joules.measure(raw.trace, windows, progress_of(raw.completions, setting), lags), lags


def figures_of(raw: Raw, setting: Setting, measurements: Sequence[Measurement], lags: Mapping[str, Lag], *, ended: bool = True) -> Figures:
    """As `figures`, of a task whose measurements and lags are known."""
    if setting.simulated:
        measurements = [m.model_copy(update={"kind": "simulated"}) for m in measurements]
    phases = _phases(raw.windows, performance.steady_span(measurements))
    window = next((phase for phase in phases if phase.name == "steady"), None)
    progress = progress_of(raw.completions, setting)
    inferences = progress.between(window.start_s, window.end_s) if window else None
    waited_s = progress.waited_s(window.start_s, window.end_s) if window else 0.0
    conditions, load = performance.conditions(raw.trace, window), setting.case.load if setting.case else None
    tokens = token_figures(raw.requests, raw.completions, window, load, raw.facts, setting.slo)
    latency = latency_of(tokens, raw.requests, window) if load else performance.latency(raw.completions, window)
    quality = performance.quality(raw.scores, raw.per_sample)
    peak_bytes, source = cards.device_memory(raw.trace, phases, setting.case.device if setting.case else None)
    return Figures(
        measurements=tuple(measurements),
        phases=phases,
        inferences=inferences,
        throughput_per_s=performance.throughput_per_s(inferences, window, waited_s),
        conditions=conditions,
        start_conditions=performance.start_conditions(raw.trace, _start_s(phases), setting.case.device) if setting.case else {},
        latency=latency,
        tokens=tokens,
        quality=quality,
        precision_ran=precision_of(raw.kernels) or raw.precision,
        peak_device_memory_bytes=peak_bytes,
        peak_device_memory_source=source,
        findings=(
            *performance.examine_quality(quality),
            *(examine_tokens(tokens, load, raw.facts) if load else ()),
            *_findings(raw, setting, measurements, lags, conditions, latency),
        )
        if ended
        else (),
    )


def _phases(windows: Sequence[WindowTimes], steady: tuple[float, float] | None) -> tuple[Phase, ...]:
    """Windows as phases; `steady` as it was measured."""
    spans = [steady if steady and window.phase == "steady" else (window.open_s, window.end_s) for window in windows]
    return tuple(Phase(name=w.phase, start_s=start_s, end_s=end_s) for w, (start_s, end_s) in zip(windows, spans, strict=True))


def _of_others(conditions: Mapping[str, float | None], facts: Mapping[str, Any]) -> Mapping[str, float | None]:
    """The conditions without the foreign load where there is a server that ran already: it would count as foreign itself."""
    return {name: value for name, value in conditions.items() if name != "foreign_load" or facts.get("server") != "external"}


def _start_s(phases: Sequence[Phase]) -> float | None:
    """Start of the child of a case; None if the task ended before."""
    return next((phase.start_s for phase in phases if phase.name == "load"), None)


def _findings(
    raw: Raw,
    setting: Setting,
    measurements: Sequence[Measurement],
    lags: Mapping[str, Lag],
    conditions: Mapping[str, float | None],
    latency: Latency | None,
) -> list[Finding]:
    """Findings on the energy, the device and the precision."""
    findings: list[Finding] = []
    if case := setting.case:
        findings += validity.examine(
            raw.trace,
            measurements,
            _of_others(conditions, raw.facts),
            {m.domain for m in case_energy(measurements, case.device, setting.domains).parts},
            lags_s={name: lag.seconds for name, lag in lags.items() if lag.suspect},
            clock_step_s=raw.clock_step_s,
            device=case.device,
            query_s=latency.mean_s if latency else None,
            allow=setting.allow,
        )
        charged = device_detail(raw.trace.domains.values(), case.device).get("uuid")
        findings += validity.examine_device(case.device, charged, raw.facts, simulated=setting.simulated)
        findings += examine_placement(case.device, raw.facts)
        findings += examine_prepared(raw.facts)
        findings += performance.examine_repeatability(raw.facts)
        findings += examine_instructions(raw.facts) + examine_weights(raw.facts.get("stored_weights") or {})
    findings += examine_precision(
        setting.requested_precision or raw.facts.get("precision_requested"),
        raw.precision,
        raw.kernels,
        raw.facts.get("stored_types"),
        profiled=setting.profiled,
    )
    return findings
