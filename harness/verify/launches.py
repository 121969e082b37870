"""Each record beside its raw data: energies and their provenance, conditions, throughput, latency, quality, findings, all made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import derived, energy, plugins, validity
from harness.analysis.kernels import precision_of
from harness.analysis.scope import case_energy, device_detail
from harness.energy import Progress
from harness.errors import HarnessError
from harness.schema import SCHEMA_VERSION, Case, Finding, Measurement, Record, Sample, StoredRun, Trace
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

AS_STORED = ("steady_state_not_reached", "counter_lags", "clock_stepped")
"""Findings of what no trace holds: the rounds of warm-up, when exactly the load began, the system's clock."""
NOTHING = Trace({}, {})
BRACKETS_SINCE = 3
"""The version of the schema from which on a tick lies in the middle of its bracket."""


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
    lagged, lost = sum(m.lag_s is not None for m in every), sum(m.gross_j is None for m in every)
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
        "status, memory, kernels, parameters, multiply-accumulates, what an engine says of itself and where hypervolumes are counted from "
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
    progress = _progress(completions, case, record)
    _every_window(trace, record, where, found)
    legacy = record.schema_version < BRACKETS_SINCE
    measurements = tuple(_measured(trace, record.measurements, progress, where, found, simulated=_simulated(case), legacy=legacy))
    _window(run, record, measurements, where, found)
    now = record.model_copy(
        update={"measurements": tuple(validity.void(trace, measurements)), **_performance(record, completions, progress, found)}
    )
    _quality(record, per_sample, found)
    if record.trace:
        conditions = _conditions(record, trace, found)
        _findings(run, now, case, trace, measurements, conditions, found)
    return now


def _progress(completions: np.ndarray, case: Case | None, record: Record) -> Progress:
    start_ns, end_ns, count = completions
    return Progress.of(start_ns, end_ns, count, case.batch_size if case else 1, shifted=record.shift_s is not None)


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
    progress: Progress,
    where: str,
    found: Verification,
    *,
    simulated: bool = False,
    legacy: bool = False,
) -> Iterator[Measurement]:
    """Each measurement made anew from the trace between its own edges, its kind and its origin from the header's domain."""
    for was, now in zip(stored, energy.again(trace, stored, progress, legacy=legacy), strict=True):
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
    if record.status == "ok" and phase.duration_s < least_s - energy.SAME_S:
        found.wrong.append(f"{where}: steady is {phase.duration_s:.4g} s long, the profile {run.header.profile.name} takes {least_s:g} s")


# --- the rest of a record -----------------------------------------------------------------------------------------------


def _performance(record: Record, completions: np.ndarray, progress: Progress, found: Verification) -> dict[str, Any]:
    """Inferences, throughput and latency from the completion times."""
    of, where = "throughput and latency", place(record)
    window = next((p for p in record.phases if p.name == "steady"), None)
    inferences = progress.between(window.start_s, window.end_s) if window else None
    rate = derived.throughput_per_s(inferences, window, progress.waited_s(window.start_s, window.end_s) if window else 0.0)
    now = derived.latency(completions, window)
    if record.task == "case":
        found.compare(of, where, "inferences", record.inferences, inferences)
        found.compare(of, where, "throughput_per_s", record.throughput_per_s, rate)
        _compare_fields(of, where, "latency", record.latency, now, found)
    return {"inferences": inferences, "throughput_per_s": rate, "latency": now}


def _quality(record: Record, per_sample: np.ndarray, found: Verification) -> None:
    """The mean of what each sample was given, with its interval."""
    was = record.quality
    if was is not None:
        now = derived.quality(Scores(**was.model_dump(include=set(Scores.model_fields))), per_sample)
        _compare_fields("quality", place(record), "quality", was, now, found)
    elif len(per_sample) and record.status == "ok":
        found.wrong.append(f"{place(record)}: it has no quality, though what each sample was given is kept")


def _conditions(record: Record, trace: Trace, found: Verification) -> Mapping[str, float | None]:
    """Loads, temperatures and clocks over `steady`. A task that was lost with its harness has none."""
    now = derived.conditions(trace, next((p for p in record.phases if p.name == "steady"), None))
    if record.conditions or record.status == "ok":
        older = record.schema_version < SCHEMA_VERSION  # it holds fewer of them
        for name in record.conditions if older else {**record.conditions, **now}:
            found.compare("conditions", place(record), name, record.conditions.get(name), now.get(name))
    return now


def _findings(
    run: StoredRun,
    now: Record,
    case: Case | None,
    trace: Trace,
    measurements: Sequence[Measurement],
    conditions: Mapping[str, float | None],
    found: Verification,
) -> None:
    """What may be wrong with the energy, and whether the precision that was asked for ran."""
    of, where = "findings", place(now)
    if now.kernels:
        found.compare(of, where, "precision_ran", now.precision_ran, precision_of(now.kernels))
    if case is None or now.status != "ok" or now.schema_version < SCHEMA_VERSION:
        return
    failing = Trace(trace.domains, trace.samples, _failures(trace.domains, now.warnings))
    scope = {m.domain for m in case_energy(now.measurements, case.device, run.header.suite.domains).parts}
    given = validity.examine(
        failing,
        measurements,
        conditions,
        scope,
        device=case.device,
        query_s=now.latency.mean_s if now.latency else None,
        allow=run.header.suite.allow,
    )
    facts = now.engine_facts
    charged = device_detail(trace.domains.values(), case.device).get("uuid")
    given += validity.examine_device(case.device, charged, facts, simulated=_simulated(case))
    given += validity.examine_precision(
        plugins.catalogue().promised(case),
        facts.get("precision_told", now.precision_ran),
        now.kernels,
        facts.get("stored_types"),
        profiled=not now.repetition,
    )
    given += validity.examine_quality(now.quality)
    stored = [f for f in now.warnings if f.code not in AS_STORED]
    found.again[of] += max(len(stored), len(given), 1)
    found.wrong += [f"{where}: the finding {f.code} is stored ({f.sentence}), the raw data do not give it" for f in _without(stored, given)]
    found.wrong += [f"{where}: the raw data give the finding {f.code} ({f.sentence}), which is not stored" for f in _without(given, stored)]


def _without(some: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in some if finding not in others]


def _failures(domains: Collection[str], findings: Sequence[Finding]) -> dict[str, str]:
    """What a sensor said when it failed, by domain: the traces hold that it failed, its words only the finding."""
    begins = {name: validity.CODES["sensor_failed"].sentence.format(domain=name, why="") for name in domains}
    told = [f.sentence for f in findings if f.code == "sensor_failed"]
    return {
        name: sentence.removeprefix(begin)
        for name, begin in begins.items()
        for sentence in told
        if sentence.startswith(begin) and sentence != begin
    }


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
            progress = _progress(read_completions(run, record), cases.get(record.case_id or ""), record)
            told = [m for m in reading.measurements if m.gross_j is not None]
            list(_measured(trace, told, progress, place(record), found))


def _key(named: Any) -> tuple[Any, ...]:
    return named.task, named.case_id, None if named.case_id else named.build_id, named.repetition, named.attempt
