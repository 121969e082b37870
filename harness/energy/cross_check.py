"""A counter's energy beside its integrated power over one window -> how far they are apart, and how far an honest pair of them may be.

The power reading beside a counter is a second witness, and it has faults of its own. It is no better than

    2 s sqrt(dt / T)       what samples of a load that varies by s leave open, dt the period in which the reading changes, T the window
    w r / (P T)            its memory w (the second that some readings are the mean of, else dt) at the two edges, r the range of its readings

relative to the mean power P (measurement by samples: GUM 4.3; readings and their means: arXiv 2312.02741). A level load leaves neither, however short
the window. One fault no reading shows: an instant reading sees about 25 ms of each 100 ms, so a load that repeats in step with it is misread at any
length of the window, with readings that are level. Where the queries repeat so, the witness convicts nobody.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from harness.schema import Domain, Measurement, Trace

WARN, REJECT = 0.05, 0.10
FEWEST = 5
"""Readings of the power in a window, below which its integral proves nothing."""
CHANGES_S = 0.1
"""How often a power reading changes on every NVIDIA card since Turing, where the trace does not show it."""
SEES_S = 0.025
"""What an instant reading sees of each period on A100 and Hopper: arXiv 2312.02741."""
JITTER = 0.02
"""By how much the queries' period may be off."""
IN_STEP = 0.1
"""Part of the load's swing that stays in the mean of readings taken in step with it."""
HARMONICS = (1, 2, 3)


class CrossCheck(NamedTuple):
    """What the integrated power says of the counter.

    Attributes:
        apart: Counter over integrated power, less 1.
        leeway: How far apart an honest pair may be in this window, relative; infinite where the power was hardly read.
        in_step: Whether the queries repeat in step with the readings, so that these may miss a part of the load.
    """

    apart: float
    leeway: float
    in_step: bool

    @property
    def warns(self) -> bool:
        """Whether they are further apart than 5 %."""
        return abs(self.apart) > WARN

    @property
    def rejects(self) -> bool:
        """Whether they are further apart than 10 %, beyond what the window leaves open."""
        return abs(self.apart) - self.leeway > REJECT and not self.in_step


def cross_check(trace: Trace, m: Measurement, query_s: float | None) -> CrossCheck | None:
    """The second witness of one window of a counter.

    Args:
        trace: What the sensors reported.
        m: Of the counter.
        query_s: How long a query takes, the period in which the load repeats; None: not known.

    Returns:
        None where one of the two has no energy.
    """
    if not m.gross_j or not m.integrated_j:
        return None
    apart, window_s = m.gross_j / m.integrated_j - 1, m.end_s - m.start_s
    gauge = next((d for d in trace.domains.values() if d.counter == m.domain), None)
    if gauge is None:
        return CrossCheck(apart, math.inf, False)
    whole = _full_coverage(gauge)
    return CrossCheck(
        apart,
        _leeway(trace, gauge, m, whole=whole),
        not whole and query_s is not None and in_step(query_s, gauge.update_period_s or CHANGES_S, window_s),
    )


def in_step(query_s: float, period_s: float, window_s: float) -> bool:
    """Whether readings of `SEES_S` in each period may miss a part of a load that repeats with the queries.

    The phase of the k-th reading in the load's cycle is k p/q; the mean of N readings keeps of the load's harmonic h the share
    |sin(N x) / (N sin x)|, x = pi h p/q, of which a reading that sees w keeps |sin y / y|, y = pi h w/q.

    Args:
        query_s: Period q of the load.
        period_s: Period p of the readings.
        window_s: Length of the window.
    """
    if query_s <= 0:
        return False
    n = max(1, int(window_s / period_s))
    cycles = query_s * np.linspace(1 - JITTER, 1 + JITTER, 21)
    kept = [abs(_mean_of_phases(n, h * period_s / q)) * abs(np.sinc(h * SEES_S / q)) for h in HARMONICS for q in cycles]
    return bool(max(kept) > IN_STEP)


def _mean_of_phases(n: int, step: float) -> float:
    """sin(n x) / (n sin x) with x = pi step: 1 where the step is a whole number of cycles."""
    x = math.pi * (step % 1.0)
    return 1.0 if math.sin(x) < 1e-9 else math.sin(n * x) / (n * math.sin(x))


def _full_coverage(gauge: Domain) -> bool:
    """Whether each reading is the mean of a longer time than its period, so that it misses nothing."""
    return (gauge.average_s or 0.0) > (gauge.update_period_s or CHANGES_S)


def _leeway(trace: Trace, gauge: Domain, m: Measurement, *, whole: bool) -> float:
    sample, window_s = trace.samples[gauge.name].finite(), m.end_s - m.start_s
    inside = (sample.t_s >= m.start_s) & (sample.t_s <= m.end_s)
    watts = sample.value[inside]
    mean_w = float(np.mean(watts)) if len(watts) >= FEWEST else 0.0
    if mean_w <= 0:
        return math.inf
    period_s = max(gauge.update_period_s or CHANGES_S, float(np.median(np.diff(sample.t_s[inside]))))
    memory_s = max(gauge.average_s or 0.0, period_s)
    near = sample.value[(sample.t_s >= m.start_s - memory_s) & (sample.t_s <= m.end_s)]
    sampled = 0.0 if whole else 2 * float(np.std(watts)) * math.sqrt(period_s / window_s)
    return (sampled + memory_s * float(np.ptp(near)) / window_s) / mean_w
