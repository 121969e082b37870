"""Probe of one card: call times, update periods, and its energy counter and power readings under loads whose times are known.

About two and a half minutes a card. No setting of the card is changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import numpy as np

from harness import __version__
from harness.energy.periodic_load import Bursts, Level, at_half, explained_spread, mean_level, sees_all, spread, swing_w, update_period_s
from harness.energy.ticks import ticks
from harness.errors import HarnessError, SensorError
from harness.run.card_load import Load, start_load
from harness.run.machine import machine_lock
from harness.schema import Catalogue, Sample
from harness.sensors.card_probe import CallTime, CardProbe, LoadLevel, Square
from harness.sensors.card_readings import POWERS, CardReadings, open_cards
from harness.sensors.cuda_visible_devices import VARIABLE, visible_cards
from harness.sensors.nvml_processes import exists

CARD_S = 150.0
"""Typical duration of the probe of one card, with the start of the engine."""
POLL_S = 0.0005
CALLS, CALLS_S = 200, 3.0
"""Number of timed calls of each reading, and the time limit for all of them."""
IDLE_S, AFTER_S, LEVEL_S, SQUARE_S = 5.0, 8.0, 8.0, 6.0
SETTLE_S = 2.5
"""Time after a change of load in which means over a second still show the load before."""
LEVELS = (1.0, 0.6, 0.3)
LEVEL_PERIOD_S = 0.02
PERIODS_S = (1.0, 0.5, 0.2, 0.11, 0.09, 0.05, 0.02)
"""Periods of the loads that are on for half of the time."""
PHASES = (0.0, 0.25, 0.5, 0.75)
"""Phases of the load whose period is that of the counter, as shares of it."""
USUAL_PERIOD_S = 0.1
"""Update period if the counter shows none: that of NVIDIA's cards since Turing."""
LEAD_S = 0.05
BUSY_PERCENT = 5.0
"""Utilization above which another process uses the card."""


class Card(Protocol):
    """Readings of one card, as `harness.sensors.card_readings.CardReadings`."""

    uuid: str
    name: str
    driver_version: str
    readings: dict[str, Callable[[], float]]
    refused: tuple[str, ...]

    def read(self, name: str) -> float:
        """Current value of a reading."""

    def pids(self) -> list[int] | None:
        """Ids of the processes on the card."""


class Clock(NamedTuple):
    """Time in s on CLOCK_MONOTONIC, and a pause."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Probing:
    """The probe of one card under way.

    Attributes:
        card: Readings of the card.
        start: Function that starts the load, and returns it or why there is none.
        report: Called with a line for each part.
        clock: Clock of readings and load.
        scale: Factor of all durations.
    """

    card: Card
    start: Callable[[], tuple[Load | None, str]]
    report: Callable[[str], None] = lambda line: None
    clock: Clock = Clock()  # noqa: RUF009  immutable
    scale: float = 1.0
    unavailable: dict[str, str] = field(default_factory=dict)
    calls: dict[str, dict[str, CallTime | None]] = field(default_factory=dict)
    idle_w: dict[str, float | None] = field(default_factory=dict)
    levels: dict[float, dict[str, Level | None]] = field(default_factory=dict)
    squares: dict[tuple[float, float], dict[str, Level | None]] = field(default_factory=dict)
    rates_hz: list[float] = field(default_factory=list)

    def run(self) -> CardProbe:
        """All parts; those that need a load only if there is one."""
        self.report("call times and power of the idle card")
        self.calls["idle"] = self._call_times()
        idle = self._trace(self.clock.now() + IDLE_S * self.scale)
        self.idle_w["without_context"] = _idle_w(idle)
        traces, load, pids = [idle], None, None
        if reason := self._busy():
            self.unavailable["load"] = reason
        else:
            self.report("starting an engine")
            load, reason = self.start()
            if load is None:
                self.unavailable["load"] = reason
        if load:
            try:
                pids = self._pids(load.pid)
                traces += self._under(load)
            except HarnessError as error:
                self.unavailable["load"] = f"the load failed: {error}"
            finally:
                load.end()
        return self._result(load, pids, traces)

    def _under(self, load: Load) -> Iterator[dict[str, Sample]]:
        """Parts that need the load."""
        self.report(f"power with a context of {load.engine}")
        with_context = self._trace(self.clock.now() + IDLE_S * self.scale)
        self.idle_w["with_context"] = _idle_w(with_context)
        for share in LEVELS:
            self.report(f"load of {share:.0%}")
            timed = share == LEVELS[0]
            level, trace = self._loaded(load, LEVEL_PERIOD_S, share, LEVEL_S, then=self._loaded_calls if timed else None)
            self.levels[share] = level
            yield trace
            if timed:
                self.report("power after the load")
                self.idle_w["after_load"] = _idle_w(self._trace(self.clock.now() + AFTER_S * self.scale))
        tick = self._tick(with_context)
        plan = [(period_s, 0.0) for period_s in PERIODS_S] + [(tick[1], phase * tick[1]) for phase in PHASES]
        for number, (period_s, shift_s) in enumerate(plan, 1):
            self.report(f"periodic load {number} of {len(plan)}: period {period_s * 1e3:.0f} ms, phase {shift_s * 1e3:.0f} ms")
            self.squares[period_s, shift_s], _ = self._loaded(load, period_s, 0.5, max(SQUARE_S, 8 * period_s), tick, shift_s)

    def _loaded(
        self,
        load: Load,
        period_s: float,
        share: float,
        seconds: float,
        tick: tuple[float, float] | None = None,
        shift_s: float = 0.0,
        then: Callable[[], None] | None = None,
    ) -> tuple[dict[str, Level | None], dict[str, Sample]]:
        """Mean power of each reading under a load, once it shows this load alone, and the trace.

        Args:
            load: The load.
            period_s: Its period.
            share: Share of each period in which it is on.
            seconds: Duration.
            tick: Time of a tick of the counter and its period, s, at which the load begins; None: at any time.
            shift_s: Delay after the tick.
            then: Function that is called when the readings have settled, before the trace is taken.
        """
        settle_s = SETTLE_S * self.scale
        count = max(2, round((settle_s + seconds * self.scale) / period_s))
        start_s = self.clock.now() + LEAD_S
        if tick:
            start_s += (tick[0] + shift_s - start_s) % tick[1]
        load.start(start_s, period_s, share, count)
        self.clock.sleep(start_s + settle_s - self.clock.now())
        if then:
            then()
        trace = self._trace(start_s + count * period_s)
        bursts = load.bursts()
        if tick and (rate_hz := bursts.rate_hz()):
            self.rates_hz.append(rate_hz)
        begin_s, end_s = _whole_periods(trace, bursts)
        return {name: mean_level(trace.get(name), bursts, begin_s, end_s, counter=name == "counter") for name in POWERS}, trace

    def _loaded_calls(self) -> None:
        self.calls["loaded"] = self._call_times()

    def _call_times(self) -> dict[str, CallTime | None]:
        """Durations of the calls of each reading; None for a refused one."""
        spent: dict[str, list[float]] = {name: [] for name in self.card.readings}
        until_s = self.clock.now() + CALLS_S * self.scale
        for _ in range(CALLS):
            for name, durations in spent.items():
                began_s = self.clock.now()
                self._read(name)
                durations.append(self.clock.now() - began_s)
            if self.clock.now() > until_s:
                break
        return {**{name: _call_time(durations) for name, durations in spent.items()}, **dict.fromkeys(self.card.refused)}

    def _trace(self, until_s: float) -> dict[str, Sample]:
        """Readings of the counter and the power fields until a time."""
        names = [name for name in POWERS if name in self.card.readings]
        rows: list[list[tuple[float, float, float]]] = [[] for _ in names]
        while self.clock.now() < until_s:
            for name, row in zip(names, rows, strict=True):
                began_s = self.clock.now()
                value = self._read(name)
                row.append((began_s, self.clock.now(), value))
            self.clock.sleep(POLL_S)
        arrays = {name: np.array(row).reshape(-1, 3).T for name, row in zip(names, rows, strict=True)}
        return {name: Sample(*columns) for name, columns in arrays.items()}

    def _read(self, name: str) -> float:
        """Value of a reading; NaN if it failed this time."""
        try:
            return self.card.read(name)
        except HarnessError:
            return float("nan")

    def _busy(self) -> str | None:
        """Why the card cannot be loaded, since other processes use it; None if none does."""
        busy = self._read("utilization") if "utilization" in self.card.readings else 0.0
        others = [pid for pid in self.card.pids() or [] if exists(pid)]
        if busy <= BUSY_PERCENT and not others:
            return None
        used = f"{len(others)} processes of this system are on it" if others else f"it is {busy:.0f} % busy"
        return f"the card is in use: {used}\nstop the other processes (`nvidia-smi`), and probe again"

    def _pids(self, pid: int) -> str:
        """Whether the driver lists the load's process by its id here."""
        listed = self.card.pids() or []
        return "visible" if pid in listed else "hidden" if any(not exists(each) for each in listed) else "not listed"

    def _tick(self, trace: dict[str, Sample]) -> tuple[float, float]:
        """Time of a tick and update period of the counter, s; without a counter of the instantaneous power."""
        sample = trace.get("counter") or trace.get("instant")
        period_s = update_period_s(sample)
        if sample is None or period_s is None:
            return self.clock.now(), USUAL_PERIOD_S
        steps = ticks(sample.finite())
        return float(steps.t_s[-1]), period_s

    def _result(self, load: Load | None, pids: str | None, traces: Sequence[dict[str, Sample]]) -> CardProbe:
        """The figures of all parts."""
        slopes = {name: swing_w(_levels(self.levels.values(), name)) for name in POWERS}
        spreads = {name: spread(_levels(self.squares.values(), name), slopes[name]) for name in POWERS}
        explained = {name: explained_spread(_levels(self.squares.values(), name), slopes[name], self.rates_hz) for name in POWERS}
        verdicts = {name: sees_all(value, explained[name]) for name, value in spreads.items()}
        if delayed := [explained[name] for name, value in spreads.items() if value is not None and verdicts[name] is None]:
            why = f"other processes of this machine delayed the load, which may explain differences of up to {max(delayed):.0%}"
            self.unavailable["periodic load"] = f"{why}\nstop them, and probe again"
        if load and self.squares and all(value is None for value in spreads.values()):
            why = "the load hardly changed the power of the card, so it shows nothing"
            self.unavailable["periodic load"] = f"{why}\ncheck that no other process uses the card, and probe again"
        return CardProbe.model_validate(
            {
                "uuid": self.card.uuid,
                "name": self.card.name,
                "driver": self.card.driver_version,
                "probed_utc": datetime.now(UTC).isoformat(timespec="seconds"),
                "harness_version": __version__,
                "simulated": "simulated" in self.card.driver_version.lower(),
                "engine": load.engine if load else None,
                "calls": self.calls,
                "tick_period_s": _median(update_period_s(trace.get("counter")) for trace in traces),
                "update_periods_s": {n: _median(update_period_s(trace.get(n)) for trace in traces) for n in POWERS[1:]},
                "idle_w": self.idle_w,
                "levels": [LoadLevel(share=share, **_watts(level)) for share, level in self.levels.items()],
                "squares": [Square(period_s=at[0], shift_s=at[1], **_halves(level, slopes)) for at, level in self.squares.items()],
                "spreads": spreads,
                "sees_all": verdicts,
                "pids": pids,
                "unavailable": self.unavailable,
            }
        )


def probe_cards(catalogue: Catalogue, report: Callable[[str], None]) -> Iterator[CardProbe]:
    """Probe the cards that CUDA programs see, one after the other, while no run is active.

    Args:
        catalogue: Installed plug-ins, whose engines load the cards.
        report: Called with a line for each part.

    Raises:
        SensorError: There is no driver, or no card that cases could use.
    """
    with open_cards() as cards, machine_lock("harness doctor --probe", lambda owner: report(f"waiting for {owner} to finish")):
        uuids = [card.uuid for card in cards]
        visible = [cards[index] for index in visible_cards(os.environ.get(VARIABLE), uuids)]
        if not visible:
            value = os.environ.get(VARIABLE)
            effect = "shows a MIG instance" if str(value).startswith("MIG-") else "hides every card"
            raise SensorError(f"{VARIABLE}={value!r} {effect}", f"remove {VARIABLE} from the environment")
        minutes = len(visible) * CARD_S / 60
        report(f"probing {len(visible)} {'card' if len(visible) == 1 else 'cards'}: about {minutes:.0f} minutes; no setting is changed")
        for number, card in enumerate(visible, 1):
            prefix = f"[{number}/{len(visible)}] {card.name}: "
            yield Probing(card, lambda card=card: _load(catalogue, card), lambda line, prefix=prefix: report(prefix + line)).run()  # type: ignore[misc]


def _load(catalogue: Catalogue, card: CardReadings) -> tuple[Load | None, str]:
    """The load of an engine on a card, or why there is none."""
    if card.mig:
        return None, "the card is partitioned (MIG), and its readings are those of the whole card\nprobe it without MIG"
    load, reasons = start_load(catalogue, card.uuid)
    if load:
        return load, ""
    listed = "; ".join(f"{name}: {why.splitlines()[0]}" for name, why in reasons.items()) or "none is installed"
    return None, f"no engine here can load the card ({listed})\ninstall PyTorch with `make torch`, and probe again"


def _whole_periods(trace: dict[str, Sample], bursts: Bursts) -> tuple[float, float]:
    """Interval from one start of the load to another, inside the trace."""
    first_s = max((sample.start_s[0] for sample in trace.values() if len(sample.start_s)), default=bursts.on_s[0])
    last_s = min((sample.end_s[-1] for sample in trace.values() if len(sample.end_s)), default=bursts.on_s[-1])
    inside = bursts.on_s[(bursts.on_s >= first_s) & (bursts.on_s <= last_s)]
    return (float(inside[0]), float(inside[-1])) if len(inside) > 1 else (float(first_s), float(last_s))


def _watts(levels: dict[str, Level | None]) -> dict[str, float | None]:
    return {f"{name}_w": level.watts if level else None for name, level in levels.items()}


def _halves(levels: dict[str, Level | None], slopes: dict[str, float | None]) -> dict[str, float | None]:
    """Mean power at an on-time of one half, by reading; None if it or the slope is unknown."""
    known = {name: (level, slope) for name, level in levels.items() if level and (slope := slopes[name]) is not None}
    return {f"{name}_w": at_half(*known[name]) if name in known else None for name in levels}


def _levels(rows: Iterable[dict[str, Level | None]], name: str) -> list[Level]:
    """Levels of one reading, without those that are missing."""
    return [level for row in rows if (level := row[name]) is not None]


def _idle_w(trace: dict[str, Sample]) -> float | None:
    """Mean power without a load: of the counter, else of the first power reading."""
    nothing = Bursts(np.zeros(0), np.zeros(0))
    for name, sample in trace.items():
        if len(sample.t_s) > 1:
            level = mean_level(sample, nothing, float(sample.t_s[0]), float(sample.t_s[-1]), counter=name == "counter")
            if level:
                return level.watts
    return None


def _call_time(durations: Sequence[float]) -> CallTime:
    p50_s, p99_s = np.quantile(durations, [0.5, 0.99])
    return CallTime(p50_s=float(p50_s), p99_s=float(p99_s), max_s=max(durations))


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
