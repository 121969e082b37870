"""The public interface of a sensor: it opens or says why it cannot, lists its domains, and reads one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from harness.schema import Domain, SensorSpec

PATIENCE_S = 0.05
"""A read may fail for a moment; what fails for longer does not work."""


class Sensor(ABC):
    """One file, one class, one light spec. The library is imported in `open`, never at the top. Nothing ever changes a clock, a limit or a mode of a device."""

    spec: ClassVar[SensorSpec]
    period_s: float = 0.05
    """How often the sampler reads it between the edges of a window."""

    @abstractmethod
    def open(self) -> Sequence[Domain]:
        """Find what can be read here.

        Returns:
            At least one domain.

        Raises:
            SensorError: Nothing can be read: why, and the least privilege or package that would mend it.
        """

    @abstractmethod
    def read(self, domain: str) -> float:
        """The value now, in the domain's unit.

        Raises:
            SensorError: This read failed. The sample is then missing, never 0.
        """

    def watch(self, pid: int | None) -> None:
        """Tell it which process is being measured, so that a foreign load can be told from ours; null between tasks."""

    def describe(self) -> Sequence[dict[str, Any]]:
        """Each device: name, uuid, driver, caps, clocks, as the driver tells; one that is not offered says why under `left_out`."""
        return ()

    def close(self) -> None:
        """Let go of the device."""
