"""The public interface of a sensor: `open` finds its domains, `read` returns one value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from harness.schema import Domain, SensorSpec

PATIENCE_S = 0.05
"""How long reads may fail before the sensor counts as broken."""


class Sensor(ABC):
    """A sensor: one file, one class, one spec. `open` imports the library, the module does not. No setting of a device is ever changed."""

    spec: ClassVar[SensorSpec]
    period_s: float = 0.05
    """Polling period of the sampler between the edges of a window."""

    def select(self, cards: Collection[str]) -> None:
        """Set the UUIDs of the cards that cases of the run chose, before `open`; a sensor of other devices ignores them."""

    @abstractmethod
    def open(self) -> Sequence[Domain]:
        """Find what can be read on this machine.

        Returns:
            At least one domain.

        Raises:
            SensorError: Nothing can be read; the hint is the least privilege or the package that fixes it.
        """

    @abstractmethod
    def read(self, domain: str) -> float:
        """Current value in the unit of the domain.

        Raises:
            SensorError: The read failed. The sample is then missing, never 0.
        """

    def watch(self, pid: int | None) -> None:
        """Set the measured process, so that its load does not count as foreign; None between tasks."""

    def describe(self) -> Sequence[dict[str, Any]]:
        """Properties of each device: name, UUID, driver, limits, clocks; `left_out` is the reason if its domain is not read."""
        return ()

    def close(self) -> None:
        """Release the device."""
