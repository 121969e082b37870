"""Prediction of the next tick of a counter, so that it need not be polled in between."""

from __future__ import annotations

from collections import deque

import numpy as np

TICKS = 32
"""Number of latest ticks that the period is fitted to."""
MIN_TICKS = 6
MIN_MARGIN, MAX_MARGIN = 0.02, 0.25
"""Margins relative to the period: polling begins this early before a tick at the latest; if it would have to begin earlier, no tick is predicted."""
SIGMAS = 4.0
MAX_GAP, MAX_OFF = 12, 0.2
"""Largest gap between two ticks in periods, and largest distance from a whole number of periods, at which the ticks in between can be counted."""


class TickPredictor:
    """Predicts the ticks of a counter that updates at a fixed period, from a line through its latest ticks.

    Args:
        period_s: Probed update period, s; None: unknown, and nothing is predicted.
    """

    def __init__(self, period_s: float | None) -> None:
        self.period_s = period_s
        self._ticks_s: deque[float] = deque(maxlen=TICKS)
        self._widths_s: deque[float] = deque(maxlen=TICKS)

    def add(self, tick_s: float, width_s: float) -> None:
        """Add a tick: the middle of its bracket and the bracket's width, s."""
        self._ticks_s.append(tick_s)
        self._widths_s.append(width_s)

    def forget(self) -> None:
        """Forget all ticks, so that nothing is predicted until there are new ones."""
        self._ticks_s.clear()
        self._widths_s.clear()

    def next_s(self, now_s: float) -> tuple[float, float] | None:
        """When to begin polling for the next tick, and when it must have come, s; None if it cannot be predicted."""
        if self.period_s is None or len(self._ticks_s) < MIN_TICKS:
            return None
        ticks_s = np.array(self._ticks_s)
        gaps = np.diff(ticks_s) / self.period_s
        broken = np.flatnonzero((gaps > MAX_GAP) | (np.abs(gaps - np.round(gaps)) > MAX_OFF) | (gaps < 0.5))
        since = broken[-1] + 1 if len(broken) else 0
        ticks_s, steps = ticks_s[since:], np.concatenate([[0.0], np.cumsum(np.round(gaps[since:]))])
        if len(ticks_s) < MIN_TICKS:
            return None
        (period_s, first_s), covariance = np.polyfit(steps, ticks_s - ticks_s[0], 1, cov=True)
        scatter_s = float(np.std(ticks_s - ticks_s[0] - period_s * steps - first_s))
        k = np.ceil((now_s - ticks_s[0] - first_s) / period_s)
        due_s = float(ticks_s[0] + first_s + period_s * k)
        u_s = float(np.hypot(scatter_s, np.sqrt(max(covariance[0, 0], 0.0)) * abs(k - steps.mean())))
        margin_s = max(SIGMAS * u_s, MIN_MARGIN * period_s, float(np.median(self._widths_s)))
        if margin_s > MAX_MARGIN * period_s:
            return None
        # If polling for it should already have begun, the tick after it is predicted.
        late = due_s - margin_s < now_s
        return (due_s - margin_s + late * period_s, due_s + margin_s + late * period_s)
