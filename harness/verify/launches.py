"""Each record beside its raw data: energies and their provenance, conditions, throughput, latency, quality, findings, all made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.energy import derived, joules, validity
from harness.energy.figures import Figures, Raw, Setting, figures, figures_of, progress_of
from harness.energy.joules import CompletionCurve
from harness.errors import HarnessError
from harness.schema import SCHEMA_VERSION, Case, Finding, Measurement, Phase, Record, Sample, StoredRun, Trace, WindowTimes
from harness.schema.worker import Scores
from harness.store import (
    read_completions,
    read_meter_sample,
    read_meters,
    read_per_sample,
    read_trace,
    stem_of,
    with_answers,
    with_meters,
)
from harness.verify.found import Verification, place

AS_STORED = ("steady_state_not_reached",)
"""Findings of what no trace holds: the rounds of warm-up."""
NOTHING = Trace({}, {})
WINDOWS_SINCE = 3
"""The version of the schema from which on a record has its windows, and a tick lies in the middle of its bracket."""


def recomputed(run: StoredRun, found: Verification) -> StoredRun:
    """The run with every figure of its records computed anew, its meters and its answers; what differs is noted."""
    cases = {case.case_id: case for case in run.header.suite.cases}
    records = tuple(_record(run, record, cases.get(record.case_id or ""), found) for record in run.records)
    _tell(run, found)
    _meters(run, cases, found)
    return with_answers(with_meters(replace(run, records=records)))


def _tell(run: StoredRun, found: Verification) -> None:
    """What is taken as stored, and why."""
    every = [m for r in run.records if not r.cached for m in r.measurements]
    boots = {r.boot_id for r in run.records}
    lagged = sum(m.lag_s is not None for r in run.records if not r.windows for m in r.measurements)
    lost = sum(m.gross_j is None for m in every)
    noted = sorted({f.code for r in run.records for f in r.warnings} & set(AS_STORED))
    old = sum(r.schema_version < SCHEMA_VERSION for r in run.records if not r.cached)
    said = {
        f"{sum(r.cached for r in run.records)} builds were in the cache: their figures are quoted from another run, whose traces are not here": any(
            r.cached for r in run.records
        ),
        f"the run was resumed: it was measured in {len(boots)} boots, each on a clock of its own": len(boots) > 1,
        f"the lag of a counter is taken as stored in {lagged} measurements: when exactly the load began is not kept": lagged,
        f"{lost} measurements have no energy; where a counter showed no tick there is no window to look at again": lost,
        f"the findings {', '.join(noted)} are taken as stored: the traces do not hold what they are of": noted,
        f"{old} records are of an older schema: their findings were not compared, since the rules were others": old,
    }
    found.told += [sentence for sentence, holds in said.items() if holds]
    found.told.append(
        "status, memory, kernels, parameters, multiply-accumulates and what an engine reports of itself "
        "are taken as stored: nothing raw is kept of them, and no model file"
    )


def _record(run: StoredRun, record: Record, case: Case | None, found: Verification) -> Record:
    """The record made anew; as it is where it is quoted, or its raw data cannot be read."""
    if record.cached:
        return record
    where = place(record)
    if record.trace is None and record.measurements:
        found.wrong.append(f"{where}: it has measurements and no trace")
        return record
    if record.trace not in (None, f"traces/{stem_of(record)}.parquet"):
        found.wrong.append(f"{where}: its trace is named {record.trace}, which is of another record")
    try:
        trace = read_trace(run, record) if record.trace else NOTHING
        completions, per_sample = read_completions(run, record), read_per_sample(run, record)
    except HarnessError as error:
        found.wrong.append(f"{where}: {error.what}")
        return record
    raw, setting = _raw(record, trace, completions, per_sample), _setting(run, record, case)
    _every_window(trace, record, where, found)
    if record.windows:
        ended = record.status == "ok"
        now = figures(raw, setting, ended=ended)
        made = _compared(record.measurements, now.of_record(trace)["measurements"], where, found)
    else:  # of schema 2 and before, or of a task that could not begin
        _without_windows(record, where, found)
        legacy = record.schema_version < WINDOWS_SINCE
        progress = progress_of(completions, setting)
        made = list(_measured(trace, record.measurements, progress, where, found, simulated=setting.simulated, legacy=legacy))
        now = figures_of(replace(raw, windows=[_times(phase) for phase in record.phases]), replace(setting, simulated=False), made, {})
    _window(run, record, now.measurements, where, found)
    _rest(record, now, raw, found)
    return record.model_copy(
        update={"measurements": tuple(made), **{name: getattr(now, name) for name in ("inferences", "throughput_per_s", "latency")}}
    )


def _raw(record: Record, trace: Trace, completions: np.ndarray, per_sample: np.ndarray) -> Raw:
    """What the run keeps of a task; what a sensor reported as it failed is in its finding alone."""
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
        precision=facts.get("precision_reported", facts.get("precision_told", record.precision_ran)),  # codespell:ignore
        kernels=record.kernels,
        facts=facts,
    )


def _setting(run: StoredRun, record: Record, case: Case | None) -> Setting:
    suite = run.header.suite
    return Setting(
        case=case,
        domains=suite.domains,
        allow=suite.allow,
        simulated=_simulated(case),
        shift_s=record.shift_s,
        promised=plugins.catalogue().promised(case) if case else None,
        profiled=not record.repetition,
    )


def _times(phase: Phase) -> WindowTimes:
    """A phase as a window, where no more is known of it."""
    return WindowTimes.loose(phase.name, phase.start_s, phase.end_s)


def _without_windows(record: Record, where: str, found: Verification) -> None:
    if record.schema_version >= WINDOWS_SINCE and record.measurements:
        found.wrong.append(f"{where}: it has measurements, and not when their windows began and ended")


def _compared(stored: Sequence[Measurement], made: Sequence[Measurement], where: str, found: Verification) -> list[Measurement]:
    """Each stored measurement beside the one that the raw data give."""
    left: dict[tuple[str, str], list[Measurement]] = {}
    for now in made:
        left.setdefault((now.domain, now.phase), []).append(now)
    kept = []
    for was in stored:
        own = left.get((was.domain, was.phase))
        now = own.pop(0) if own else was
        kept.append(now)
        for name in Measurement.model_fields:
            found.compare("energy", f"{where}, {was.domain} {was.phase}", name, getattr(was, name), getattr(now, name))
    return kept


def _rest(record: Record, now: Figures, raw: Raw, found: Verification) -> None:
    """Everything of a record that is no energy, beside what the raw data give."""
    where, ended = place(record), record.status == "ok"
    if record.task == "case":
        of = "throughput and latency"
        found.compare(of, where, "inferences", record.inferences, now.inferences)
        found.compare(of, where, "throughput_per_s", record.throughput_per_s, now.throughput_per_s)
        _compare_fields(of, where, "latency", record.latency, now.latency, found)
    if record.quality is not None:
        _compare_fields("quality", where, "quality", record.quality, now.quality, found)
    elif len(raw.per_sample) and ended:
        found.wrong.append(f"{where}: it has no quality, though what each sample was given is kept")
    if not record.trace:
        return
    older = record.schema_version < SCHEMA_VERSION
    if record.conditions or ended:
        for name in record.conditions if older else {**record.conditions, **now.conditions}:  # an older one holds fewer of them
            found.compare("conditions", where, name, record.conditions.get(name), now.conditions.get(name))
    if record.kernels:
        found.compare("findings", where, "precision_ran", record.precision_ran, now.precision_ran)
    if record.task == "case" and ended and not older:
        for name in ("peak_device_memory_bytes", "peak_device_memory_source"):
            found.compare("conditions", where, name, getattr(record, name), getattr(now, name))
        _findings(record, now, found)


def _simulated(case: Case | None) -> bool:
    """Whether the engine is a test double, so that everything beside it is simulated; one that is not installed here is taken for none."""
    engine = plugins.catalogue().engines.get(case.engine) if case else None
    return engine is not None and engine.simulated


# --- energy -------------------------------------------------------------------------------------------------------------


def _every_window(trace: Trace, record: Record, where: str, found: Verification) -> None:
    """Each domain that was read has one measurement of each phase: one left out would make a sum smaller."""
    phases: Counter[str] = Counter(phase.name for phase in record.phases)
    windows: dict[str, Counter[str]] = {}
    for m in record.measurements:
        windows.setdefault(m.domain, Counter())[m.phase] += 1
    for name, domain in trace.domains.items():
        if domain.quantity in ("energy", "power", "mean_power") and (len(trace.samples[name].value) or name in windows):
            has = windows.pop(name, Counter())
            found.wrong += [f"{where}: {name} has no measurement of {phase}" for phase in phases - has]
            found.wrong += [f"{where}: {name} has a measurement of {phase} too many" for phase in has - phases]
    found.wrong += [f"{where}: {name} is measured, and no such domain was sampled" for name in windows]


def _measured(
    trace: Trace,
    stored: Sequence[Measurement],
    progress: CompletionCurve,
    where: str,
    found: Verification,
    *,
    simulated: bool = False,
    legacy: bool = False,
) -> Iterator[Measurement]:
    """Each measurement made anew from the trace between its own edges, its kind and its origin from the header's domain."""
    for was, now in zip(stored, joules.again(trace, stored, progress, legacy=legacy), strict=True):
        if now is None:
            yield was
            continue
        # A meter has an uncertainty of its edges that no trace rule gives, and was told void or not as it was imported: it may be slow.
        meter = was.sensor == "meter"
        own = {"edge_j": was.edge_j} if meter and now.edge_j is None else {}
        made = now.model_copy(update=own | ({"kind": "simulated"} if simulated else {}))
        [told] = [made] if meter else validity.void(trace, [made])
        for name in Measurement.model_fields:
            found.compare("energy", f"{where}, {was.domain} {was.phase}", name, getattr(was, name), getattr(told, name))
        yield made


def _window(run: StoredRun, record: Record, measurements: Sequence[Measurement], where: str, found: Verification) -> None:
    """`steady` reaches over all its measurements, and is as long as the profile asks."""
    phase, span = next((p for p in record.phases if p.name == "steady"), None), derived.steady_span(measurements)
    if phase is None or span is None:
        return
    found.compare("energy", where, "the start of steady", phase.start_s, span[0])
    found.compare("energy", where, "the end of steady", phase.end_s, span[1])
    least_s = run.header.profile.window_s
    if record.status == "ok" and phase.duration_s < least_s - joules.SAME_S:
        found.wrong.append(f"{where}: steady is {phase.duration_s:.4g} s long, the profile {run.header.profile.name} takes {least_s:g} s")


def _findings(record: Record, now: Figures, found: Verification) -> None:
    """What may be wrong with the energy, and whether the device and the precision that were asked for ran."""
    where, given = place(record), now.findings
    stored = [f for f in record.warnings if f.code not in AS_STORED]
    found.again["findings"] += max(len(stored), len(given), 1)
    found.wrong += [f"{where}: the finding {f.code} is stored ({f.sentence}), the raw data do not give it" for f in _without(stored, given)]
    found.wrong += [f"{where}: the raw data give the finding {f.code} ({f.sentence}), which is not stored" for f in _without(given, stored)]


def _without(some: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Those of some that are not among the others, by what a person reads of them."""
    read = [(f.code, f.sentence, f.remedy, f.invalid) for f in others]
    return [f for f in some if (f.code, f.sentence, f.remedy, f.invalid) not in read]


def _compare_fields(of: str, where: str, what: str, was: Any, now: Any, found: Verification) -> None:
    """Two nouns, figure by figure; null where there is none."""
    if was is None and now is None:
        found.again[of] += 1
        return
    for name in type(was or now).model_fields:
        found.compare(of, where, f"{what} {name}", getattr(was, name, None), getattr(now, name, None))


# --- imported meters ----------------------------------------------------------------------------------------------------


def _meters(run: StoredRun, cases: Mapping[str, Case], found: Verification) -> None:
    """Each imported log's energies again, from its samples on the run's clock."""
    records = {_key(record): record for record in run.records}
    for meter in read_meters(Path(run.folder)):
        name, sample = meter.domain.name, read_meter_sample(Path(run.folder), meter)
        found.told.append(
            f"the domain {name} was imported from {meter.source}; its clock's offset, and why it does not tell a phase, are taken as stored"
        )
        for reading in meter.readings:
            record = records.get(_key(reading))
            if record is None:
                found.wrong.append(f"meters/{name}.json reads a record that the run does not hold: {reading.case_id or reading.build_id}")
                continue
            ahead_s = record.utc_minus_monotonic_s
            trace = Trace({name: meter.domain}, {name: Sample(sample.start_s - ahead_s, sample.end_s - ahead_s, sample.value)})
            progress = progress_of(read_completions(run, record), _setting(run, record, cases.get(record.case_id or "")))
            told = [m for m in reading.measurements if m.gross_j is not None]
            list(_measured(trace, told, progress, place(record), found))


def _key(named: Any) -> tuple[Any, ...]:
    return named.task, named.case_id, None if named.case_id else named.build_id, named.repetition, named.attempt
