"""A card on a virtual clock: a load with known edges, a counter that sees all of it or part of it, and a probe of that."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.energy.periodic_load import Bursts
from harness.errors import SensorError
from harness.run.card_probing import Clock, Probing
from harness.sensors.card_probe import CardProbe

LOW_W, HIGH_W = 100.0, 500.0


class VirtualCard:
    """A card whose power is `high_w` while its load is on.

    Args:
        seen_s: Time before each update of counter and instantaneous power that they see; None: all of it.
        period_s: Update period.
        high_w: Power under load.
        jitter: Relative noise of the time for which the load is on.
        without: Readings that the card refuses.
        listed: Process ids that the driver lists while the load is there.
        busy: Utilization without the load, in percent.
        delayed: Largest share of its on-time in which a load waits for its host, different for each load.
    """

    uuid, name, driver_version, mig = "GPU-virtual", "Virtual GPU", "580.0", False
    refused: tuple[str, ...] = ()

    def __init__(
        self, seen_s=None, period_s=0.1, high_w=HIGH_W, jitter=0.0, without=(), listed=(4242,), busy=0.0, counter_gain=1.0, delayed=0.0
    ):
        self.now_s, self.seen_s, self.period_s, self.high_w, self.jitter = 1000.0, seen_s, period_s, high_w, jitter
        self.on_s, self.off_s, self.cumulated_s = np.zeros(0), np.zeros(0), np.zeros(1)
        self.loaded, self.listed, self.busy, self.counter_gain = False, listed, busy, counter_gain
        self.delayed = delayed
        self._random, self._sum = np.random.default_rng(1), (0, 0.0)
        self.readings: dict[str, Callable[[], float]] = {
            "counter": self._counter,
            "instant": lambda: self._gauge_w(self._tick(), self.seen_s or self.period_s),
            "average": lambda: self._gauge_w(self._tick(), 1.0),
            "utilization": lambda: self.busy,
        }
        for name in without:
            del self.readings[name]
        self.refused = tuple(without)

    def clock(self) -> Clock:
        """Its clock: a call takes 0.3 ms, a pause is skipped."""

        def now() -> float:
            self.now_s += 0.0003
            return self.now_s

        def sleep(seconds: float) -> None:
            self.now_s += max(seconds, 0.0)

        return Clock(now, sleep)

    def read(self, name: str) -> float:
        """Current value."""
        return self.readings[name]()

    def pids(self) -> list[int]:
        """Processes on the card."""
        return list(self.listed) if self.loaded else []

    def energy_j(self, t_s: float) -> float:
        """True energy since the start, J."""
        index = int(np.searchsorted(self.on_s, t_s))
        seconds = self.cumulated_s[index]
        if index:
            seconds -= max(0.0, self.off_s[index - 1] - t_s)
        return LOW_W * (t_s - 1000.0) + (self.high_w - LOW_W) * float(seconds)

    def _gauge_w(self, t_s: float, seconds: float) -> float:
        return (self.energy_j(t_s) - self.energy_j(t_s - seconds)) / seconds

    def _tick(self) -> float:
        return math.floor(self.now_s / self.period_s) * self.period_s

    def _counter(self) -> float:
        """J at the last update; with `seen_s` the sum of part-time readings, kept up to the last call."""
        if self.seen_s is None:
            return self.counter_gain * self.energy_j(self._tick())
        at, joules = self._sum
        until = math.floor(self.now_s / self.period_s)
        at = at or until
        for k in range(at + 1, until + 1):
            joules += self._gauge_w(k * self.period_s, self.seen_s) * self.period_s
        self._sum = until, joules
        return joules


class VirtualLoad:
    """The load of a `VirtualCard`; its edges are planned when it starts."""

    engine = "virtual"
    pid = 4242

    def __init__(self, card: VirtualCard, fails_after: int | None = None) -> None:
        self.card, self.left, self.ended = card, fails_after, False
        card.loaded = True
        self._planned = Bursts(np.zeros(0), np.zeros(0))

    def start(self, start_s: float, period_s: float, share: float, count: int) -> None:
        """Plan the edges."""
        card = self.card
        on = start_s + np.arange(count) * period_s
        off = on + share * period_s * (1 + card.jitter * card._random.uniform(-1, 1, count)).clip(0, 1 / share)
        works = 1 - card.delayed * card._random.uniform()
        self._planned = Bursts(on, off, np.round((off - on) * works * 1000))
        card.on_s, card.off_s = np.append(card.on_s, on), np.append(card.off_s, on + (off - on) * works)
        card.cumulated_s = np.concatenate([[0.0], np.cumsum(card.off_s - card.on_s)])

    def bursts(self) -> Bursts:
        """The planned edges; an error after a number of loads."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise SensorError("the load process ended: out of memory", "check the engine's installation")
        return self._planned

    def end(self) -> None:
        """Gone."""
        self.ended, self.card.loaded = True, False


def probed(card: VirtualCard, load: VirtualLoad | None = None, why: str = "", scale: float = 0.4) -> CardProbe:
    """The probe of a virtual card under its load, or without one for a reason."""
    given = None if why else load or VirtualLoad(card)
    card.loaded = False

    def start() -> tuple[Any, str]:
        card.loaded = given is not None
        return given, why

    return Probing(card, start, clock=card.clock(), scale=scale).run()
