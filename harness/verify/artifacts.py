"""Checks of the artifacts: each case ran the artifact of its build, and the cached file is unchanged."""

from __future__ import annotations

from pathlib import Path

from harness.artifacts import Cache
from harness.errors import StoreError
from harness.formats.fingerprint import fingerprint
from harness.schema import Artifact, Record, StoredRun
from harness.verify.result import Verification, place

LOCATION = {"path"}
"""Fields of an artifact that may differ between copies."""
OWN = {"schema_version", "run_id", "block", "repetition", "attempt", "cached", "artifact"}
"""Fields in which a record copied from a cached build differs from the record of the build."""


def check_artifacts(run: StoredRun, cache: Cache | None, result: Verification) -> None:
    """Compare the artifact of each case with that of its build, and that with the cache, if there is one."""
    builds: dict[str, list[Record]] = {}
    for record in run.records:
        if record.task == "build" and record.artifact:
            builds.setdefault(record.artifact.build_id, []).append(record)
    for record in run.records:
        if record.task == "case" and record.artifact and record.artifact.build_id in builds:
            made = builds[record.artifact.build_id]
            result.recomputed["artifacts"] += 1
            if not any(_content(record.artifact) == _content(build.artifact) for build in made):
                result.problems.append(f"{place(record)}: its artifact is not that of {place(made[-1])}")
    unchecked = [build_id for build_id, records in builds.items() if not _compare_with_cache(records[-1], cache, result)]
    if unchecked:
        result.notes.append(
            f"{len(unchecked)} of {len(builds)} artifacts are not in the cache, or were built again since: "
            "their sizes, hashes and counts were not checked"
        )


def _compare_with_cache(build: Record, cache: Cache | None, result: Verification) -> bool:
    """Compare a build with the cache; False if the cache does not have it, or has a later one."""
    try:
        entry = cache.find(build.build_id or "") if cache else None
    except StoreError:
        return False
    if entry is None or build.artifact is None:
        return False
    artifact, original = entry
    if artifact.sha256 != build.artifact.sha256 and original.started_utc != build.started_utc:
        return False
    sha256, size = fingerprint(Path(artifact.path))
    for name, value in {**_content(artifact), "sha256": sha256, "bytes": size}.items():
        result.compare("artifacts", place(build), f"artifact {name}", build.artifact.model_dump()[name], value)
    if build.cached and original.started_utc == build.started_utc:
        for name, value in original.model_dump(exclude=OWN).items():
            result.compare("artifacts", place(build), f"{name}, copied from the record of the build,", build.model_dump()[name], value)
    return True


def _content(artifact: Artifact | None) -> dict[str, object]:
    return artifact.model_dump(exclude=LOCATION) if artifact else {}
