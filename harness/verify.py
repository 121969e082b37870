"""A run's folder -> whether it is what was written (checksums), and whether its figures follow from its raw traces."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import derived, energy, frame, manifest
from harness.energy import Progress
from harness.errors import HarnessError, MeterError
from harness.report import rows_of
from harness.schema import Measurement, Record, Sample, StoredRun, Trace
from harness.store import read_completions, read_meter_sample, read_meters, read_run, read_trace, with_answers, with_meters

CLOSE = 1e-9
"""Relative: the order of a sum is no difference."""
FIGURES = ("gross_j", "idle_w", "net_j", "integrated_j", "edge_j", "inferences")
"""Of a measurement, each computed from its trace."""
TABLE = "report/table.csv"


@dataclass
class Verification:
    """What was found.

    Attributes:
        wrong: What is not as it was written, or does not follow from the raw data: a sentence each, with the file or the row.
        told: What could not be checked, and why.
        files: How many files were compared with the manifest; null: there is none.
        figures: How many figures were computed again.
    """

    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    files: int | None = None
    figures: int = 0

    def compare(self, where: str, name: str, stored: float | None, found: float | None) -> None:
        """Two values of one figure."""
        self.figures += 1
        if stored is None and found is None:
            return
        if stored is None or found is None or not math.isclose(stored, found, rel_tol=CLOSE, abs_tol=1e-12):
            off = f" ({stored / found - 1:+.3g} relative)" if stored is not None and found else ""
            self.wrong.append(f"{where}: {name} is stored as {_text(stored)}, the raw data give {_text(found)}{off}")


def verify(folder: Path, corrected: Callable[[StoredRun], StoredRun] | None = None) -> Verification:
    """Checksums first, then every figure.

    Args:
        folder: Of the run.
        corrected: Applies this machine's calibrations, for a report that was drawn with them; raises a MeterError where none fits.
    """
    found = Verification()
    _integrity(folder, found)
    try:
        run = read_run(folder)
        found.wrong += list(run.problems)
        again = _recomputed(run, found)
        _table(folder, again, found, corrected)
    except HarnessError as error:
        found.wrong.append(f"the figures cannot be computed again: {error.what}")
    return found


def _integrity(folder: Path, found: Verification) -> None:
    present, wrong = manifest.differences(folder)
    if not present:
        found.wrong.append(
            "there is no manifest.json, so that no file can be checked: the run was interrupted (`harness run --resume`), "
            "or is older than manifests, or the file was taken away; its figures are computed again all the same"
        )
        return
    found.files = len(manifest.listed(folder))
    stems: dict[str, Record] = {}
    with contextlib.suppress(HarnessError):
        stems = {r.trace.removesuffix(".parquet"): r for r in read_run(folder).records if r.trace}
    for name, sentence in wrong.items():
        if sentence == manifest.UNKNOWN and not name.startswith(manifest.DRAWN_FROM):
            found.told.append(f"{name} {sentence}; no figure is drawn from it")
            continue
        record = next((r for stem, r in stems.items() if name.startswith(f"{stem}.")), None)
        found.wrong.append(f"{name} {sentence}" + (f"; it is of {_where(record)}" if record else ""))


def _recomputed(run: StoredRun, found: Verification) -> StoredRun:
    """The run with every measurement computed anew; what differs is noted."""
    records = [_record(run, record, found) for record in run.records]
    cached = sum(r.cached for r in run.records)
    if cached:
        found.told.append(f"{cached} builds were in the cache: their figures are quoted from another run, whose traces are not here")
    boots = {r.boot_id for r in run.records}
    if len(boots) > 1:
        found.told.append(f"the run was resumed: it was measured in {len(boots)} boots, each on a clock of its own")
    lagged = sum(m.lag_s is not None for r in run.records for m in r.measurements)
    if lagged:
        found.told.append(f"the lag of a counter is taken as stored in {lagged} measurements")
    _meters(run, found)
    return with_answers(with_meters(replace(run, records=tuple(records))))


def _record(run: StoredRun, record: Record, found: Verification) -> Record:
    if record.trace is None:
        if record.measurements and not record.cached:
            found.wrong.append(f"{_where(record)}: it has measurements and no trace")
        return record
    try:
        trace, completions = read_trace(run, record), read_completions(run, record)
    except HarnessError as error:
        found.wrong.append(f"{_where(record)}: {error.what}")
        return record
    case = next((c for c in run.header.suite.cases if c.case_id == record.case_id), None)
    progress = Progress.of(
        completions[0], completions[1], completions[2], case.batch_size if case else 1, shifted=record.shift_s is not None
    )
    measurements = _measured(trace, record.measurements, progress, _where(record), found)
    return record.model_copy(update={"measurements": tuple(measurements), **_performance(record, completions, progress, found)})


def _measured(trace: Trace, stored: tuple[Measurement, ...], progress: Progress, where: str, found: Verification) -> Iterator[Measurement]:
    for was, now in zip(stored, energy.again(trace, stored, progress), strict=True):
        if now is None:
            yield was
            continue
        for name in FIGURES:
            # A meter has an uncertainty of its edges that no trace rule gives.
            if not (name == "edge_j" and now.edge_j is None and was.sensor == "meter"):
                found.compare(f"{where}, {was.domain} {was.phase}", name, getattr(was, name), getattr(now, name))
        yield was.model_copy(update={name: getattr(now, name) for name in FIGURES if getattr(now, name) is not None})


def _performance(record: Record, completions: np.ndarray, progress: Progress, found: Verification) -> dict[str, Any]:
    """Inferences, throughput and latency from the completion times."""
    window = next((p for p in record.phases if p.name == "steady"), None)
    if window is None or not completions.size or record.latency is None:
        return {}
    where, inferences = _where(record), progress.between(window.start_s, window.end_s)
    found.compare(where, "inferences", record.inferences, inferences)
    rate = derived.throughput_per_s(inferences, window, progress.waited_s(window.start_s, window.end_s))
    found.compare(where, "throughput_per_s", record.throughput_per_s, rate)
    now = derived.latency(completions, window)
    for name, value in record.latency.model_dump().items():
        found.compare(where, f"latency {name}", value, getattr(now, name, None))
    return {"inferences": inferences, "throughput_per_s": rate, "latency": now}


def _meters(run: StoredRun, found: Verification) -> None:
    """Each imported log's energies again, from its samples on the run's clock."""
    records = {_key(record): record for record in run.records}
    for meter in read_meters(Path(run.folder)):
        name, sample = meter.domain.name, read_meter_sample(Path(run.folder), meter)
        found.told.append(f"the domain {name} was imported from {meter.source}; its clock's offset is taken as stored")
        for reading in meter.readings:
            record = records.get(_key(reading))
            if record is None:
                found.wrong.append(f"meters/{name}.json reads a record that the run does not hold: {reading.case_id or reading.build_id}")
                continue
            ahead_s = record.utc_minus_monotonic_s
            trace = Trace({name: meter.domain}, {name: Sample(sample.start_s - ahead_s, sample.end_s - ahead_s, sample.value)})
            completions = read_completions(run, record)
            case = next((c for c in run.header.suite.cases if c.case_id == record.case_id), None)
            progress = Progress.of(
                completions[0], completions[1], completions[2], case.batch_size if case else 1, shifted=record.shift_s is not None
            )
            list(_measured(trace, reading.measurements, progress, _where(record), found))


def _key(named: Any) -> tuple[Any, ...]:
    return named.task, named.case_id, None if named.case_id else named.build_id, named.repetition, named.attempt


def _table(folder: Path, run: StoredRun, found: Verification, corrected: Callable[[StoredRun], StoredRun] | None) -> None:
    """The report's table against the table of the recomputed records."""
    try:
        stored = list(csv.DictReader(io.StringIO((folder / TABLE).read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        found.told.append(f"there is no {TABLE} to compare: {getattr(error, 'strerror', None) or error}; `harness report` draws it")
        return
    if any(row.get("calibrated") for row in stored):
        try:
            if corrected is None:
                raise MeterError("no calibration was given")
            run = corrected(run)
            found.told.append(f"{TABLE} is corrected by a calibration: it is compared with the one kept on this machine")
        except MeterError:
            found.told.append(f"{TABLE} is corrected by a calibration that is not on this machine: its figures were not compared")
            return
    computed = {str(row["case_id"]): row for row in rows_of(frame.cases([run]))}
    for row in stored:
        now = computed.pop(str(row.get("case_id", "")), None)
        if now is None:
            found.wrong.append(f"{TABLE} has a row that the run does not give: {row.get('case_id')}")
            continue
        for name in now.keys() & row.keys():
            _cell(f"{TABLE}, {row['case_id']}", name, row[name], now[name], found)
    found.wrong += [f"{TABLE} lacks the row {name}" for name in computed]


def _cell(where: str, name: str, stored: str, now: Any, found: Verification) -> None:
    from harness.report import text

    if isinstance(now, (int, float)) and not isinstance(now, bool):
        try:
            found.compare(where, name, float(stored) if stored else None, float(now))
            return
        except ValueError:
            pass
    expected = "" if now is None else text.csv(now) if isinstance(now, str) else str(now)
    if stored != expected:
        found.wrong.append(f"{where}: {name} is stored as {stored or 'nothing'!r}, the records give {expected or 'nothing'!r}")


def _where(record: Record) -> str:
    return f"{record.case_id or f'build {record.build_id}'}, repetition {record.repetition}, attempt {record.attempt}"


def _text(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.10g}"


def lines(found: Verification) -> Mapping[str, list[str]]:
    """For people: what is wrong, what could not be checked, and the sum of it."""
    checked = "no file was checked" if found.files is None else f"{found.files} files"
    verdict = (
        f"not right, for {len(found.wrong)} reasons"
        if len(found.wrong) > 1
        else "not right, for one reason"
        if found.wrong
        else "all as it was written and measured"
    )
    return {"wrong": found.wrong, "told": found.told, "sum": [f"verify: {checked}, {found.figures} figures computed again: {verdict}"]}
