"""One case in many runs -> a row a run in the order of time, with how it stands to the run before and what changed between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from harness.analysis.interval import FIXED
from harness.analysis.multiple_testing import verdicts
from harness.analysis.ratio import log_ratio
from harness.frame.columns import HISTORY
from harness.frame.compare import MARGIN, p50s, shared_u
from harness.frame.results import Result, known
from harness.frame.rows import Row
from harness.frame.uncertainty import gain
from harness.schema import StoredRun

Ratio = tuple[float, float, float]
"""(d, u, nu) of a logarithm: see `analysis.ratio.log_ratio`."""


def history_rows(found: Sequence[tuple[Result, Mapping[str, Any]]]) -> list[Row]:
    """The rows of the table `history`.

    Args:
        found: Of each run the case's result, and its row of the table `cases`.
    """
    ordered = sorted(found, key=lambda pair: pair[0].run.header.started_utc)
    settings = [dict(_setting(result, case)) for result, case in ordered]
    rows: list[Row] = [
        {**{column.name: case.get(column.name) for column in HISTORY}, "started_utc": result.run.header.started_utc}
        for result, case in ordered
    ]
    for k, compared in enumerate(_against_previous([result for result, _ in ordered]), 1):
        rows[k] |= compared | {"changed": "; ".join(_changes(settings[k - 1], settings[k])) or None}
    return rows


def _against_previous(ordered: Sequence[Result]) -> list[Row]:
    """Of each run but the first the ratios of energy and latency to the run before, with the verdicts of all of them together (Holm)."""
    pairs = list(pairwise(ordered))
    found = [
        (quantity, k, ratio)
        for quantity, of in (("energy", _energy), ("latency", _latency))
        for k, (before, now) in enumerate(pairs)
        if (ratio := of(now, before)) is not None
    ]
    tested = [ratio for _, _, ratio in found if ratio[1] > 0]
    stopped = any(result.q != FIXED for result in ordered)
    said = iter(verdicts(tested, float(np.log1p(MARGIN)), 0.01 if stopped else 0.05))
    rows: list[Row] = [{} for _ in pairs]
    for quantity, k, ratio in found:
        q = max(result.q for result in pairs[k])
        rows[k] |= _told_ratio(quantity, ratio, q) | ({f"{quantity}_change": next(said)} if ratio[1] > 0 else {})
    return rows


def _told_ratio(quantity: str, ratio: Ratio, q: float) -> Row:
    """With its own 95 % interval, where there is one."""
    from scipy.special import stdtrit  # the quantile of t

    d, u, nu = ratio
    half = float(stdtrit(nu, q) * u) if u > 0 else float("nan")
    ends = {"": d, "_low": d - half, "_high": d + half}
    return {f"{quantity}_vs_previous{end}": float(np.exp(x)) for end, x in ends.items()}


def _energy(now: Result, before: Result) -> Ratio | None:
    """Null where other domains were summed, or another kind; a model of another machine is no comparison.

    The gains of one machine's sensors cancel, those of two do not.
    """
    if (now.kind, now.scope_label) != (before.kind, before.scope_label) or any(
        min(each.energies, default=0) <= 0 for each in (now, before)
    ):
        return None
    if _sensors(now) == _sensors(before):
        return log_ratio(now.energies, before.energies, shared_u(now, before))
    gains = [gain(each) for each in (now, before)]
    return None if None in gains else log_ratio(now.energies, before.energies, float(np.linalg.norm(known(gains))))


def _latency(now: Result, before: Result) -> Ratio | None:
    values = p50s(now), p50s(before)
    return log_ratio(*values) if all(values) else None


def _sensors(result: Result) -> tuple[object, ...]:
    """What the gain of a case's energy belongs to: the machine, the sensor of each domain, the card, its calibration."""
    environment = result.environment
    names = (result.scope or "").split("+")
    own = [(d.name, d.sensor, d.detail.get("uuid"), d.detail.get("calibration")) for d in result.run.header.domains if d.name in names]
    return (environment.host, environment.cpu, *own) if environment else (None, id(result))


def case_ids(stored: Iterable[StoredRun]) -> list[str]:
    """Every case that ran in any of the runs."""
    return list(dict.fromkeys(record.case_id for run in stored for record in run.records if record.case_id))


def _setting(result: Result, case: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What may move a figure beside the case itself, by name."""
    header, environment = result.run.header, result.environment
    yield "profile", header.profile.name
    yield "suite", header.suite.sha256[:12]
    yield "harness", header.harness_version
    yield "commit", header.commit
    yield from ((name, case[name]) for name in ("host", "energy_kind", "energy_scope", "device_uuid", "calibrated"))
    yield "model file", (str(case["sha256"])[:12] if case.get("sha256") else None)
    if environment:
        yield from ((name, getattr(environment, name)) for name in ("cpu", "cpu_limit", "kernel", "python", "governor", "turbo", "virtual"))
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
