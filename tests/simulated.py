"""A counter whose truth is known: a waveform of power, its exact energy, shown in steps of one update period."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from harness.schema import Domain, SensorSpec
from harness.sensors.base import Sensor

Energy = Callable[[float], float]


def constant(watts: float) -> Energy:
    """Energy since t = 0 of a constant power, J."""
    return lambda t: watts * t


def square(low_w: float, high_w: float, period_s: float, duty: float = 0.5) -> Energy:
    """Energy of a square wave: high for the first `duty` of each period."""

    def energy(t: float) -> float:
        whole, part = divmod(t, period_s)
        on = min(part, duty * period_s)
        return whole * period_s * (duty * high_w + (1 - duty) * low_w) + on * high_w + (part - on) * low_w

    return energy


def sine(mean_w: float, swing_w: float, period_s: float) -> Energy:
    """Energy of a sine wave on a constant power."""
    return lambda t: mean_w * t + swing_w * period_s / (2 * math.pi) * (1 - math.cos(2 * math.pi * t / period_s))


def ramp(low_w: float, high_w: float, period_s: float) -> Energy:
    """Energy of a saw tooth."""

    def energy(t: float) -> float:
        whole, part = divmod(t, period_s)
        return whole * period_s * (low_w + high_w) / 2 + low_w * part + (high_w - low_w) * part**2 / (2 * period_s)

    return energy


class SimulatedCounter(Sensor):
    """Shows `energy(t)` as it was at the last update."""

    spec: ClassVar = SensorSpec(name="simulated")

    def __init__(
        self, energy: Energy, update_period_s: float, phase_s: float = 0.0, wrap_j: float | None = None, name: str = "package"
    ) -> None:
        self.energy, self.update_period_s, self.phase_s, self.wrap_j, self.name = energy, update_period_s, phase_s, wrap_j, name
        self.origin_s = time.monotonic()

    def open(self) -> Sequence[Domain]:
        """One domain."""
        return [
            Domain(
                name=self.name,
                sensor="simulated",
                quantity="energy",
                unit="J",
                kind="simulated",
                wrap_j=self.wrap_j,
                update_period_s=self.update_period_s,
                gain=0.05,
            )
        ]

    def read(self, domain: str) -> float:
        """The energy at the last update."""
        t = time.monotonic() - self.origin_s + self.phase_s
        shown = self.energy(math.floor(t / self.update_period_s) * self.update_period_s)
        return shown % self.wrap_j if self.wrap_j else shown

    def truth_j(self, start_s: float, end_s: float) -> float:
        """The exact energy between two times on CLOCK_MONOTONIC."""
        shift = self.phase_s - self.origin_s
        return self.energy(end_s + shift) - self.energy(start_s + shift)
