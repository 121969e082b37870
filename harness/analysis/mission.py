"""A battery, a rate and a deadline against one case -> its power, the hours of life, the share of deadlines missed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.analysis.interval import FIXED, Interval, mean_interval

Floats = NDArray[np.float64]


def power_w(energy_j: float, throughput_per_s: float, rate_per_s: float, idle_w: float) -> float:
    """Mean power at a rate below the throughput: P0 + (e - P0 / throughput) rate, idle between the inferences.

    Args:
        energy_j: Gross per inference at full throughput.
        throughput_per_s: Inferences a second while it runs.
        rate_per_s: Inferences a second that are asked for, at most the throughput.
        idle_w: Power with the model loaded and nothing to do.
    """
    return idle_w + (energy_j - idle_w / throughput_per_s) * rate_per_s


def hours(battery_wh: float, power_w: float) -> float:
    """How long a battery lasts; infinite where nothing is drawn."""
    return battery_wh / power_w if power_w > 0 else float("inf")


def missed_share(latencies: Sequence[tuple[Floats, Floats]], deadline_s: float, q: float = FIXED) -> tuple[Interval, int]:
    """Share of queries that take longer than the deadline: the mean over launches with Student's interval, cut to 0..1.

    Queries of one launch share its placement and its clocks, so launches are the sample, not queries. Where no launch missed
    one, the upper bound is 3 / n of all n queries (rule of three, Hanley & Lippman-Hand 1983), which takes them as independent.

    Args:
        latencies: Of each launch (seconds, how many queries each stands for), shapes (n,).
        deadline_s: By when an answer must be there.
        q: Quantile of t.

    Returns:
        The share, and how many queries it is of.
    """
    shares = [float(np.average(seconds > deadline_s, weights=count)) for seconds, count in latencies if count.sum()]
    queries = int(sum(count.sum() for _, count in latencies))
    found = mean_interval(shares, q)
    if queries and found.value == 0:
        return Interval(0.0, 0.0, min(1.0, 3 / queries)), queries
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high)), queries
