"""The catalogue's sensors -> those that work here, each domain once; and how their counters tick, what a read costs, whether counter and power agree."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.errors import HarnessError, SensorError
from harness.schema import Catalogue, Domain
from harness.sensors.base import PATIENCE_S, Sensor
from harness.sensors.sampler import Sampler

Opened = list[tuple[Sensor, list[Domain]]]

TICK_GAPS = 12
SPIN_S = 0.05
POLL_S = 0.0005
GAUGE_S = 0.02
LONGEST_S = 5.0
DISAGREE = 0.05
NVIDIA_DRIVER = ("/proc/driver/nvidia/version", "/dev/nvidiactl")


def open_sensors(catalogue: Catalogue) -> tuple[Opened, dict[str, str]]:
    """Open every sensor in order of rank; one that is broken does not take the others with it.

    Returns:
        The sensors that work with the domains they are read for, and for each of the others why not, with the next step on a line of its own.
    """
    opened: Opened = []
    unavailable = {name: why for name, why in catalogue.broken.items() if name in _declared()}
    for spec in sorted(catalogue.sensors.values(), key=lambda spec: (spec.rank, spec.name)):
        try:
            sensor: Sensor = plugins.load("sensors", spec.name)()
            offered = list(sensor.open())
        except HarnessError as error:
            unavailable[spec.name] = str(error)
            continue
        except Exception as error:  # a sensor may be somebody else's code
            unavailable[spec.name] = f"it failed with {type(error).__name__}: {error}\nplease report it to whoever wrote the sensor"
            continue
        domains = _new(offered, [domain for _, others in opened for domain in others])
        if domains:
            opened.append((sensor, domains))
        else:
            sensor.close()
            unavailable[spec.name] = "everything it offers is already read by a sensor that ranks before it"
    return opened, unavailable


def devices_present(catalogue: Catalogue) -> set[str]:
    """`cpu`, and every other device that a sensor finds on this machine; only the sensors that declare one are opened."""
    present = {"cpu"}
    for spec in catalogue.sensors.values():
        if spec.devices != ("cpu",):
            try:
                sensor: Sensor = plugins.load("sensors", spec.name)()
                present |= {domain.device for domain in sensor.open()}
                sensor.close()
            except Exception:  # noqa: S112  what it lacks is told when it is opened to measure
                continue
    return present


def gpu_left_out(present: Collection[str]) -> str | None:
    """Why `auto` leaves out a card that this machine has; None where it leaves none out.

    Args:
        present: The devices that were found, as from `devices_present`.
    """
    if "gpu" in present or not any(Path(path).exists() for path in NVIDIA_DRIVER):
        return None
    return (
        "an NVIDIA driver is here, but no card that cases could be charged with: device `auto` leaves the GPU out; `harness doctor` says "
        "why; --device gpu runs its cases all the same, without an energy"
    )


def probe(sensors: Opened, seconds: float = LONGEST_S, near: Collection[str] | None = None) -> tuple[Opened, dict[str, Any]]:
    """Watch the counters tick.

    Each is polled quickly until it has shown 12 gaps between ticks; where it has a power reading beside it, both are watched for `seconds`.
    Models are not probed: with nothing else it takes no time. Each accelerator is watched by itself, with no other one's reads between.

    Args:
        sensors: Opened, with their domains.
        seconds: The longest that it may take for one device.
        near: Names of the domains that matter; None: all. The others are read once.

    Returns:
        The sensors with `update_period_s` filled in, and by domain what was seen: `update_period_s`, `ticks`, `poll_s` (median cost
        of a read), `counter_j`, `integrated_j`, `disagree` (True above 5 %), `error`; each None where it could not be seen.
    """
    watched = {domain.name: _Watched(sensor, domain) for sensor, domains in sensors for domain in domains if _is_measured(domain)}
    for device in dict.fromkeys(each.domain.device for each in watched.values()):
        own = [each for name, each in watched.items() if each.domain.device == device and (near is None or name in near)]
        if device not in ("cpu", "gpu"):  # its period alone: too little time to compare counter and power
            own = [each for each in own if each.domain.counter is None]
        _watch(own, seconds)
    for each in watched.values():
        if not each.t_s and not each.failed:
            each.poll()
    seen = {name: each.seen(_gauge_of(name, watched)) for name, each in watched.items()}
    periods = {name: facts["update_period_s"] for name, facts in seen.items() if near is None or name in near}
    filled = [
        (sensor, [domain.model_copy(update={"update_period_s": periods.get(domain.name, domain.update_period_s)}) for domain in domains])
        for sensor, domains in sensors
    ]
    return filled, seen


def sampler_cost(
    sensors: Sequence[tuple[Sensor, Sequence[Domain]]], seconds: float = 1.0, near: Collection[str] | None = None
) -> dict[str, float | None]:
    """What polling these sensors costs this process, while nothing else goes on in it.

    Args:
        sensors: Opened, with their domains.
        near: Names of the domains that are polled quickly at an edge; None: all.
        seconds: How long the slow polling is watched; the quick polling at an edge a third of that.

    Returns:
        Shares of one core: `slow_share` between the edges of a window, `edge_share` at an edge (null where nothing ticks).
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
    """CPU time of this process over the time that passes."""
    began_s, used_s = time.monotonic(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used_s) / (time.monotonic() - began_s)


def disagreement(seen: dict[str, Any]) -> float | None:
    """Integrated power against the counter, relative; null where one of them is missing."""
    counter_j, integrated_j = seen.get("counter_j"), seen.get("integrated_j")
    return integrated_j / counter_j - 1 if counter_j and integrated_j is not None else None


def _declared() -> set[str]:
    """Names among the sensors' entry points, broken ones too."""
    from importlib.metadata import entry_points

    return {point.name for point in entry_points(group="harness.sensors")}


def _new(offered: Sequence[Domain], taken: Sequence[Domain]) -> list[Domain]:
    """Those not offered yet: neither under the same name, nor a model of what is measured in parts (`package` beside `package:0`)."""
    names = {domain.name for domain in taken}
    rails = {domain.name.partition(":")[0] for domain in taken}
    return [d for d in offered if d.name not in names and not (d.kind == "modelled" and d.name in rails)]


def _is_measured(domain: Domain) -> bool:
    return domain.quantity in ("energy", "power") and domain.kind != "modelled"


def _gauge_of(name: str, watched: dict[str, _Watched]) -> _Watched | None:
    return next((each for each in watched.values() if each.domain.counter == name), None)


@dataclass
class _Watched:
    """One domain while it is probed."""

    sensor: Sensor
    domain: Domain
    t_s: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    cost_s: list[float] = field(default_factory=list)
    ticks_s: list[float] = field(default_factory=list)
    error: str | None = None
    """Of the latest read."""
    failing_since_s: float | None = None
    due_s: float = 0.0

    def poll(self) -> None:
        """Read once, and note a tick."""
        start = time.monotonic()
        try:
            value = self.sensor.read(self.domain.name)
        except Exception as error:  # a sensor may be somebody else's code
            self.error = error.what if isinstance(error, SensorError) else f"it failed with {type(error).__name__}: {error}"
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
        """Whether it has failed for so long that it does not work."""
        return self.failing_since_s is not None and time.monotonic() - self.failing_since_s > PATIENCE_S

    @property
    def settled(self) -> bool:
        """Whether there is no more to learn of its ticks."""
        return self.failed or self.domain.counter is not None or len(self.ticks_s) > TICK_GAPS

    def seen(self, gauge: _Watched | None) -> dict[str, Any]:
        """What the probe tells of it."""
        gaps = np.diff(self.ticks_s)
        facts: dict[str, Any] = {
            "update_period_s": float(np.median(gaps)) if len(gaps) and not self.domain.counter else None,
            "ticks": len(self.ticks_s),
            "poll_s": float(np.median(self.cost_s)) if self.cost_s else None,
            "error": self.error,
        }
        if gauge is None:
            return facts
        counter_j, integrated_j = _both(self, gauge)
        facts |= {"counter_j": counter_j, "integrated_j": integrated_j}
        apart = disagreement(facts)
        return {**facts, "disagree": None if apart is None else abs(apart) > DISAGREE}


def _watch(watched: Sequence[_Watched], seconds: float) -> None:
    """Poll until every counter has shown its ticks, within the time given."""
    began = time.monotonic()
    pairs = any(each.domain.counter for each in watched)
    while watched and (now := time.monotonic()) - began < seconds:
        for each in watched:
            if each.due_s <= now and not each.failed:
                each.poll()
        if not pairs and all(each.settled for each in watched):
            return
        if now - began > SPIN_S:  # the fastest counters (1 ms) have been seen by now; from here on leave the core to others
            time.sleep(POLL_S)


def _both(counter: _Watched, gauge: _Watched) -> tuple[float | None, float | None]:
    """Energy between the first and the last tick that power readings bracket, J: by the counter, and by the trapezoid of the power."""
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
