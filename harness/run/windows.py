"""The phases of a task; a measured window extends from tick to tick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

from harness.energy.ticks import similar_s, widest_last_s
from harness.run.conversation import Conversation
from harness.run.timing import Timing
from harness.schema import WindowTimes
from harness.sensors.sampler import Sampler


class Windows:
    """Opens and closes the phases of one task.

    Attributes:
        closed: Closed windows in order.
    """

    def __init__(self, sampler: Sampler, timing: Timing, conversation: Conversation, on_phase: Callable[[str], None]) -> None:
        self._sampler, self._timing, self._listen, self._on_phase = sampler, timing, conversation.listen, on_phase
        self._open: tuple[str, float] | None = None
        self.closed: list[WindowTimes] = []

    def begin(self, phase: str) -> None:
        """Begin a phase; it is open until `end` or `measure` closes it."""
        self._open = (phase, time.monotonic())
        self._on_phase(phase)

    def end(self) -> None:
        """Close the open phase, if any, now: its edges wait for no tick."""
        if self._open:
            self.closed.append(WindowTimes.loose(*self._open, time.monotonic()))
            self._open = None

    def measure(self, phase: Literal["idle", "steady"], seconds: float, ticks: int = 1, *, exact: bool = False) -> None:
        """Measure a phase from tick to tick of every counter near the case.

        Args:
            phase: Name of the phase.
            seconds: Least length in seconds.
            ticks: Number of ticks to choose from at each edge.
            exact: Lengthen the window until its edges leave little of the energy uncertain.
        """
        begin_s, brackets_s = self._edge(ticks)
        open_s = time.monotonic()
        self._listen(self._timing.grown_s(seconds, brackets_s.values()) if exact else seconds)
        end_s, _ = self._edge(ticks, self._allowed(begin_s, brackets_s) if exact else None)
        self.closed.append(WindowTimes(phase=phase, begin_s=begin_s, open_s=open_s, end_s=end_s, close_s=time.monotonic()))
        self._open = None

    def _edge(self, ticks: int, allowed: Callable[[str], float] | None = None) -> tuple[float, dict[str, float]]:
        """Wait until every counter near the case ticks, then read the other domains.

        Returns:
            Start of the wait, and the width of the bracket around the edge of each counter that ticked, in seconds.
        """
        asked_s = time.monotonic()
        edge = self._sampler.edge(ticks, allowed)
        self._listen(self._timing.edge_patience_s(ticks), until=edge.reached)
        self._sampler.give_up()
        self._sampler.read_gauges()
        return asked_s, {name: similar_s(widths) for name, widths in edge.brackets_s.items() if widths}

    def _allowed(self, begin_s: float, brackets_s: Mapping[str, float]) -> Callable[[str], float]:
        """Largest bracket around the last edge of each counter, in seconds."""
        return lambda name: widest_last_s(brackets_s.get(name, 0.0), time.monotonic() - begin_s)
