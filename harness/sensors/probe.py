"""Opening of the sensors, and a probe of their domains: update period, cost of a read, agreement of counter and power."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import numpy as np

from harness import plugins
from harness.errors import HarnessError, SensorError
from harness.schema import Catalogue, Domain
from harness.sensors.base import PATIENCE_S, Sensor
from harness.sensors.sampler import Sampler

Opened = list[tuple[Sensor, list[Domain]]]

TICK_GAPS = 12
"""Number of gaps between ticks whose median is the update period."""
SPIN_S = 0.05
"""Time of polling without pauses, which shows the fastest counters (1 ms)."""
POLL_S = 0.0005
GAUGE_S = 0.02
LIMIT_S = 5.0
DISAGREE = 0.05
SAME_PERIOD = 0.2
"""Relative difference between a stored and a new update period up to which the stored one, of more ticks, is used."""


def open_sensors(catalogue: Catalogue, cards: Collection[str] = ()) -> tuple[Opened, dict[str, str]]:
    """Open every sensor in order of rank; a broken one does not affect the others.

    Args:
        catalogue: Available plug-ins.
        cards: UUIDs of the cards that cases chose.

    Returns:
        The working sensors with the domains to read from them, and for each other sensor the reason, with the next step on its second line.
    """
    opened: Opened = []
    declared = {point.name for point in entry_points(group="harness.sensors")}
    unavailable = {name: why for name, why in catalogue.broken.items() if name in declared}
    for spec in sorted(catalogue.sensors.values(), key=lambda spec: (spec.rank, spec.name)):
        try:
            sensor: Sensor = plugins.load("sensors", spec.name)()
            sensor.select(cards)
            available = list(sensor.open())
        except HarnessError as error:
            unavailable[spec.name] = str(error)
            continue
        except Exception as error:  # a plug-in may raise anything
            unavailable[spec.name] = f"the sensor failed with {type(error).__name__}: {error}\nplease report this to its authors"
            continue
        domains = _new(available, [domain for _, others in opened for domain in others])
        if domains:
            opened.append((sensor, domains))
        else:
            sensor.close()
            unavailable[spec.name] = "all its domains are already read by sensors of a lower rank"
    return opened, unavailable


def devices_present(catalogue: Catalogue) -> dict[str, str | None]:
    """Devices of this machine, each with the reason why no case can run on it, or None.

    These are `cpu`, the devices that sensors find, and `gpu:UUID` for each card. Only sensors that declare other devices than `cpu` are opened.
    """
    present: dict[str, str | None] = {"cpu": None}
    for spec in catalogue.sensors.values():
        if spec.devices != ("cpu",):
            try:
                sensor: Sensor = plugins.load("sensors", spec.name)()
                for domain in sensor.open():
                    present[domain.device] = None
                    if domain.detail.get("uuid"):
                        present[f"gpu:{domain.detail['uuid']}"] = domain.detail.get("not_selectable")
                sensor.close()
            except Exception:  # noqa: S112  the reason is reported when the sensor is opened to measure
                continue
    return present


def cards_present(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Facts of the accelerators of this machine, as `Sensor.describe` gives them. Only sensors that declare other devices are opened."""
    cards: list[dict[str, Any]] = []
    for spec in catalogue.sensors.values():
        if spec.devices != ("cpu",):
            try:
                sensor: Sensor = plugins.load("sensors", spec.name)()
                sensor.open()
                cards += sensor.describe()
                sensor.close()
            except Exception:  # noqa: S112  the reason is reported when the sensor is opened to measure
                continue
    return cards


def probe(sensors: Opened, seconds: float = LIMIT_S, near: Collection[str] | None = None) -> tuple[Opened, dict[str, Any]]:
    """Poll the measured domains and determine their update periods.

    A counter is polled until it has shown 12 gaps between ticks; a counter with a power reading is polled with it for `seconds`. Models
    are not probed. Each accelerator is polled by itself, so that reads of others do not disturb it.

    Args:
        sensors: Opened sensors with their domains.
        seconds: Time limit per device in seconds.
        near: Names of the domains that matter; None for all. The others are read once.

    Returns:
        The sensors with `update_period_s` filled in, and the results by domain: `update_period_s`, `ticks`, `poll_s` (median duration of a
        read), `counter_j`, `integrated_j`, `disagree` (True above 5 %), `error`; each None if unknown.
    """
    watched = {
        domain.name: _Watched(sensor, domain)
        for sensor, domains in sensors
        for domain in domains
        if domain.quantity in ("energy", "power") and domain.kind != "modelled"
    }
    for device in dict.fromkeys(each.domain.device for each in watched.values()):
        own = [each for name, each in watched.items() if each.domain.device == device and (near is None or name in near)]
        if device not in ("cpu", "gpu") and not any(each.domain.detail.get("visible") for each in own):
            own = [each for each in own if each.domain.counter is None]  # only the period: comparing counter and power takes too long
        _watch(own, seconds)
    for each in watched.values():
        if not each.t_s and not each.failed:
            each.poll()
    gauges = {each.domain.counter: each for each in reversed(watched.values())}
    results = {name: each.result(gauges.get(name)) for name, each in watched.items()}
    periods = {name: result["update_period_s"] for name, result in results.items() if near is None or name in near}
    filled = [
        (sensor, [domain.model_copy(update={"update_period_s": _period_s(domain, periods)}) for domain in domains])
        for sensor, domains in sensors
    ]
    return filled, results


def _period_s(domain: Domain, measured_s: Mapping[str, float | None]) -> float | None:
    """Update period of a domain: the one that a longer probe has stored, unless the domain now shows another one or none."""
    now_s, stored_s = measured_s.get(domain.name, domain.update_period_s), domain.update_period_s
    return stored_s if now_s and stored_s and abs(now_s / stored_s - 1) <= SAME_PERIOD else now_s


def sampler_cost(
    sensors: Sequence[tuple[Sensor, Sequence[Domain]]], seconds: float = 1.0, near: Collection[str] | None = None
) -> dict[str, float | None]:
    """CPU time of polling these sensors, measured while this process does nothing else.

    Args:
        sensors: Opened sensors with their domains.
        seconds: Duration of the slow polling in seconds; the quick polling at an edge takes a third of it.
        near: Names of the domains that are polled quickly at an edge; None for all.

    Returns:
        Shares of one core: `slow_share` between the edges of a window, `edge_share` at an edge (None without a counter).
    """
    sampler = Sampler(sensors, near=near)
    sampler.start()
    try:
        slow_share = _share_of_core(seconds)
        ticking = any(domain.quantity == "energy" for _, domains in sensors for domain in domains)
        sampler.watch_closely(seconds / 3 if ticking else 0.0)
        edge_share = _share_of_core(seconds / 3) if ticking else None
    finally:
        sampler.stop()
    return {"slow_share": slow_share, "edge_share": edge_share}


def _share_of_core(seconds: float) -> float:
    """CPU time of this process over wall time."""
    began_s, used_s = time.monotonic(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used_s) / (time.monotonic() - began_s)


def disagreement(result: dict[str, Any]) -> float | None:
    """Integrated power over the counter, minus 1; None if one of them is missing."""
    counter_j, integrated_j = result.get("counter_j"), result.get("integrated_j")
    return integrated_j / counter_j - 1 if counter_j and integrated_j is not None else None


def _new(available: Sequence[Domain], taken: Sequence[Domain]) -> list[Domain]:
    """Domains that are not read yet: not by name, and not as a model of what is measured in parts (`package` and `package:0`)."""
    names = {domain.name for domain in taken}
    rails = {domain.name.partition(":")[0] for domain in taken}
    return [d for d in available if d.name not in names and not (d.kind == "modelled" and d.name in rails)]


@dataclass
class _Watched:
    """State of one domain during the probe."""

    sensor: Sensor
    domain: Domain
    t_s: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    cost_s: list[float] = field(default_factory=list)
    ticks_s: list[float] = field(default_factory=list)
    error: str | None = None
    """Error of the latest read."""
    failing_since_s: float | None = None
    due_s: float = 0.0

    def poll(self) -> None:
        """Read once and record a tick."""
        start = time.monotonic()
        try:
            value = self.sensor.read(self.domain.name)
        except Exception as error:  # a plug-in may raise anything
            self.error = error.what if isinstance(error, SensorError) else f"the sensor failed with {type(error).__name__}: {error}"
            self.failing_since_s = self.failing_since_s or start
            return
        self.error = self.failing_since_s = None
        end = time.monotonic()
        middle = (start + end) / 2
        if self.value and value != self.value[-1]:
            self.ticks_s.append((middle + self.t_s[-1]) / 2)
        self.t_s.append(middle)
        self.value.append(value)
        self.cost_s.append(end - start)
        self.due_s = end + (GAUGE_S if self.domain.counter else 0.0)

    @property
    def failed(self) -> bool:
        """Whether reads have failed for longer than `PATIENCE_S`."""
        return self.failing_since_s is not None and time.monotonic() - self.failing_since_s > PATIENCE_S

    @property
    def settled(self) -> bool:
        """Whether further reads add nothing to the update period."""
        return self.failed or self.domain.counter is not None or len(self.ticks_s) > TICK_GAPS

    def result(self, gauge: _Watched | None) -> dict[str, Any]:
        """Result of the probe, compared with the power reading of the same rail if there is one."""
        gaps = np.diff(self.ticks_s)
        facts: dict[str, Any] = {
            "update_period_s": float(np.median(gaps)) if len(gaps) and not self.domain.counter else None,
            "ticks": len(self.ticks_s),
            "poll_s": float(np.median(self.cost_s)) if self.cost_s else None,
            "error": self.error,
        }
        if gauge is None:
            return facts
        facts["counter_j"], facts["integrated_j"] = _compare(self, gauge)
        apart = disagreement(facts)
        return {**facts, "disagree": None if apart is None else abs(apart) > DISAGREE}


def _watch(watched: Sequence[_Watched], seconds: float) -> None:
    """Poll until every counter has shown its ticks or the time is up."""
    began = time.monotonic()
    pairs = any(each.domain.counter for each in watched)
    while watched and (now := time.monotonic()) - began < seconds:
        for each in watched:
            if each.due_s <= now and not each.failed:
                each.poll()
        if not pairs and all(each.settled for each in watched):
            return
        if now - began > SPIN_S:
            time.sleep(POLL_S)


def _compare(counter: _Watched, gauge: _Watched) -> tuple[float | None, float | None]:
    """Energy in J between the first and the last tick within the power readings: by the counter, and by trapezoids of the power."""
    ticks = np.array(counter.ticks_s)
    if len(gauge.t_s) < 2:
        return None, None
    ticks = ticks[(ticks >= gauge.t_s[0]) & (ticks <= gauge.t_s[-1])]
    if len(ticks) < 2:
        return None, None
    start, end = float(ticks[0]), float(ticks[-1])
    after = np.searchsorted(counter.t_s, [start, end], side="right")
    counter_j = counter.value[int(after[1])] - counter.value[int(after[0])]
    t_s, watts = np.array(gauge.t_s), np.array(gauge.value)
    inside = (t_s > start) & (t_s < end)
    edge_w = np.interp([start, end], t_s, watts)
    integrated_j = np.trapezoid(np.concatenate([edge_w[:1], watts[inside], edge_w[1:]]), np.concatenate([[start], t_s[inside], [end]]))
    return (counter_j if counter_j > 0 else None), float(integrated_j)
