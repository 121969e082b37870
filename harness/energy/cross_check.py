"""Difference between a counter and its integrated power over one window, and its largest value for a correct sensor.

The power reading is an independent measurement with its own errors. Relative to the mean power P these are

    2 s sqrt(dt / T)       sampling of a load that varies by s; dt is the period in which the reading changes, T the window
    w r / (P T)            its memory w (its averaging time, or dt if longer) at the two edges; r is the range of its readings

(measurement by samples: GUM 4.3; readings and their averaging: arXiv 2312.02741). A constant load causes neither error, even in a short window.
One error is invisible in the readings: an instantaneous reading covers about 25 ms of each 100 ms, so a load that repeats in step with it is
measured incorrectly in a window of any length, although the readings are constant. If the queries repeat in this way, the counter is not rejected.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from harness.schema import Domain, Measurement, Trace

WARN, REJECT = 0.05, 0.10
MIN_READINGS = 5
"""Number of power readings in a window below which their integral is not used."""
UPDATE_PERIOD_S = 0.1
"""Update period of the power reading of every NVIDIA card since Turing, for traces without one."""
COVERED_S = 0.025
"""Part of each period that an instantaneous reading covers on A100 and Hopper: arXiv 2312.02741."""
JITTER = 0.02
"""Relative uncertainty of the queries' period."""
IN_STEP = 0.1
"""Share of the load's amplitude that must remain in the mean of readings taken in step with it."""
HARMONICS = (1, 2, 3)


class CrossCheck(NamedTuple):
    """Comparison of a counter with its integrated power.

    Attributes:
        difference: Ratio of the counter to the integrated power, minus 1.
        tolerance: Largest relative difference of a correct pair in this window; infinite if there are too few power readings.
        in_step: Whether the queries repeat in step with the readings, which may then miss part of the load.
    """

    difference: float
    tolerance: float
    in_step: bool

    @property
    def warns(self) -> bool:
        """Whether they differ by more than 5 %."""
        return abs(self.difference) > WARN

    @property
    def rejects(self) -> bool:
        """Whether they differ by more than 10 % beyond the tolerance."""
        return abs(self.difference) - self.tolerance > REJECT and not self.in_step


def cross_check(trace: Trace, m: Measurement, query_s: float | None) -> CrossCheck | None:
    """Comparison of one window of a counter, under queries of `query_s`, with its power reading; None if either has no energy."""
    if not m.gross_j or not m.integrated_j:
        return None
    difference, window_s = m.gross_j / m.integrated_j - 1, m.end_s - m.start_s
    gauge = next((d for d in trace.domains.values() if d.counter == m.domain), None)
    if gauge is None:
        return CrossCheck(difference, math.inf, False)
    period_s = gauge.update_period_s or UPDATE_PERIOD_S
    gapless = (gauge.average_s or 0.0) > period_s  # each reading is a mean over more than its period
    aliased = not gapless and query_s is not None and in_step(query_s, period_s, window_s)
    return CrossCheck(difference, _tolerance(trace, gauge, m, gapless=gapless), aliased)


def in_step(query_s: float, period_s: float, window_s: float) -> bool:
    """Whether readings that cover `COVERED_S` of each period may miss part of a load that repeats with the queries.

    The phase of the k-th reading in the load's cycle is k p/q; the mean of N readings keeps of the load's harmonic h the share
    |sin(N x) / (N sin x)|, x = pi h p/q, of which a reading that covers w keeps |sin y / y|, y = pi h w/q.

    Args:
        query_s: Period q of the load, s.
        period_s: Period p of the readings, s.
        window_s: Length of the window, s.
    """
    if query_s <= 0:
        return False
    n = max(1, int(window_s / period_s))
    cycles = query_s * np.linspace(1 - JITTER, 1 + JITTER, 21)
    kept = [abs(_mean_of_phases(n, h * period_s / q)) * abs(np.sinc(h * COVERED_S / q)) for h in HARMONICS for q in cycles]
    return bool(max(kept) > IN_STEP)


def _mean_of_phases(n: int, step: float) -> float:
    """sin(n x) / (n sin x) with x = pi step: 1 for a whole number of cycles."""
    x = math.pi * (step % 1.0)
    return 1.0 if math.sin(x) < 1e-9 else math.sin(n * x) / (n * math.sin(x))


def _tolerance(trace: Trace, gauge: Domain, m: Measurement, *, gapless: bool) -> float:
    """Largest relative difference by sampling and memory of the power reading."""
    readings, window_s = trace.samples[gauge.name].finite(), m.end_s - m.start_s
    window = readings.between(m.start_s, m.end_s)
    watts = window.value
    mean_w = float(np.mean(watts)) if len(watts) >= MIN_READINGS else 0.0
    if mean_w <= 0:
        return math.inf
    period_s = max(gauge.update_period_s or UPDATE_PERIOD_S, float(np.median(np.diff(window.t_s))))
    memory_s = max(gauge.average_s or 0.0, period_s)
    near = readings.between(m.start_s - memory_s, m.end_s).value
    sampled = 0.0 if gapless else 2 * float(np.std(watts)) * math.sqrt(period_s / window_s)
    return (sampled + memory_s * float(np.ptp(near)) / window_s) / mean_w
