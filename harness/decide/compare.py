"""Ratios of energy and latency of each case between machines, over the domains that all of them read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from harness.analysis.interval import FIXED, Interval
from harness.analysis.multiple_testing import Verdict, verdicts
from harness.analysis.ratio import log_ratio, log_welch
from harness.energy.scope import holds_device
from harness.frame.baseline import JOINT_ALPHA, MARGIN, STOPPED_ALPHA, p50s
from harness.frame.reference import is_double
from harness.frame.results import Result, known, results
from harness.frame.uncertainty import gain
from harness.schema import StoredRun
from harness.schema.served import Unit


@dataclass(frozen=True)
class Comparison:
    """Ratio of one quantity of one case on another machine to the first.

    Attributes:
        case_id: Id of the case.
        run: Number of the run, from 1; 0 is the base.
        quantity: energy or latency.
        ratio: Ratio with its individual 95 % interval; bounds NaN if unknown.
        verdict: Verdict, jointly for all ratios; None if there is none.
        why_not: Why there is no verdict: modelled, gain unknown, no scatter or one launch.
        kind: Kind of the energies; of latency `measured`, on a test double `simulated`.
        unit: Unit of the case: of an output token, latency is the time per output token.
    """

    case_id: str
    run: int
    quantity: str
    ratio: Interval
    verdict: Verdict | None
    why_not: str = ""
    kind: str = ""
    unit: Unit = "inference"


def compare(runs: Sequence[StoredRun]) -> list[Comparison]:
    """Ratios of energy and latency of each case that is ok on both machines to the first run, by case, then by run.

    Two machines have two sensors, so u^2 of ln(e / e_base) is Welch's of the launches plus both squared gains, which do not cancel. The
    offset of an uncalibrated sensor is part of its gain (measurement.md, section 5). A modelled energy has no gain, so no interval.
    """
    base, *others = aligned(runs)
    ratios = [
        _comparison(case_id, k, max(first.q, other[case_id].q, FIXED), pair)
        for case_id, first in base.items()
        for k, other in enumerate(others, 1)
        if case_id in other
        for pair in (_energies(other[case_id], first), _latencies(other[case_id], first))
        if pair
    ]
    stopped = any(run.header.profile.half_width is not None for run in runs)
    tested = [ratio for _, ratio in ratios if ratio is not None]
    joint = iter(verdicts(tested, float(np.log1p(MARGIN)), STOPPED_ALPHA if stopped else JOINT_ALPHA))
    return [
        replace(comparison, unit=base[comparison.case_id].case.unit, verdict=None if ratio is None else next(joint))
        for comparison, ratio in ratios
    ]


def aligned(runs: Sequence[StoredRun]) -> list[dict[str, Result]]:
    """Completed cases of each run by id, their energies reduced to the rails that every run with the case has.

    Rails are families and devices, regardless of the number of sockets or cards. A case without a common rail, or without a common one of its
    own device, is unchanged.
    """
    of_runs = [{r.case.case_id: r for r in results(run) if r.ok} for run in runs]
    for case_id in dict.fromkeys(case_id for each in of_runs for case_id in each):
        own = [each[case_id] for each in of_runs if case_id in each]
        common = frozenset.intersection(*(r.rails for r in own))
        holds = any(holds_device(rail, rail, own[0].case.device) for rail in common)
        if holds and any(r.rails != common for r in own):
            for each in (each for each in of_runs if case_id in each):
                each[case_id] = replace(each[case_id], only=common)
    return of_runs


class _Pair(NamedTuple):
    """Values of a quantity on both machines, with the uncertainty `u` beyond the scatter of launches (None: unknown)."""

    quantity: str
    values: Sequence[float]
    others: Sequence[float]
    u: float | None
    kind: str
    why_not: str = ""


def _energies(result: Result, base: Result) -> _Pair | None:
    if min(result.energies, default=0) <= 0 or min(base.energies, default=0) <= 0:
        return None
    kinds = "/".join(dict.fromkeys((base.kind, result.kind)))
    gains = [gain(each) for each in (result, base)]
    if None in gains:
        return _Pair("energy", result.energies, base.energies, None, kinds, "modelled" if "modelled" in kinds else "gain unknown")
    return _Pair("energy", result.energies, base.energies, float(np.linalg.norm(known(gains))), kinds)


def _latencies(result: Result, base: Result) -> _Pair | None:
    values, others = p50s(result), p50s(base)
    kind = "simulated" if is_double(result.case.engine) else "measured"
    return _Pair("latency", values, others, 0.0, kind) if values and others else None


def _comparison(case_id: str, k: int, q: float, pair: _Pair) -> tuple[Comparison, tuple[float, float, float] | None]:
    """The ratio, and (d, u, nu) of its logarithm for the verdict; None without an interval."""
    interval = log_welch(pair.values, pair.others, q, pair.u or 0.0)
    ratio = log_ratio(pair.values, pair.others, pair.u or 0.0)
    if pair.u is None or not ratio[1] > 0:
        why = pair.why_not or ("no scatter" if ratio[1] == 0 else "one launch")
        return Comparison(case_id, k, pair.quantity, Interval(interval.value, np.nan, np.nan), None, why, pair.kind), None
    return Comparison(case_id, k, pair.quantity, interval, None, "", pair.kind), ratio
