"""One case in many runs -> a row a run in the order of time, with what changed from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.frame.columns import HISTORY
from harness.frame.results import Result
from harness.schema import StoredRun

Row = dict[str, Any]


def history_rows(found: Sequence[tuple[Result, Mapping[str, Any]]]) -> list[Row]:
    """The rows of the table `history`.

    Args:
        found: Of each run the case's result, and its row of the table `cases`.
    """
    ordered = sorted(found, key=lambda pair: pair[0].run.header.started_utc)
    rows: list[Row] = []
    before: dict[str, object] | None = None
    for result, case in ordered:
        now = dict(_setting(result, case))
        changed = None if before is None else "; ".join(_changes(before, now)) or None
        row = {column.name: case.get(column.name) for column in HISTORY}
        rows.append({**row, "started_utc": result.run.header.started_utc, "changed": changed})
        before = now
    return rows


def case_ids(stored: Iterable[StoredRun]) -> list[str]:
    """Every case that ran in any of the runs."""
    return list(dict.fromkeys(record.case_id for run in stored for record in run.records if record.case_id))


def _setting(result: Result, case: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What may move a figure beside the case itself, by name."""
    header, environment = result.run.header, result.environment
    yield "profile", header.profile.name
    yield "suite", header.suite.sha256[:12]
    yield "harness", header.harness_version
    yield "commit", header.harness_commit
    yield from ((name, case[name]) for name in ("host", "energy_kind", "energy_scope", "calibrated"))
    yield "model file", (str(case["sha256"])[:12] if case.get("sha256") else None)
    if environment:
        yield from ((name, getattr(environment, name)) for name in ("cpu", "kernel", "python", "governor", "turbo", "virtual"))
        yield from environment.versions.items()
        for number, device in enumerate(environment.devices):
            yield from ((f"{device.get('name', number)} {key}", device[key]) for key in sorted(device) if key != "name")


def _changes(before: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    """`onnxruntime 1.22 -> 1.23`, one for each name that differs."""
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            yield f"{name} {_told(before.get(name))} -> {_told(now.get(name))}"


def _told(value: object) -> str:
    return "not told" if value is None else str(value)
