"""A log that has a row only where the value changes -> readings at a steady rhythm, each value kept until the next row."""

from __future__ import annotations

import numpy as np

from harness.schema import Floats

STEP_S = 1e-3
"""How long before a change the old value is written once more."""
MOST_READINGS = 2_000_000
LONGEST_PERIOD_S = 1.0
"""At least one reading a second: a value that holds is no gap."""


def held(t_s: Floats, watts: Floats) -> tuple[Floats, Floats]:
    """The values of a log of changes between its rows.

    Args:
        t_s: Times of the changes, rising, shape (n,).
        watts: The value from each change on, shape (n,); NaN where the sensor had none.

    Returns:
        Times and values: each row, its value again at least once a second, and just before the next row.
    """
    steps = np.diff(t_s)
    rising = steps[steps > 0]
    if not len(rising):
        return t_s, watts
    period_s = max(min(float(np.median(rising)), LONGEST_PERIOD_S), float(t_s[-1] - t_s[0]) / MOST_READINGS)
    counts = np.maximum(np.ceil((steps - STEP_S) / period_s).astype(int) - 1, 0)
    times, values = [], []
    for start, stop, watt, count in zip(t_s[:-1], t_s[1:], watts[:-1], counts, strict=True):
        own = [start + period_s * k for k in range(count + 1)]
        if stop - own[-1] > 2 * STEP_S:
            own.append(stop - STEP_S)
        times += own
        values += [watt] * len(own)
    return np.array([*times, t_s[-1]]), np.array([*values, watts[-1]])
