"""Ticks of an energy counter from its readings, with wraparounds removed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.schema import Floats, Sample

CLEAN_GAP_S = 0.002
"""Width of a bracket that is narrow enough."""
SLACK_S = 0.001
"""Pause between two reads of a counter that is polled quickly, with the time to wake up."""
SIMILAR = 1.25
"""Brackets wider than the narrowest by no more than this factor are equally good."""
EDGE_ERROR = 0.005
"""Largest share of a window's energy that its edges may leave uncertain at 95 %."""
Z95 = 1.96
PERIODS = 2.0
"""Largest age of a reading in update periods of its counter."""
EDGE_TICKS = 10
"""Number of ticks at each edge from which the one nearest to a completion is taken."""
SURGE, SLOWEST_TICK_S = 10.0, 0.25
"""Factor of the largest plausible difference of two readings: times the mean power, over the time between them plus the longest update period."""


@dataclass(frozen=True)
class Ticks:
    """The steps of a counter.

    Attributes:
        t_s: Middle of the bracket of each, s.
        value_j: Value after the step, J.
        gap_s: Width of the bracket, s.
    """

    t_s: Floats
    value_j: Floats
    gap_s: Floats


def unwrap(sample: Sample, wrap_j: float | None) -> tuple[Sample, Floats]:
    """Undo the wraps of a counter.

    Args:
        sample: Readings, J.
        wrap_j: Value at which the counter wraps to 0, J; None: it does not wrap.

    Returns:
        Monotonic readings, and the times of backward steps that no wrap explains (resets), at which the energy is unknown.
    """
    sample = sample.finite()
    step = np.diff(sample.value, prepend=sample.value[:1])
    back = step < 0
    wrapped = _wraps(sample.t_s, step, wrap_j) if wrap_j and np.any(back) else np.zeros_like(back)
    value = sample.value + np.cumsum(wrapped) * (wrap_j or 0.0)
    return Sample(sample.start_s, sample.end_s, value), sample.t_s[back & ~wrapped]


def _wraps(t_s: Floats, step_j: Floats, wrap_j: float) -> NDArray[np.bool_]:
    """Which backward steps are wraps: they lose more than half of the range, and the energy gained by the wrap is plausible.

    A counter that is reset high in its range loses more than half of it too, but the energy in the rest of the range cannot have been used in that instant.
    """
    candidate = step_j < -wrap_j / 2
    gained_j = np.where(candidate, step_j + wrap_j, np.maximum(step_j, 0.0))
    mean_w = np.sum(gained_j) / (t_s[-1] - t_s[0])
    most_j = SURGE * mean_w * (np.diff(t_s, prepend=t_s[:1]) + SLOWEST_TICK_S)
    return np.asarray(candidate & (gained_j <= most_j))


def ticks(sample: Sample, period_s: float | None = None) -> Ticks:
    """All steps in a counter's readings.

    The bracket of a step reaches from the start of the read before it to the end of the read that shows it. A value is no older than
    `period_s` (twice that, if the counter is irregular), however long ago it was last read.

    Args:
        sample: Readings with wraps undone.
        period_s: Update period of the counter, s; None: unknown.
    """
    at = np.flatnonzero(np.diff(sample.value) != 0) + 1
    widths = bracket_s(sample.start_s[at - 1], sample.start_s[at], sample.end_s[at], period_s)
    return Ticks(sample.end_s[at] - widths / 2, sample.value[at], np.asarray(widths))


def ticks_between_middles(sample: Sample) -> Ticks:
    """All steps as in records of schema 2 and before: between the middles of two reads, however long these took."""
    t_s = sample.t_s
    at = np.flatnonzero(np.diff(sample.value) != 0) + 1
    return Ticks((t_s[at] + t_s[at - 1]) / 2, sample.value[at], t_s[at] - t_s[at - 1])


def bracket_s(before_s: Floats | float, start_s: Floats | float, end_s: Floats | float, period_s: float | None) -> Any:
    """Width of the bracket around a tick, s; a number or an array, as the arguments.

    Args:
        before_s: Start of the last read of the old value.
        start_s: Start of the first read of the new value.
        end_s: End of that read.
        period_s: Update period of the counter, s; None: unknown.
    """
    if period_s is None:
        return end_s - before_s
    return end_s - np.maximum(before_s, start_s - PERIODS * period_s)


def narrow_s(read_s: float) -> float:
    """Bracket width that is narrow for reads of a given length, s."""
    return max(CLEAN_GAP_S, 2 * SIMILAR * read_s + SLACK_S)


def similar_s(brackets_s: Sequence[float] | Floats) -> float:
    """Width up to which brackets are as good as the narrowest, s."""
    return max(CLEAN_GAP_S, SIMILAR * float(np.min(brackets_s)))


def edge_share(first_s: float, last_s: float, window_s: float) -> float:
    """Share of a window's energy that its edges leave uncertain at 95 %, for a constant load, from the widths of the brackets.

    Each tick is anywhere in its bracket (rectangular distribution, GUM 4.3.7): u = width / (2 sqrt 3) each, times the power.
    """
    return Z95 * math.hypot(first_s, last_s) / (2 * math.sqrt(3)) / window_s


def window_for(first_s: float, last_s: float) -> float:
    """Length of the shortest window whose edges leave at most `EDGE_ERROR` uncertain, s."""
    return edge_share(first_s, last_s, 1.0) / EDGE_ERROR


def widest_last_s(first_s: float, window_s: float) -> float:
    """Largest width of the last bracket that leaves at most `EDGE_ERROR` of a window uncertain, s; 0: none does."""
    both_s = EDGE_ERROR * window_s * 2 * math.sqrt(3) / Z95
    return math.sqrt(max(0.0, both_s**2 - first_s**2))
