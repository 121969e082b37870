"""A case's launches and a rate -> the mean power at that rate, and the share of its deadlines missed, each with its interval."""

from __future__ import annotations

import numpy as np

from harness.analysis.interval import Interval, absolute_interval, positive_interval
from harness.analysis.mission import missed_share, power_w
from harness.frame.results import Result, known, mean
from harness.store import read_completions


def power(result: Result, rate_per_s: float) -> Interval:
    """Mean power at a rate, idle between the inferences: W; at a rate of 0 it is the idle power.

    Of each launch P0 + (e - P0 / throughput) rate, so that what its energy and its idle power have in common is kept; the gains are those
    of the domains, each of which errs alike in both. Without gains, as of a model, the interval is that of repeatability.

    Args:
        result: A case with a valid launch whose throughput is known; an idle power that was not measured counts as 0.
        rate_per_s: Inferences a second, at most the throughput.

    Returns:
        The bounds are NaN where a single launch says nothing of the spread.
    """
    watts = [
        power_w(each.energy_j or 0.0, record.throughput_per_s or float("nan"), rate_per_s, each.idle_w or 0.0)
        for record, each in result.launches
    ]
    gain = _gain(result, rate_per_s)
    return positive_interval(watts, result.q) if gain is None else absolute_interval(watts, gain, result.q)


def missed(result: Result, rate_per_s: float, q: float) -> tuple[Interval, int]:
    """Share of the queries that take longer than the rate leaves them, and of how many; of the valid launches, between the edges of `steady`.

    Args:
        result: Its completion times are read from its run's folder.
        rate_per_s: Inferences a second: a query of a batch has as many times longer.
        q: `interval.FIXED` or `STOPPED`: how the launches were ended.
    """
    launches = []
    for record in result.valid:
        start_ns, end_ns, count = read_completions(result.run, record)
        windows = [(phase.start_s * 1e9, phase.end_s * 1e9) for phase in record.phases if phase.name == "steady"]
        inside = sum((start_ns >= start) & (end_ns <= end) for start, end in windows) > 0 if windows else count < 0
        launches.append(((end_ns - start_ns)[inside] * 1e-9 / count[inside], count[inside]))
    return missed_share(launches, result.case.batch_size / rate_per_s, q)


def _gain(result: Result, rate_per_s: float) -> float | None:
    """Relative standard uncertainty of the gain of that power; null where that of a domain is not known."""
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
    """Of one domain, mean over the launches; 0 where it was not measured."""
    return mean(next((m.idle_w for m in each.parts if m.domain == domain), None) for _, each in result.launches) or 0.0
