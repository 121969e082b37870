"""Measurements, one at a time -> is it enough? A stopping rule is an object that is made, given values, and asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from harness.analysis.interval import FIXED, STOPPED, Interval, mean_interval
from harness.analysis.pareto import Estimates, unsettled

__all__ = ["FIXED", "OPEN_PAIRS_CAP", "STOPPED", "HalfWidth", "OpenPairs", "quantile"]

OPEN_PAIRS_CAP = 60
"""The most launches of one case under `OpenPairs`."""


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
    def launches(self) -> int:
        """How many so far."""
        return len(self._values)

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


class OpenPairs:
    """Repeat only the cases whose place on the front is not settled, because they belong to a pair that is open.

    A pair (i, j) is open as long as j may still turn out to dominate i: neither is shown to be dominated by anybody, i is not
    shown to be better than j on some objective, and the two are not shown to be equal within the margins. Shown means with the
    error rates of a stopping rule: see `pareto.dominates`. Simulated, it finds the right front with 90 % probability in 0.3-0.5
    of the launches that equal allocation needs (`python -m benchmarks open_pairs`).

    Args:
        first: Launches of every case before any is judged.
        margins: How much worse is still as good, one for each objective.
        cap: The most launches of one case.
    """

    def __init__(self, first: int, margins: Sequence[float], cap: int = OPEN_PAIRS_CAP) -> None:
        self.first, self.margins, self.cap = first, margins, cap
        self._launches: dict[str, list[Sequence[float]]] = {}

    def add(self, case: str, values: Sequence[float]) -> None:
        """One more launch of a case: its objectives, smaller is better, a logarithm where the margin is relative."""
        self._launches.setdefault(case, []).append(values)

    @property
    def open(self) -> Collection[str]:
        """The cases of which a further launch is wanted."""
        judged = [case for case, launches in self._launches.items() if len(launches) >= self.first]
        values = [np.asarray(self._launches[case], dtype=np.float64) for case in judged]
        objectives = [Estimates.of_values([each[:, k] for each in values], margin) for k, margin in enumerate(self.margins)]
        pairs = unsettled(objectives, STOPPED)
        settled = {judged[k] for k in np.flatnonzero(~np.any(pairs | pairs.T, axis=1))}
        return {case for case, launches in self._launches.items() if case not in settled and len(launches) < self.cap}

    @property
    def finished(self) -> bool:
        """Whether no further launch is wanted."""
        return not self.open


def quantile(half_width: float | None) -> float:
    """The quantile of t that goes with a profile's target half-width; null: a fixed number of launches."""
    return FIXED if half_width is None else STOPPED
