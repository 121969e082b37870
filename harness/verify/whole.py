"""What the records of a run say beside each other and beside its header: none left out, none twice, one machine, and artifacts that are what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from harness.artifacts import Cache
from harness.environment import identity
from harness.errors import StoreError, SuiteError
from harness.formats.fingerprint import fingerprint
from harness.run import plan
from harness.schema import Artifact, Case, Record, StoredRun
from harness.store import files_of
from harness.suite import as_written
from harness.verify.found import Verification, place
from harness.workloads.metrics import metric_named

ELSEWHERE = {"path"}
"""Of an artifact: where it lies says nothing of what it is."""

IDS_SINCE = 3
"""The schema since which the environments have the ids of today."""

QUOTED = {"schema_version", "run_id", "block", "repetition", "attempt", "cached", "artifact"}
"""What a record that quotes a cached build has of its own."""


def check_whole(run: StoredRun, found: Verification) -> None:
    """The records beside each other and beside the header."""
    found.wrong += [sentence for record in run.records for sentence in _strangers(run, record)]
    keys = Counter((r.task, r.case_id or r.build_id, r.repetition, r.attempt) for r in run.records)
    found.wrong += [
        f"{name}, repetition {repetition}, attempt {attempt} has {n} records" for (_, name, repetition, attempt), n in keys.items() if n > 1
    ]
    found.wrong += _overlaps(run)
    if found.files is not None:  # else it was interrupted, and its missing tasks are still to come
        found.wrong += _missing(run)
    if run.header.schema_version < IDS_SINCE:
        found.told.append("the header is of an older schema: its environments were not compared with their ids")
        return
    _suite(run, found)
    for environment in run.header.environments:
        found.compare(
            "environments", f"run.json, environment of {environment.host}", "its id", environment.environment_id, identity(environment)
        )


def _suite(run: StoredRun, found: Verification) -> None:
    """The suite beside the file that it was read from: a margin, a domain or a model that the file does not name is of another suite."""
    suite = run.header.suite
    try:
        written = as_written(run.header.suite_source, suite.models)
    except SuiteError as error:
        first = error.what.split("\n")[0]
        found.told.append(f"the suite was not compared with its source, which this harness does not read: {first}")
        return
    for name, now in written.items():
        found.compare("the suite", "run.json", f"{name} of the suite", getattr(suite, name), now)


def _strangers(run: StoredRun, record: Record) -> Iterator[str]:
    """What a record names that the header does not hold."""
    header, where = run.header, place(record)
    if record.run_id != header.run_id:
        yield f"{where}: it is of the run {record.run_id}"
    case = next((case for case in header.suite.cases if case.case_id == record.case_id), None)
    if record.case_id and case is None:
        yield f"{where}: the suite has no such case"
    elif case:
        yield from _otherwise(run, record, case)
    if record.cached and (case or files_of(Path(run.folder), record)):
        yield f"{where}: it is said to be quoted from the cache, and was measured here"
    if record.environment_id not in {each.environment_id for each in header.environments} and not record.cached:
        yield f"{where}: its environment {record.environment_id} is not in run.json"


def _otherwise(run: StoredRun, record: Record, case: Case) -> Iterator[str]:
    """What a record says of its build and its metric, and its suite does not."""
    for build_id in {record.build_id, record.artifact.build_id if record.artifact else case.build_id} - {case.build_id}:
        yield f"{place(record)}: it ran the build {build_id}, the suite says {case.build_id}"
    model = next((model for model in run.header.suite.models if model.name == case.model), None)
    if model and model.metric and record.quality:
        direction = metric_named(model.metric, model.metric_direction, None).direction
        if (record.quality.metric, record.quality.direction) != (model.metric, direction):
            told = f"{record.quality.metric}, {record.quality.direction} is better"
            yield f"{place(record)}: its quality is {told}; the suite says {model.metric}, {direction} is better"


def _overlaps(run: StoredRun) -> Iterator[str]:
    """Two tasks at one time: one machine measures one task at a time, so one is a copy of another."""
    timed = [r for r in run.records if r.phases and r.boot_id and not r.cached]  # times of two boots cannot be compared
    for before, after in pairwise(sorted(timed, key=lambda r: (r.boot_id, r.phases[0].start_s))):
        if before.boot_id == after.boot_id and after.phases[0].start_s < before.phases[-1].end_s:
            yield f"{place(after)}: it was measured at the same time as {place(before)}"


def _missing(run: StoredRun) -> list[str]:
    """Tasks that the plan asks for still, though the run has ended."""
    header, attempt = run.header, max((r.attempt for r in run.records), default=1)
    built = {build.build_id for build in header.suite.builds}
    try:
        asked = plan.next_block(header.suite, header.profile, run.records, cached=built, attempt=attempt)
    except KeyError as error:
        return [f"run.json: a case or a build names the build {error}, which the suite does not have"]
    return [f"{task.name}, repetition {task.repetition}: the plan asks for it, and it has no record" for task in asked]


# --- artifacts ----------------------------------------------------------------------------------------------------------


def check_artifacts(run: StoredRun, cache: Cache | None, found: Verification) -> None:
    """What the cases ran is what the builds made, and what lies in the cache.

    Args:
        run: As stored.
        cache: Where artifacts may lie; null: nowhere.
        found: Added to.
    """
    made: dict[str, list[Record]] = {}
    for record in run.records:
        if record.task == "build" and record.artifact:
            made.setdefault(record.artifact.build_id, []).append(record)
    for record in run.records:
        if record.task == "case" and record.artifact and record.artifact.build_id in made:
            found.again["artifacts"] += 1
            if not any(_same(record.artifact, build.artifact) for build in made[record.artifact.build_id] if build.artifact):
                found.wrong.append(f"{place(record)}: its artifact is not the one that {place(made[record.artifact.build_id][-1])} made")
    gone = [build_id for build_id, records in made.items() if not _beside_cache(records[-1], cache, found)]
    if gone:
        found.told.append(
            f"{len(gone)} of {len(made)} artifacts are not in the cache, or were built anew since: their sizes, hashes and counts are taken as stored"
        )


def _beside_cache(build: Record, cache: Cache | None, found: Verification) -> bool:
    """Compare with the cached artifact; false where it is not there, or is of another build."""
    try:
        there = cache.find(build.build_id or "") if cache else None
    except StoreError:
        return False
    if there is None or build.artifact is None:
        return False
    kept, original = there
    if kept.sha256 != build.artifact.sha256 and original.started_utc != build.started_utc:
        return False
    sha256, size = fingerprint(Path(kept.path))
    for name, now in {**kept.model_dump(exclude=ELSEWHERE), "sha256": sha256, "bytes": size}.items():
        found.compare("artifacts", place(build), f"artifact {name}", build.artifact.model_dump()[name], now)
    if build.cached and original.started_utc == build.started_utc:
        for name, now in original.model_dump(exclude=QUOTED).items():
            found.compare("artifacts", place(build), f"{name}, quoted from the build's own record,", build.model_dump()[name], now)
    return True


def _same(one: Artifact, other: Artifact) -> bool:
    return one.model_dump(exclude=ELSEWHERE) == other.model_dump(exclude=ELSEWHERE)
