"""The readings of an energy counter -> its ticks, free of wraps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.schema import Floats, Sample

CLEAN_GAP_S = 0.002
"""A tick whose bracket is no wider needs no narrower one."""
SLACK_S = 0.001
"""Between two reads of a counter that is polled quickly: the pause, and what a machine needs to wake up."""
SIMILAR = 1.25
"""Brackets that are wider than the narrowest by no more than this factor are taken as alike."""
EDGE_ERROR = 0.005
"""Of a window's energy: the most that its edges may leave uncertain at 95 %."""
Z95 = 1.96
PERIODS = 2.0
"""A reading is no older than this many update periods of its counter."""
EDGE_TICKS = 10
"""Among so many ticks at each edge the one nearest to a completion is taken, where inferences are long."""
SURGE, SLOWEST_TICK_S = 10.0, 0.25
"""No two readings of a counter are further apart than this many times the mean power over the time between them and its longest update period."""


@dataclass(frozen=True)
class Ticks:
    """The steps of a counter: time (middle of the bracket) in s, value after the step in J, width of the bracket in s."""

    t_s: Floats
    value_j: Floats
    gap_s: Floats


def unwrap(sample: Sample, wrap_j: float | None) -> tuple[Sample, Floats]:
    """Undo the wraps of a counter.

    Args:
        sample: Readings in J.
        wrap_j: Where it starts again at 0; null: never.

    Returns:
        The readings made monotonic, and the times of backward steps that no wrap explains (resets): there the energy is unknown.
    """
    sample = sample.finite()
    step = np.diff(sample.value, prepend=sample.value[:1])
    back = step < 0
    wrapped = _wraps(sample.t_s, step, wrap_j) if wrap_j and np.any(back) else np.zeros_like(back)
    value = sample.value + np.cumsum(wrapped) * (wrap_j or 0.0)
    return Sample(sample.start_s, sample.end_s, value), sample.t_s[back & ~wrapped]


def _wraps(t_s: Floats, step_j: Floats, wrap_j: float) -> NDArray[np.bool_]:
    """Which backward steps are wraps: more than half the range is lost, and what would then have been drawn is no surge.

    A counter that began anew high in its range also loses more than half of it, but the rest of the range was not drawn in that moment.
    """
    candidate = step_j < -wrap_j / 2
    gained_j = np.where(candidate, step_j + wrap_j, np.maximum(step_j, 0.0))
    mean_w = np.sum(gained_j) / (t_s[-1] - t_s[0])
    most_j = SURGE * mean_w * (np.diff(t_s, prepend=t_s[:1]) + SLOWEST_TICK_S)
    return np.asarray(candidate & (gained_j <= most_j))


def ticks(sample: Sample, period_s: float | None = None) -> Ticks:
    """Every step that was seen in a counter's readings.

    A step lies between the start of the read before it and the end of the read that shows it: that is its bracket. A counter that updates
    each `period_s` shows a value no older than that (twice that, where it is not regular), however long ago it was last read.

    Args:
        sample: Readings, free of wraps.
        period_s: Update period of the counter; None: not known.
    """
    at = np.flatnonzero(np.diff(sample.value) != 0) + 1
    widths = bracket_s(sample.start_s[at - 1], sample.start_s[at], sample.end_s[at], period_s)
    return Ticks(sample.end_s[at] - widths / 2, sample.value[at], np.asarray(widths))


def ticks_between_middles(sample: Sample) -> Ticks:
    """Every step, as records of schema 2 and before have them: between the middles of two reads, however long these took."""
    t_s = sample.t_s
    at = np.flatnonzero(np.diff(sample.value) != 0) + 1
    return Ticks((t_s[at] + t_s[at - 1]) / 2, sample.value[at], t_s[at] - t_s[at - 1])


def bracket_s(before_s: Floats | float, start_s: Floats | float, end_s: Floats | float, period_s: float | None) -> Any:
    """Width of the bracket around a tick, s: a number, or an array of the shape given.

    Args:
        before_s: Start of the last read that showed the old value.
        start_s: Start of the read that showed the new one.
        end_s: Its end.
        period_s: Update period of the counter; None: not known.
    """
    if period_s is None:
        return end_s - before_s
    return end_s - np.maximum(before_s, start_s - PERIODS * period_s)


def narrow_s(read_s: float) -> float:
    """Width of a bracket around which reads of this length leave little room, s."""
    return max(CLEAN_GAP_S, 2 * SIMILAR * read_s + SLACK_S)


def similar_s(brackets_s: Sequence[float] | Floats) -> float:
    """Width up to which brackets are as good as the narrowest of them, s."""
    return max(CLEAN_GAP_S, SIMILAR * float(np.min(brackets_s)))


def edge_share(first_s: float, last_s: float, window_s: float) -> float:
    """What the edges of a window leave uncertain of its energy at 95 %, as a share, for a load that draws the same at the edges.

    Each tick lies anywhere in its bracket (rectangular distribution, GUM 4.3.7): u = width / (2 sqrt 3) each, times the power.

    Args:
        first_s: Width of the bracket around the first edge.
        last_s: Around the last.
        window_s: Length of the window.
    """
    return Z95 * math.hypot(first_s, last_s) / (2 * math.sqrt(3)) / window_s


def window_for(first_s: float, last_s: float) -> float:
    """Length of the shortest window whose edges leave no more than `EDGE_ERROR` uncertain, s."""
    return edge_share(first_s, last_s, 1.0) / EDGE_ERROR


def widest_last_s(first_s: float, window_s: float) -> float:
    """Width of the widest bracket around the last edge of a window that leaves no more than `EDGE_ERROR` uncertain, s; 0: none does."""
    both_s = EDGE_ERROR * window_s * 2 * math.sqrt(3) / Z95
    return math.sqrt(max(0.0, both_s**2 - first_s**2))
