"""Mean power of a case at a rate of inferences, and its share of missed deadlines, each with its interval."""

from __future__ import annotations

import numpy as np

from harness.analysis.interval import Interval, absolute_interval, positive_interval
from harness.analysis.mission import missed_share, power_w
from harness.frame.results import Result, known, mean
from harness.store import read_completions


def power(result: Result, rate_per_s: float) -> Interval:
    """Mean power at a rate in watts, idle between the inferences; the idle power at a rate of 0.

    P0 + (e - P0 / throughput) rate of each launch, which keeps the correlation of energy and idle power; a domain's gain affects both
    alike. Without gains, as of a modelled energy, the interval is that of repeatability.

    Args:
        result: Case with a valid launch with a throughput; an idle power that was not measured counts as 0.
        rate_per_s: Inferences per second, at most the throughput.

    Returns:
        Mean power; its bounds are NaN for a single launch.
    """
    watts = [
        power_w(each.energy_j or 0.0, record.throughput_per_s or float("nan"), rate_per_s, each.idle_w or 0.0)
        for record, each in result.launches
    ]
    gain = _gain(result, rate_per_s)
    return positive_interval(watts, result.q) if gain is None else absolute_interval(watts, gain, result.q)


def missed(result: Result, rate_per_s: float, q: float) -> tuple[Interval, int]:
    """Share of queries that take longer than the rate allows, and the number of queries; of valid launches, inside `steady`.

    Queries in flight share the time: n of them may take n times as long.

    Args:
        result: Case whose completion times are in its run's folder.
        rate_per_s: Inferences per second; the deadline of a query is its batch size over this rate.
        q: `interval.FIXED`, or `STOPPED` after a stopping rule.
    """
    launches = []
    for record in result.valid:
        start_ns, end_ns, count = read_completions(result.run, record)
        windows = [(phase.start_s * 1e9, phase.end_s * 1e9) for phase in record.phases if phase.name == "steady"]
        inside = sum((start_ns >= start) & (end_ns <= end) for start, end in windows) > 0 if windows else count < 0
        launches.append(((end_ns - start_ns)[inside] * 1e-9 / count[inside], count[inside]))
    return missed_share(launches, result.case.in_flight * result.case.batch_size / rate_per_s, q)


def _gain(result: Result, rate_per_s: float) -> float | None:
    """Relative standard uncertainty of that power from the gains; None if the gain of a domain is unknown."""
    gains = [gain for gain, _ in result.shares]
    if result.kind == "modelled" or None in gains or not result.throughput_per_s:
        return None
    idles_w = [_idle_w(result, name) for name in (result.scope or "").split("+")]
    watts = [
        power_w(joules or 0.0, result.throughput_per_s, rate_per_s, idle_w)
        for (_, joules), idle_w in zip(result.shares, idles_w, strict=True)
    ]
    total_w = sum(watts)
    return float(np.linalg.norm(np.multiply(known(gains), watts)) / total_w) if total_w > 0 else None


def _idle_w(result: Result, domain: str) -> float:
    """Idle power of one domain in watts, mean over launches; 0 if it was not measured."""
    return mean(next((m.idle_w for m in each.parts if m.domain == domain), None) for _, each in result.launches) or 0.0
