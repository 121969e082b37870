"""The readings of an energy counter -> its ticks, free of wraps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.schema import Floats, Sample

CLEAN_GAP_S = 0.002
"""A tick counts as an edge where the two polls that bracket it are no further apart."""
EDGE_TICKS = 10
"""Among so many ticks at each edge the one nearest to a completion is taken, where inferences are long."""
SURGE, SLOWEST_TICK_S = 10.0, 0.25
"""No two readings of a counter are further apart than this many times the mean power over the time between them and its longest update period."""


@dataclass(frozen=True)
class Ticks:
    """The steps of a counter: time (middle of the bracketing polls), value after the step in J, distance of the two polls."""

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


def ticks(sample: Sample) -> Ticks:
    """Every step that was seen in a counter's readings."""
    t_s = sample.t_s
    at = np.flatnonzero(np.diff(sample.value) != 0) + 1
    return Ticks((t_s[at] + t_s[at - 1]) / 2, sample.value[at], t_s[at] - t_s[at - 1])
