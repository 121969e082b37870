"""Stopping rules: objects that are given one launch at a time and decide whether more are needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from harness.analysis.estimates import Estimates
from harness.analysis.interval import FIXED, STOPPED, Interval, mean_interval
from harness.analysis.pareto import unsettled

__all__ = ["FIXED", "OPEN_PAIRS_CAP", "STOPPED", "HalfWidth", "OpenPairs", "quantile"]

OPEN_PAIRS_CAP = 60
"""Maximum number of launches of one case under `OpenPairs`."""


class HalfWidth:
    """Repeat until the repeatability interval is narrow enough.

    A 95 % interval that was repeated until it met the target covers 92 % at worst, so the rule and the report use t(.9825, R - 1).

    Args:
        first: Number of launches before the rule applies.
        cap: Maximum number of launches.
        half_width: Target, relative half-width; None: always `first` launches.
    """

    def __init__(self, first: int, cap: int, half_width: float | None) -> None:
        self.first, self.cap, self.half_width = first, cap, half_width
        self._values: list[float] = []

    def add(self, value: float) -> None:
        """Add the value of a launch."""
        self._values.append(value)

    @property
    def launches(self) -> int:
        """Number of launches so far."""
        return len(self._values)

    @property
    def interval(self) -> Interval:
        """Interval of the launches so far."""
        return mean_interval(self._values, quantile(self.half_width))

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.half_width is None:
            return None
        # NaN, the half-width of a single launch, compares as not reached.
        return len(self._values) >= self.first and self.interval.half_width <= self.half_width

    @property
    def finished(self) -> bool:
        """Whether no further launch is needed."""
        enough = len(self._values) >= self.first and self.reached is not False
        return enough or len(self._values) >= self.cap


class OpenPairs:
    """Repeat only the cases for which it is undecided whether they are on the front: those of an open pair (see `pareto.unsettled`).

    In simulations it finds the right front with 90 % probability in 0.3-0.5 of the launches that equal allocation needs
    (`python -m benchmarks open_pairs`).

    Args:
        first: Number of launches of every case before the rule applies.
        margins: Largest difference that is still as good, for each objective.
        cap: Maximum number of launches of one case.
    """

    def __init__(self, first: int, margins: Sequence[float], cap: int = OPEN_PAIRS_CAP) -> None:
        self.first, self.margins, self.cap = first, margins, cap
        self._launches: dict[str, list[Sequence[float]]] = {}

    def add(self, case: str, values: Sequence[float]) -> None:
        """Add a launch of a case: its objectives, smaller is better, as a logarithm if the margin is relative."""
        self._launches.setdefault(case, []).append(values)

    @property
    def open(self) -> Collection[str]:
        """The cases that need a further launch."""
        tested = [case for case, launches in self._launches.items() if len(launches) >= self.first]
        values = [np.asarray(self._launches[case], dtype=np.float64) for case in tested]
        objectives = [Estimates.of_values([each[:, k] for each in values], margin) for k, margin in enumerate(self.margins)]
        pairs = unsettled(objectives, STOPPED)
        settled = {tested[k] for k in np.flatnonzero(~np.any(pairs | pairs.T, axis=1))}
        return {case for case, launches in self._launches.items() if case not in settled and len(launches) < self.cap}

    @property
    def finished(self) -> bool:
        """Whether no further launch is needed."""
        return not self.open


def quantile(half_width: float | None) -> float:
    """Quantile of t for a profile's target half-width; None: a fixed number of launches."""
    return FIXED if half_width is None else STOPPED
