"""Sensors, profile and case -> how long each part of a repetition takes, and how long the parent is patient. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.energy.lag import LAG_TICKS, LAG_WATCH_S
from harness.energy.scope import counts, near_domains
from harness.energy.ticks import EDGE_TICKS, window_for
from harness.schema import Domain, Limits, Profile

LEAD_IN_S = 1.0
SHORT_LEAD_IN_S = 0.05
"""After rounds of warm-up: the same inferences ran until a moment before."""
SETTLE_TICKS = 3
"""After a change of load a sensor that lags by a period shows only what came after it."""
EDGE_PATIENCE_S = 3.0
QUERY_PATIENCE_S = 10.0
LONGEST_GROWTH_S = 60.0
"""However wide the brackets around the edges are, no window is made longer than this for them."""
UNSEEN_PERIOD_S = 0.1
"""Of a reading whose period the probe could not see: that of every NVIDIA card since Turing."""


@dataclass(frozen=True)
class Timing:
    """How long to wait for what, in a repetition of a case.

    Attributes:
        domains: Of all sensors.
        device: Of the case.
        counted: The suite's choice of what counts as the case's energy; null: the domains of its device.
        profile: How long to idle, warm up and measure.
        limits: When to give a child up.
    """

    domains: Sequence[Domain]
    device: str | None
    counted: Sequence[str] | None
    profile: Profile
    limits: Limits

    @cached_property
    def near(self) -> frozenset[str]:
        """Domains that the figures of the case depend on; of a build all of the processor: it runs there, and the accelerators idle."""
        return near_domains(self.domains, self.device or "cpu", self.counted)

    @property
    def tick_s(self) -> float:
        """Update period of the slowest counter near the case, 0 where there is none."""
        return max((d.update_period_s or UNSEEN_PERIOD_S for d in self._near if d.quantity == "energy"), default=0.0)

    @property
    def _near(self) -> list[Domain]:
        return [d for d in self.domains if d.name in self.near]

    @property
    def shift_s(self) -> float | None:
        """Update period of a part-time sensor that counts, by which the load's phase is shifted; null: the load runs through."""
        alone = [d for d in self.domains if d.part_time and d.counter is None]
        own = [d for d in alone if counts(d.name, d.device, self.device or "cpu", self.counted)]
        return max((d.update_period_s or UNSEEN_PERIOD_S for d in own), default=None)

    @property
    def settle_s(self) -> float:
        """How long the sensors may still show the load before: a few update periods, and what their readings are the mean of.

        A reading beside a counter need not settle, unless the counter showed no tick, so that the reading may have to stand in for it.
        """
        still = {None, *(d.name for d in self._near if d.quantity == "energy" and d.update_period_s is None)}
        reaches = [
            SETTLE_TICKS * (d.update_period_s or UNSEEN_PERIOD_S) + (d.average_s or 0.0)
            for d in self._near
            if d.quantity in ("energy", "power") and d.kind != "modelled" and d.counter in still
        ]
        return max(reaches, default=0.0)

    @property
    def lag_watch_s(self) -> float:
        """How long the counters are polled quickly from the beginning of the load on, which shows their lags."""
        return max(LAG_WATCH_S, LAG_TICKS * self.tick_s)

    def lead_in_s(self, warmed_s: float) -> float:
        """How long the load runs before its window: through the second that the protocol asks for, and until the sensors show it alone.

        Args:
            warmed_s: How long it has been running.

        Returns:
            More than the longest wait before the first query where the load's phase is shifted: a window that opens in it counts no inference.
        """
        return max(SHORT_LEAD_IN_S + 2 * (self.shift_s or 0.0), max(LEAD_IN_S, self.settle_s) - warmed_s)

    def window_s(self, query_s: float) -> float:
        """The least window of the profile that holds enough ticks, and enough inferences of so many seconds."""
        return max(self.profile.window_s, self.profile.window_ticks * self.tick_s, self.profile.window_inferences * query_s)

    def grown_s(self, seconds: float, brackets_s: Collection[float]) -> float:
        """A window that is long enough for its edges.

        Args:
            seconds: How long it is otherwise.
            brackets_s: Width of the bracket around the first edge of each counter; the last edge is expected to be as wide.
        """
        return max(seconds, min(LONGEST_GROWTH_S, max((window_for(width, width) for width in brackets_s), default=0.0)))

    def edge_ticks(self, query_s: float) -> int:
        """Several ticks to choose from at each edge where an inference is longer than a tick."""
        return EDGE_TICKS if self.tick_s and query_s > self.tick_s / 2 else 1

    def edge_patience_s(self, ticks: int) -> float:
        """How long so many ticks may take; then a counter has stopped."""
        return EDGE_PATIENCE_S + 4 * ticks * self.tick_s

    def query_patience_s(self, query_s: float) -> float:
        """How long the query under way may still take before it hangs."""
        return max(QUERY_PATIENCE_S, min(self.limits.timeout_s, 20 * query_s))
