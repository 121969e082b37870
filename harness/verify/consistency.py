"""Checks of the records against each other and against the header: none is missing, repeated or from another run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from harness.environment import identity
from harness.errors import SuiteError
from harness.run import plan
from harness.schema import Case, Record, StoredRun
from harness.store import files_of
from harness.suite import as_written
from harness.verify.result import Verification, place
from harness.workloads.metrics import metric_named

IDS_SINCE = 3
"""First schema version whose environments have today's ids."""


def check_consistency(run: StoredRun, result: Verification) -> None:
    """Check the records against each other and against the header, and the header against the suite's source."""
    result.problems += [sentence for record in run.records for sentence in _foreign(run, record)]
    result.problems += _repeated(run)
    result.problems += _overlaps(run)
    if result.files is not None:  # without a manifest the run was interrupted: its missing tasks are still to come
        result.problems += _missing(run)
    if run.header.schema_version < IDS_SINCE:
        result.notes.append("the header has an older schema: its environments were not compared with their ids")
        return
    _check_suite(run, result)
    for environment in run.header.environments:
        where = f"run.json, environment of {environment.host}"
        result.compare("environments", where, "its id", environment.environment_id, identity(environment))


def _check_suite(run: StoredRun, result: Verification) -> None:
    """Compare the suite with the file that it was read from."""
    suite = run.header.suite
    try:
        written = as_written(run.header.suite_source, suite.models, suite.cases)
    except SuiteError as error:
        reason = error.what.split("\n")[0]
        result.notes.append(f"the suite was not compared with its source, which this version cannot read: {reason}")
        return
    for name, value in written.items():
        result.compare("the suite", "run.json", f"{name} of the suite", getattr(suite, name), value)


def _foreign(run: StoredRun, record: Record) -> Iterator[str]:
    """References of a record that the header does not have."""
    header, where = run.header, place(record)
    if record.run_id != header.run_id:
        yield f"{where}: it belongs to the run {record.run_id}"
    case = next((case for case in header.suite.cases if case.case_id == record.case_id), None)
    if record.case_id and case is None:
        yield f"{where}: the suite has no such case"
    elif case:
        yield from _differs_from_suite(run, record, case)
    if record.cached and (case or files_of(Path(run.folder), record)):
        yield f"{where}: it is marked as copied from the cache, but was measured in this run"
    if record.environment_id not in {each.environment_id for each in header.environments} and not record.cached:
        yield f"{where}: its environment {record.environment_id} is not in run.json"


def _differs_from_suite(run: StoredRun, record: Record, case: Case) -> Iterator[str]:
    """Differences of a record's build and metric from the suite."""
    for build_id in {record.build_id, record.artifact.build_id if record.artifact else case.build_id} - {case.build_id}:
        yield f"{place(record)}: it ran the build {build_id}, the suite has {case.build_id}"
    model = next((model for model in run.header.suite.models if model.name == case.model), None)
    if model and model.metric and record.quality:
        direction = metric_named(model.metric, model.metric_direction, None).direction
        if (record.quality.metric, record.quality.direction) != (model.metric, direction):
            stored = f"{record.quality.metric}, {record.quality.direction} is better"
            yield f"{place(record)}: its quality is {stored}; the suite has {model.metric}, {direction} is better"


def _repeated(run: StoredRun) -> list[str]:
    """Attempts with more than one record."""
    counts = Counter((r.task, place(r)) for r in run.records)
    return [f"{where} has {n} records" for (_, where), n in counts.items() if n > 1]


def _overlaps(run: StoredRun) -> Iterator[str]:
    """Tasks measured at the same time: a machine measures one task at a time, so one is a copy of the other."""
    timed = [r for r in run.records if r.phases and r.boot_id and not r.cached]
    for before, after in pairwise(sorted(timed, key=lambda r: (r.boot_id, r.phases[0].start_s))):
        if before.boot_id == after.boot_id and after.phases[0].start_s < before.phases[-1].end_s:
            yield f"{place(after)}: it was measured at the same time as {place(before)}"


def _missing(run: StoredRun) -> list[str]:
    """Tasks of the plan without a record, although the run has ended."""
    header, attempt = run.header, max((r.attempt for r in run.records), default=1)
    builds = {build.build_id for build in header.suite.builds}
    try:
        tasks = plan.next_block(header.suite, header.profile, run.records, cached=builds, attempt=attempt)
    except KeyError as error:
        return [f"run.json: a case or a build names the build {error}, which the suite does not have"]
    return [f"{task.name}, repetition {task.repetition}: it is in the plan, but has no record" for task in tasks]
