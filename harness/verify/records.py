"""Checks of each record against its raw data: its figures are recomputed as the run computed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.energy import joules, performance, validity
from harness.energy.completions import CompletionCurve
from harness.energy.figures import Figures, Raw, Setting, figures, figures_of, progress_of
from harness.errors import HarnessError
from harness.schema import Case, Finding, Measurement, Record, Sample, StoredRun, Trace, WindowTimes
from harness.schema.worker import Scores
from harness.store import (
    read_completions,
    read_meter_sample,
    read_meters,
    read_per_sample,
    read_requests,
    read_trace,
    stem_of,
    with_meters,
    with_outputs,
)
from harness.verify.result import Verification, place

AS_STORED = ("steady_state_not_reached",)
"""Findings that follow from the warm-up rounds, which no trace holds."""
EMPTY = Trace({}, {})
WINDOWS_SINCE, SENTENCES_SINCE = 3, 4
"""First schema versions whose records hold their windows (and ticks in the middle of their brackets), and whose findings have today's sentences."""


def recompute(run: StoredRun, result: Verification) -> StoredRun:
    """The run with every figure of its records and meters recomputed; differences are added to the result."""
    cases = {case.case_id: case for case in run.header.suite.cases}
    records = tuple(_record(run, record, cases.get(record.case_id or ""), result) for record in run.records)
    result.notes += _unchecked(run)
    _check_meters(run, cases, result)
    return with_outputs(with_meters(replace(run, records=records)))


def _unchecked(run: StoredRun) -> Iterator[str]:
    """Notes on the stored values that cannot be recomputed from raw data."""
    measured = [r for r in run.records if not r.cached]
    if cached := len(run.records) - len(measured):
        yield f"{cached} builds were in the cache: their figures were copied from another run and not recomputed"
    if (boots := len({r.boot_id for r in run.records})) > 1:
        yield f"the run was resumed: it was measured in {boots} boots, each with its own clock"
    if lags := sum(m.lag_s is not None for r in run.records if not r.windows for m in r.measurements):
        yield f"the lag of a counter was not checked in {lags} measurements: the start of the load was not stored"
    if absent := sum(m.gross_j is None for r in measured for m in r.measurements):
        yield f"{absent} measurements have no energy; a counter without a tick has no window to check"
    if codes := sorted({f.code for r in run.records for f in r.warnings} & set(AS_STORED)):
        yield f"the findings {', '.join(codes)} were not checked: they do not follow from the traces"
    if older := sum(r.schema_version < WINDOWS_SINCE for r in measured):
        yield f"{older} records have an older schema: their findings were determined by older rules and were not compared"
    yield (
        "status, memory, kernels, parameters, multiply-accumulates and engine facts were not checked: "
        "no raw data and no model file are stored for them"
    )


def _record(run: StoredRun, record: Record, case: Case | None, result: Verification) -> Record:
    """The recomputed record; the stored one if it was copied from the cache, or its raw data cannot be read."""
    if record.cached:
        return record
    where = place(record)
    if record.trace is None and record.measurements:
        result.problems.append(f"{where}: it has measurements but no trace")
        return record
    if record.trace not in (None, f"traces/{stem_of(record)}.parquet"):
        result.problems.append(f"{where}: its trace is named {record.trace}, which belongs to another record")
    try:
        trace = read_trace(run, record) if record.trace else EMPTY
        raw = replace(_raw(record, trace, read_completions(run, record), read_per_sample(run, record)), requests=read_requests(run, record))
    except HarnessError as error:
        result.problems.append(f"{where}: {error.what}")
        return record
    setting = _setting(run, record, case)
    _check_phases(trace, record, where, result)
    if record.windows:
        now = figures(raw, setting, ended=record.status == "ok")
        measurements = _compare_measurements(record.measurements, now.of_record(trace)["measurements"], where, result)
    else:
        now, measurements = _without_windows(record, raw, setting, where, result)
    _check_window(run, record, now.measurements, where, result)
    _compare_figures(record, now, raw, where, result)
    figures_now = {name: getattr(now, name) for name in ("inferences", "throughput_per_s", "latency", "tokens")}
    return record.model_copy(update={"measurements": tuple(measurements), **figures_now})


def _raw(record: Record, trace: Trace, completions: np.ndarray, per_sample: np.ndarray) -> Raw:
    """The raw data of a record. Why a sensor failed is stored in its finding alone."""
    failures = {str(f.values["domain"]): str(f.values["why"]) for f in record.warnings if f.code == "sensor_failed" and f.values}
    facts = record.engine_facts
    return Raw(
        trace=Trace(trace.domains, trace.samples, failures),
        windows=record.windows,
        completions=completions,
        per_sample=per_sample,
        scores=Scores(**record.quality.model_dump(include=set(Scores.model_fields))) if record.quality else None,
        load_s=record.load_s,
        clock_step_s=record.clock_step_s,
        precision=facts.get("precision_reported", record.precision_ran),
        kernels=record.kernels,
        facts=facts,
    )


def _setting(run: StoredRun, record: Record, case: Case | None) -> Setting:
    suite, catalogue = run.header.suite, plugins.catalogue()
    engine = catalogue.engines.get(case.engine) if case else None  # None: not installed here
    return Setting(
        case=case,
        domains=suite.domains,
        allow=suite.allow,
        simulated=engine is not None and engine.simulated,
        shift_s=record.shift_s,
        requested_precision=catalogue.requested_precision(case) if case else None,
        profiled=not record.repetition if record.profiled is None else record.profiled,
        slo=suite.slo,
    )


def _without_windows(record: Record, raw: Raw, setting: Setting, where: str, result: Verification) -> tuple[Figures, list[Measurement]]:
    """Figures of a record without windows: of schema 2 and before, or of a task that could not begin."""
    legacy = record.schema_version < WINDOWS_SINCE
    if not legacy and record.measurements:
        result.problems.append(f"{where}: it has measurements, but not the times of their windows")
    progress = progress_of(raw.completions, setting)
    measurements = list(_recomputed(raw.trace, record.measurements, progress, where, result, simulated=setting.simulated, legacy=legacy))
    windows = [WindowTimes.loose(phase.name, phase.start_s, phase.end_s) for phase in record.phases]
    return figures_of(replace(raw, windows=windows), replace(setting, simulated=False), measurements, {}), measurements


# --- energy -------------------------------------------------------------------------------------------------------------


def _compare_measurements(
    stored: Sequence[Measurement], computed: Sequence[Measurement], where: str, result: Verification
) -> list[Measurement]:
    """Compare measurements by domain and phase; the computed ones, in the order of the stored ones."""
    remaining: dict[tuple[str, str], list[Measurement]] = {}
    for now in computed:
        remaining.setdefault((now.domain, now.phase), []).append(now)
    ordered = []
    for was in stored:
        candidates = remaining.get((was.domain, was.phase))
        ordered.append(candidates.pop(0) if candidates else was)  # a surplus one is reported by `_check_phases`
        result.compare_fields("energy", f"{where}, {was.domain} {was.phase}", was, ordered[-1])
    return ordered


def _recomputed(
    trace: Trace,
    stored: Sequence[Measurement],
    progress: CompletionCurve,
    where: str,
    result: Verification,
    *,
    simulated: bool = False,
    legacy: bool = False,
) -> Iterator[Measurement]:
    """Each measurement recomputed between its stored edges, with kind and origin from the header's domain."""
    for was, now in zip(stored, joules.recompute(trace, stored, progress, legacy=legacy), strict=True):
        if now is None:
            yield was
            continue
        # An imported meter has its own uncertainty of the edges, and was checked when it was imported.
        meter = was.sensor == "meter"
        edge = {"edge_j": was.edge_j} if meter and now.edge_j is None else {}
        made = now.model_copy(update=edge | ({"kind": "simulated"} if simulated else {}))
        [checked] = [made] if meter else validity.discard_invalid(trace, [made])
        result.compare_fields("energy", f"{where}, {was.domain} {was.phase}", was, checked)
        yield made


def _check_phases(trace: Trace, record: Record, where: str, result: Verification) -> None:
    """Check that each sampled domain has one measurement per phase: a removed one would make a sum smaller."""
    phases: Counter[str] = Counter(phase.name for phase in record.phases)
    by_domain: dict[str, Counter[str]] = {}
    for m in record.measurements:
        by_domain.setdefault(m.domain, Counter())[m.phase] += 1
    for name, domain in trace.domains.items():
        if domain.quantity in ("energy", "power", "mean_power") and (len(trace.samples[name].value) or name in by_domain):
            measured = by_domain.pop(name, Counter())
            result.problems += [f"{where}: {name} has no measurement of {phase}" for phase in phases - measured]
            result.problems += [f"{where}: {name} has a surplus measurement of {phase}" for phase in measured - phases]
    result.problems += [f"{where}: {name} has measurements, but no such domain was sampled" for name in by_domain]


def _check_window(run: StoredRun, record: Record, measurements: Sequence[Measurement], where: str, result: Verification) -> None:
    """Check that `steady` spans all its measurements and is as long as the profile requires."""
    steady, span = next((p for p in record.phases if p.name == "steady"), None), performance.steady_span(measurements)
    if steady is None or span is None:
        return
    result.compare("energy", where, "the start of steady", steady.start_s, span[0])
    result.compare("energy", where, "the end of steady", steady.end_s, span[1])
    profile = run.header.profile
    least_s = profile.token_window_s if record.tokens else profile.window_s
    if record.status == "ok" and steady.duration_s < least_s - joules.SAME_S:
        result.problems.append(f"{where}: steady is {steady.duration_s:.4g} s long, the profile {profile.name} requires {least_s:g} s")


# --- everything else ----------------------------------------------------------------------------------------------------


def _compare_figures(record: Record, now: Figures, raw: Raw, where: str, result: Verification) -> None:
    """Compare the figures of a record that are not energies."""
    ended, older = record.status == "ok", record.schema_version < WINDOWS_SINCE
    if record.task == "case":
        kind = "throughput and latency"
        for name in ("inferences", "throughput_per_s"):
            result.compare(kind, where, name, getattr(record, name), getattr(now, name))
        result.compare_fields(kind, where, record.latency, now.latency, "latency ")
        _compare_tokens(record, now, where, result)
    if record.quality is not None:
        result.compare_fields("quality", where, record.quality, now.quality, "quality ")
    elif len(raw.per_sample) and ended:
        result.problems.append(f"{where}: it has no quality, although the scores of its samples are stored")
    if not record.trace:
        return
    if record.conditions or ended:
        for name in record.conditions if older else {**record.conditions, **now.conditions}:  # older records hold fewer
            result.compare("conditions", where, name, record.conditions.get(name), now.conditions.get(name))
    if record.kernels:
        result.compare("findings", where, "precision_ran", record.precision_ran, now.precision_ran)
    if record.task == "case" and ended and not older:
        for name in ("peak_device_memory_bytes", "peak_device_memory_source"):
            result.compare("conditions", where, name, getattr(record, name), getattr(now, name))
        _compare_findings(record, now, where, result)


def _compare_tokens(record: Record, now: Figures, where: str, result: Verification) -> None:
    """Compare the figures of text generation, and those of each latency."""
    stored, computed = record.tokens, now.tokens
    if stored is None and computed is None:
        return
    kind = "requests and tokens"
    for name in ("ttft", "tpot", "itl", "e2e"):
        result.compare_fields(kind, where, getattr(stored, name, None), getattr(computed, name, None), f"{name} ")
    without = {"ttft": None, "tpot": None, "itl": None, "e2e": None}
    stored, computed = (each.model_copy(update=without) if each else None for each in (stored, computed))
    result.compare_fields(kind, where, stored, computed, "tokens ")


def _compare_findings(record: Record, now: Figures, where: str, result: Verification) -> None:
    """Compare the findings, with their sentences if these have today's words."""
    worded = record.schema_version >= SENTENCES_SINCE

    def by_content(findings: Iterable[Finding]) -> dict[tuple[object, ...], Finding]:
        return {(f.code, f.invalid, *((f.sentence, f.remedy) if worded else ())): f for f in findings}

    stored, computed = by_content(f for f in record.warnings if f.code not in AS_STORED), by_content(now.findings)
    result.recomputed["findings"] += max(len(stored), len(computed), 1)
    for finding in (stored[key] for key in stored if key not in computed):
        result.problems.append(f"{where}: the finding {finding.code} is stored ({finding.sentence}), but does not follow from the raw data")
    for finding in (computed[key] for key in computed if key not in stored):
        result.problems.append(f"{where}: the finding {finding.code} ({finding.sentence}) follows from the raw data, but is not stored")


def _check_meters(run: StoredRun, cases: Mapping[str, Case], result: Verification) -> None:
    """Recompute the energies of each imported log from its samples on the run's clock."""
    records = {_key(record): record for record in run.records}
    for meter in read_meters(Path(run.folder)):
        name, sample = meter.domain.name, read_meter_sample(Path(run.folder), meter)
        result.notes.append(
            f"the domain {name} was imported from {meter.source}; its clock offset, and the reasons of phases without energy, were not checked"
        )
        for reading in meter.readings:
            record = records.get(_key(reading))
            if record is None:
                result.problems.append(
                    f"meters/{name}.json refers to a record that is not in the run: {reading.case_id or reading.build_id}"
                )
                continue
            offset_s = record.utc_minus_monotonic_s
            trace = Trace({name: meter.domain}, {name: Sample(sample.start_s - offset_s, sample.end_s - offset_s, sample.value)})
            progress = progress_of(read_completions(run, record), _setting(run, record, cases.get(record.case_id or "")))
            stored = [m for m in reading.measurements if m.gross_j is not None]
            list(_recomputed(trace, stored, progress, place(record), result))


def _key(row: Any) -> tuple[Any, ...]:
    return row.task, row.case_id, None if row.case_id else row.build_id, row.repetition, row.attempt
