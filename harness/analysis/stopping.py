"""Measurements, one at a time -> is it enough? A stopping rule is an object that is made, given values, and asked."""

from __future__ import annotations

from harness.analysis.interval import Interval, mean_interval

FIXED, STOPPED = 0.975, 0.9825
"""Quantile of t of a 95 % interval at a fixed number of launches, and of one reported after a stopping rule: the latter covers 94.1-96.6 %."""


class HalfWidth:
    """Repeat until the repeatability interval is narrow enough.

    Repeating until a 95 % interval meets the target makes it cover 92 % at worst, so the rule stops, and the report tells, with t(.9825, R - 1).

    Args:
        first: Launches before any is judged.
        cap: The most launches.
        half_width: Relative half-width at which it is enough; null: `first` launches, told as they are.
    """

    def __init__(self, first: int, cap: int, half_width: float | None) -> None:
        self.first, self.cap, self.half_width = first, cap, half_width
        self._values: list[float] = []

    def add(self, value: float) -> None:
        """One more launch."""
        self._values.append(value)

    @property
    def interval(self) -> Interval:
        """The interval so far."""
        return mean_interval(self._values, quantile(self.half_width))

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; null where there is none."""
        if self.half_width is None:
            return None
        # NaN, the half-width of a single launch, compares as not reached.
        return len(self._values) >= self.first and self.interval.half_width <= self.half_width

    @property
    def finished(self) -> bool:
        """Whether no further launch is wanted."""
        enough = len(self._values) >= self.first and self.reached is not False
        return enough or len(self._values) >= self.cap


def quantile(half_width: float | None) -> float:
    """The quantile of t that goes with a profile's target half-width; null: a fixed number of launches."""
    return FIXED if half_width is None else STOPPED
