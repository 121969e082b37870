"""Lengths and time limits of a repetition, from sensors, profile and case."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from harness.energy.lag import LAG_TICKS, LAG_WATCH_S
from harness.energy.scope import counts, near_domains
from harness.energy.ticks import EDGE_TICKS, window_for
from harness.schema import TIMEOUT_S, Domain, Limits, Profile

LEAD_IN_S = 1.0
SHORT_LEAD_IN_S = 0.05
"""Lead-in after rounds of warm-up, which ran the same inferences."""
SETTLE_TICKS = 3
"""Update periods after a change of load in which a lagging sensor may still show the load before."""
EDGE_PATIENCE_S = 3.0
QUERY_PATIENCE_S = 10.0
"""Least time limit of a query."""
QUERY_PATIENCE = 20
"""Time limit of a query as a multiple of the duration of the first one."""
WARM_PATIENCE_S = 30.0
"""How much later than the child the parent gives up."""
LONGEST_GROWTH_S = 60.0
"""Longest window that is made because the brackets around its edges are wide."""
UNSEEN_PERIOD_S = 0.1
"""Assumed update period of a reading for which the probe found none: that of every NVIDIA GPU since Turing."""


class Limit(NamedTuple):
    """Time limit of a wait for the child.

    Attributes:
        seconds: The limit.
        doing: What the child is doing, for the reason of a time-out.
        remedy: How to raise it, or what else to do; may be empty.
    """

    seconds: float
    doing: str
    remedy: str

    @property
    def reason(self) -> str:
        """Reason of a time-out."""
        return f"no answer within {self.seconds:g} s while {self.doing}" + (f"\n{self.remedy}" if self.remedy else "")


def _of_suite(name: str, seconds: float, doing: str, raised: str = "") -> Limit:
    """A limit that the suite sets, and the field that raises it; by default the same."""
    return Limit(
        seconds, f"{doing} (limit {name})", f"if it needs longer, set `limits: {{{raised or name}: {2 * seconds:g}}}` in the suite"
    )


@dataclass(frozen=True)
class Timing:
    """Durations of a repetition of one case, in seconds.

    Attributes:
        domains: Domains of all sensors.
        device: Device of the case; None for a build.
        counted: Domains that the suite counts as the case's energy; None: those of its device.
        profile: Length of the phases.
        limits: Time limits of a child.
    """

    domains: Sequence[Domain]
    device: str | None
    counted: Sequence[str] | None
    profile: Profile
    limits: Limits

    @cached_property
    def near(self) -> frozenset[str]:
        """Domains that the figures of the case depend on; those of the CPU for a build."""
        return near_domains(self.domains, self.device or "cpu", self.counted)

    @property
    def _near(self) -> list[Domain]:
        return [d for d in self.domains if d.name in self.near]

    @property
    def tick_s(self) -> float:
        """Update period of the slowest counter near the case; 0 if there is none."""
        return max((d.update_period_s or UNSEEN_PERIOD_S for d in self._near if d.quantity == "energy"), default=0.0)

    @property
    def shift_s(self) -> float | None:
        """Update period of a part-time sensor that shifts the load's phase; or None."""
        alone = [d for d in self.domains if d.part_time and d.counter is None]
        own = [d for d in alone if counts(d.name, d.device, self.device or "cpu", self.counted)]
        return max((d.update_period_s or UNSEEN_PERIOD_S for d in own), default=None)

    @property
    def settle_s(self) -> float:
        """How long the sensors may still show the load before.

        A few update periods and the averaging time. A reading that accompanies a counter need not settle, unless the counter did not tick and the reading may replace it.
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
        """Time for which counters are polled quickly under load to find their lags, s."""
        return max(LAG_WATCH_S, LAG_TICKS * self.tick_s)

    def lead_in_s(self, warmed_s: float) -> float:
        """How long the load runs before its window.

        A second, and until the sensors show the load alone. Where its phase is shifted, longer than the wait before the first
        query: a window that opens in that wait counts no inference.

        Args:
            warmed_s: How long the load has been running.
        """
        return max(SHORT_LEAD_IN_S + 2 * (self.shift_s or 0.0), max(LEAD_IN_S, self.settle_s) - warmed_s)

    def window_s(self, query_s: float) -> float:
        """Shortest window with enough ticks, and enough inferences of `query_s` seconds."""
        return max(self.profile.window_s, self.profile.window_ticks * self.tick_s, self.profile.window_inferences * query_s)

    def token_window_s(self, request_s: float) -> float:
        """Shortest window of text generation: a minimum, enough ticks, and enough requests of `request_s` seconds."""
        profile = self.profile
        return max(profile.token_window_s, profile.window_ticks * self.tick_s, profile.token_window_requests * request_s)

    def grown_s(self, seconds: float, brackets_s: Collection[float]) -> float:
        """Length of a window, grown to suit brackets of these widths around its edges."""
        return max(seconds, min(LONGEST_GROWTH_S, max((window_for(width, width) for width in brackets_s), default=0.0)))

    def edge_ticks(self, query_s: float) -> int:
        """Number of ticks to choose from at each edge: several for long inferences."""
        return EDGE_TICKS if self.tick_s and query_s > self.tick_s / 2 else 1

    def edge_patience_s(self, ticks: int) -> float:
        """Time limit for a number of ticks; a counter that takes longer has stopped."""
        return EDGE_PATIENCE_S + 4 * ticks * self.tick_s

    @property
    def loading(self) -> Limit:
        """Limit for loading the model and the first queries."""
        name = "timeout_s" if self.limits.load_timeout_s is None and self.limits.timeout_s != TIMEOUT_S else "load_timeout_s"
        return _of_suite(name, self.limits.loading_s, "loading the model and answering the first queries", "load_timeout_s")

    def scoring(self, evaluation_s: float = 0.0) -> Limit:
        """Limit for the quality.

        Args:
            evaluation_s: Time limit of an evaluation that the child ends itself, s; 0 without one.
        """
        limit = _of_suite("timeout_s", self.limits.timeout_s, "scoring the quality on the test data")
        return limit._replace(seconds=limit.seconds + evaluation_s + WARM_PATIENCE_S) if evaluation_s else limit

    @property
    def warming(self) -> Limit:
        """Limit for the warm-up of text generation, which ends by itself at `timeout_s`."""
        return _of_suite("timeout_s", self.limits.timeout_s + WARM_PATIENCE_S, "warming up until each stream has finished a request")

    @property
    def draining(self) -> Limit:
        """Limit for the requests in progress after the window, which are cut off at `timeout_s`."""
        return _of_suite("timeout_s", self.limits.timeout_s + WARM_PATIENCE_S, "waiting for the requests in progress")

    @property
    def building(self) -> Limit:
        """Limit for a build."""
        return _of_suite("build_timeout_s", self.limits.build_timeout_s, "building the model file")

    def querying(self, query_s: float, in_flight: int = 1) -> Limit:
        """Limit for the queries under way: 20 times the first one, at least 10 s, at most `timeout_s`; those that take longer hang.

        Args:
            query_s: Duration of a query in seconds.
            in_flight: Number of queries under way.
        """
        patience_s = max(QUERY_PATIENCE_S, QUERY_PATIENCE * query_s * in_flight)
        of_suite_s = max(QUERY_PATIENCE_S, self.limits.timeout_s)
        first = f"the first one took {query_s:.3g} s"
        if patience_s > of_suite_s:
            return _of_suite("timeout_s", of_suite_s, f"answering a query ({first})")
        several = f" for each of {in_flight} in flight" if in_flight > 1 else ""
        return Limit(
            patience_s,
            f"answering a query ({first}; limit {QUERY_PATIENCE} times that{several}, at least {QUERY_PATIENCE_S:g} s)",
            "the engine hangs, or other processes use the machine: stop them and run the case again",
        )
