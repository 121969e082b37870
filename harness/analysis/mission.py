"""Mean power, battery life and share of missed deadlines of a case at a given query rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.analysis.interval import FIXED, Interval, mean_interval
from harness.schema import Floats


def power_w(energy_j: float, throughput_per_s: float, rate_per_s: float, idle_w: float) -> float:
    """Mean power at a rate below the throughput: P0 + (e - P0 / throughput) rate, idle between the inferences.

    Args:
        energy_j: Gross energy per inference at full throughput, J.
        throughput_per_s: Inferences per second at full throughput.
        rate_per_s: Requested inferences per second, at most the throughput.
        idle_w: Idle power with the model loaded, W.
    """
    return idle_w + (energy_j - idle_w / throughput_per_s) * rate_per_s


def hours(battery_wh: float, power_w: float) -> float:
    """Battery life, h; infinite if no power is drawn."""
    return battery_wh / power_w if power_w > 0 else float("inf")


def missed_share(latencies: Sequence[tuple[Floats, Floats]], deadline_s: float, q: float = FIXED) -> tuple[Interval, int]:
    """Share of queries that take longer than the deadline, and number of queries: the mean over launches with Student's interval, cut to 0..1.

    The launches are the sample, not the queries, which share placement and clocks within a launch. If no query missed the deadline,
    the upper bound is 3 / n of all n queries (rule of three, Hanley & Lippman-Hand 1983), which takes them as independent.

    Args:
        latencies: Latencies in s and the number of queries that each represents, for each launch, shapes (n,).
        deadline_s: Deadline of a query, s.
        q: Quantile of t.
    """
    shares = [float(np.average(seconds > deadline_s, weights=count)) for seconds, count in latencies if count.sum()]
    queries = int(sum(count.sum() for _, count in latencies))
    mean = mean_interval(shares, q)
    if queries and mean.value == 0:
        return Interval(0.0, 0.0, min(1.0, 3 / queries)), queries
    return Interval(mean.value, max(0.0, mean.low), min(1.0, mean.high)), queries
