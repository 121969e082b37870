"""Rows of the table `history`: one case in many runs in order of time, each compared with the previous run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from harness.analysis.interval import FIXED
from harness.analysis.multiple_testing import verdicts
from harness.analysis.ratio import log_ratio
from harness.frame.baseline import JOINT_ALPHA, MARGIN, STOPPED_ALPHA, p50s, shared_u
from harness.frame.columns import HISTORY
from harness.frame.results import Result, known
from harness.frame.rows import Row
from harness.frame.uncertainty import gain
from harness.schema import StoredRun

Ratio = tuple[float, float, float]
"""(d, u, nu) of the logarithm of a ratio: see `analysis.ratio.log_ratio`."""


def history_rows(cases: Sequence[tuple[Result, Mapping[str, Any]]]) -> list[Row]:
    """Rows of the table `history`, of each run's result and its row of `cases`."""
    ordered = sorted(cases, key=lambda pair: pair[0].run.header.started_utc)
    settings = [dict(_settings(result, case)) for result, case in ordered]
    rows: list[Row] = [
        {**{column.name: case.get(column.name) for column in HISTORY}, "started_utc": result.run.header.started_utc}
        for result, case in ordered
    ]
    for k, comparison in enumerate(_against_previous([result for result, _ in ordered]), 1):
        rows[k] |= comparison | {"changed": "; ".join(_changes(settings[k - 1], settings[k])) or None}
    return rows


def differing(results: Sequence[Result], cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the settings, other than the power limit and the state of the cards, that differ between runs of a case.

    Args:
        results: Result of each run.
        cases: Its row of `cases`.
    """
    settings = [
        dict(_general_settings(result, case)) | {"driver": _facts(result, "driver")} for result, case in zip(results, cases, strict=True)
    ]
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if len({str(each.get(name)) for each in settings}) > 1]


def case_ids(stored: Iterable[StoredRun]) -> list[str]:
    """Ids of the cases that ran in any of the runs."""
    return list(dict.fromkeys(record.case_id for run in stored for record in run.records if record.case_id))


def _against_previous(ordered: Sequence[Result]) -> list[Row]:
    """Ratios of energy and latency of each run but the first to the previous one, with their joint verdicts (Shaffer)."""
    pairs = list(pairwise(ordered))
    ratios = [
        (quantity, k, ratio)
        for quantity, ratio_of in (("energy", _energy), ("latency", _latency))
        for k, (previous, current) in enumerate(pairs)
        if (ratio := ratio_of(current, previous)) is not None
    ]
    tested = [ratio for _, _, ratio in ratios if ratio[1] > 0]
    stopped = any(result.q != FIXED for result in ordered)
    changes = iter(verdicts(tested, float(np.log1p(MARGIN)), STOPPED_ALPHA if stopped else JOINT_ALPHA))
    rows: list[Row] = [{} for _ in pairs]
    for quantity, k, ratio in ratios:
        q = max(result.q for result in pairs[k])
        rows[k] |= _ratio_columns(quantity, ratio, q) | ({f"{quantity}_change": next(changes)} if ratio[1] > 0 else {})
    return rows


def _ratio_columns(quantity: str, ratio: Ratio, q: float) -> Row:
    """A ratio with its own 95 % interval, NaN without scatter."""
    from scipy.special import stdtrit  # quantile of t

    d, u, nu = ratio
    half = float(stdtrit(nu, q) * u) if u > 0 else float("nan")
    ends = {"": d, "_low": d - half, "_high": d + half}
    return {f"{quantity}_vs_previous{end}": float(np.exp(x)) for end, x in ends.items()}


def _energy(current: Result, previous: Result) -> Ratio | None:
    """Ratio of the energies; None for other domains, another kind, or another machine with unknown gain.

    The gains of one machine's sensors cancel, those of two machines do not.
    """
    both = (current, previous)
    if (current.kind, current.scope_label) != (previous.kind, previous.scope_label) or any(min(r.energies, default=0) <= 0 for r in both):
        return None
    if _sensors(current) == _sensors(previous):
        return log_ratio(current.energies, previous.energies, shared_u(current, previous))
    gains = [gain(each) for each in both]
    return None if None in gains else log_ratio(current.energies, previous.energies, float(np.linalg.norm(known(gains))))


def _latency(current: Result, previous: Result) -> Ratio | None:
    values = p50s(current), p50s(previous)
    return log_ratio(*values) if all(values) else None


def _sensors(result: Result) -> tuple[object, ...]:
    """Identity of the gain of a case's energy: the machine, and sensor, card and calibration of each domain."""
    environment = result.environment
    names = (result.scope or "").split("+")
    own = [(d.name, d.sensor, d.detail.get("uuid"), d.detail.get("calibration")) for d in result.run.header.domains if d.name in names]
    return (environment.host, environment.cpu, *own) if environment else (None, id(result))


def _settings(result: Result, case: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Everything but the case itself that may change a figure, as (name, value)."""
    yield from _general_settings(result, case)
    for number, device in enumerate(result.environment.devices if result.environment else ()):
        yield from ((f"{device.get('name', number)} {key}", device[key]) for key in sorted(device) if key != "name")


def _facts(result: Result, key: str) -> list[object]:
    """One fact of each device of the machine."""
    return [device.get(key) for device in (result.environment.devices if result.environment else ())]


def _general_settings(result: Result, case: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Settings without the facts of the devices."""
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


def _changes(previous: Mapping[str, object], current: Mapping[str, object]) -> Iterator[str]:
    """`onnxruntime 1.22 -> 1.23` for each name whose value differs."""
    for name in dict.fromkeys((*previous, *current)):
        values = previous.get(name), current.get(name)
        if values[0] != values[1]:
            yield f"{name} {' -> '.join('unknown' if value is None else str(value) for value in values)}"
