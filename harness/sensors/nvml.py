"""NVIDIA GPUs through the driver's management library: an energy counter or power reading per card, and its conditions."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, ClassVar

from harness.errors import SensorError
from harness.schema import Domain, Kind, SensorSpec
from harness.sensors import nvml_properties
from harness.sensors.base import Sensor
from harness.sensors.card_probe import CardProbe, counter_constants, missed_share, power_constants, stored_probe
from harness.sensors.cuda_visible_devices import VARIABLE, visible_cards
from harness.sensors.nvml_conditions import conditions
from harness.sensors.nvml_driver import Driver
from harness.sensors.nvml_processes import Child, pids

GAIN = 0.07
"""Spread and mean error of eleven cards against a meter, uncalibrated: arXiv 2312.02741."""
POWER_AVERAGE, POWER_INSTANT = 185, 186
AVERAGE_S = {"POWER_AVERAGE": 1.0, "nvmlDeviceGetPowerUsage": 1.0}
"""Averaging time of the readings that may be the mean of a second, as on most cards since Ampere: arXiv 2312.02741."""
AVERAGE_PERIOD_S = 0.2
"""Polling period of a mean of a second that is read in addition to another reading."""
DETAILS = ("name", "uuid", "driver", "scope", "mig", "visible", "unseen", "not_selectable")
"""Properties of a card that its domains hold."""
CUDA_PACKAGES = tuple(f"nvidia-{library}{suffix}" for library in ("cuda-runtime", "cudnn", "cublas") for suffix in ("-cu12", "-cu13", ""))
"""CUDA and cuDNN as Python packages: their versions enter the record."""


class Nvml(Sensor):
    """All GPUs of the driver; `gpu:0` is the first in its order, `detail` holds the UUID.

    The device `gpu` is the first card that CUDA programs see (CUDA_VISIBLE_DEVICES): cases on `gpu` run there and are charged with its energy.
    Other cards are recorded and not added, except to cases that chose them by UUID. If CUDA programs see no card, there is no device `gpu`.
    """

    spec: ClassVar = SensorSpec(
        name="nvml",
        summary="NVIDIA GPUs, by the driver",
        packages=("nvidia-ml-py", *CUDA_PACKAGES),
        devices=("gpu",),
        rank=10,
    )
    _selected: Collection[str] = ()

    def select(self, cards: Collection[str]) -> None:
        """Set the UUIDs of the cards that cases chose; `open` finds all conditions of these cards too."""
        self._selected = frozenset(cards)

    def open(self) -> Sequence[Domain]:
        """Find the readings of each GPU."""
        import pynvml

        self._driver = Driver(pynvml)
        self._readers: dict[str, Callable[[], float]] = {}
        self._gpus: list[tuple[Any, dict[str, Any]]] = []
        self._failed: dict[str, SensorError] = {}
        self._child = Child()
        self._driver.call("nvmlInit")
        count = self._driver.call("nvmlDeviceGetCount")
        self._visible = self._visible_uuids(count)
        self._chosen = next(iter(self._visible), None)
        domains = [domain for index in range(count) for domain in self._domains_or_error(index)]
        if not domains:
            self.close()
            no_gpu = SensorError("the NVIDIA driver works, but lists no GPU", "check that `nvidia-smi` lists the GPU")
            raise next(iter(self._failed.values()), no_gpu)
        return domains

    def read(self, domain: str) -> float:
        """Current value; a failed read raises, it is never 0."""
        return float(self._driver.call(self._readers[domain]))

    def describe(self) -> Sequence[dict[str, Any]]:
        """Properties, state and processes of each GPU, and the error of each GPU that failed."""
        driver = self._driver
        cards = [{**facts, **nvml_properties.state(driver, handle), **pids(driver, handle)} for handle, facts in self._gpus]
        return [*cards, *({"domain": name, "left_out": str(error)} for name, error in self._failed.items())]

    def watch(self, pid: int | None) -> None:
        """Set the measured process, which is not a foreign one and whose memory on the card is read."""
        self._child.pid = pid

    def close(self) -> None:
        """Shut down the library."""
        self._driver.nvml.nvmlShutdown()

    def _visible_uuids(self, count: int) -> list[str]:
        """UUIDs of the cards that CUDA programs see, in their order. A failed card keeps its place in the order."""
        uuids = [self._driver.get(self._uuid_at, index) or f"failed {index}" for index in range(count)]
        return [uuids[index] for index in visible_cards(os.environ.get(VARIABLE), uuids, partial(self._parent_uuid, count))]

    def _uuid_at(self, index: int) -> str:
        nvml = self._driver.nvml
        return str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index)))

    def _parent_uuid(self, count: int, mig: str) -> str | None:
        """UUID of the card of a MIG instance; if the driver does not know the instance, that of the only card in MIG mode."""
        driver = self._driver
        handle = driver.get("nvmlDeviceGetHandleByUUID", mig)
        parent = None if handle is None else driver.get("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)
        if parent is not None:
            return str(driver.call("nvmlDeviceGetUUID", parent))
        in_mig_mode = [index for index in range(count) if self._mig_mode(index)]
        return driver.get(self._uuid_at, in_mig_mode[0]) if len(in_mig_mode) == 1 else None

    def _mig_mode(self, index: int) -> bool | None:
        handle = self._driver.get("nvmlDeviceGetHandleByIndex", index)
        return None if handle is None else self._driver.flag("nvmlDeviceGetMigMode", handle)

    def _domains_or_error(self, index: int) -> list[Domain]:
        """Domains of one GPU; its error is kept, so that a failed card does not cost the others."""
        try:
            return self._domains(index)
        except SensorError as error:
            self._failed[f"gpu:{index}"] = error
            return []

    def _domains(self, index: int) -> list[Domain]:
        handle = self._driver.call("nvmlDeviceGetHandleByIndex", index)
        facts = {"domain": f"gpu:{index}", **nvml_properties.properties(self._driver, handle)}
        visible = os.environ.get(VARIABLE, "")
        chosen = facts["uuid"] == self._chosen
        if chosen and visible.lstrip().startswith("MIG-"):
            facts |= {"mig": True, "scope": "whole GPU"}  # also if the driver does not report the mode
        facts["device"] = "gpu" if chosen else facts["domain"]
        if self._chosen is None:
            facts["unseen"] = f"{VARIABLE}={visible!r} hides every card from CUDA programs: there is no device gpu"
        if reason := self._not_selectable(facts):
            facts["not_selectable"] = reason
        if (chosen or facts["uuid"] in self._selected) and not facts[
            "mig"
        ]:  # the UUID of a MIG card selects no instance: the user's list is left as it is
            facts["visible"] = facts["uuid"]
        energy = self._energy_domains(handle, facts)
        if not energy:
            self._driver.call("nvmlDeviceGetPowerUsage", handle)  # raises the reason
            return []
        self._gpus.append((handle, facts))
        return energy + self._condition_domains(handle, facts)

    def _is_charged(self, facts: dict[str, Any]) -> bool:
        """Whether cases run on a card."""
        return facts["device"] == "gpu" or facts["uuid"] in self._selected

    def _not_selectable(self, facts: dict[str, Any]) -> str | None:
        """Why no case can choose a card by its UUID; None if one can."""
        if facts["uuid"] not in self._visible:
            return f"{VARIABLE}={os.environ.get(VARIABLE)!r} hides it: remove it from the environment, or add the card to it"
        return (
            "it is partitioned (MIG): select an instance with CUDA_VISIBLE_DEVICES=MIG-..., and use the device gpu"
            if facts["mig"]
            else None
        )

    def _energy_domains(self, handle: Any, facts: dict[str, Any]) -> list[Domain]:
        """The counter and the power readings that accompany it, or the power reading alone, or nothing."""
        name, driver = facts["domain"], self._driver
        simulated = "simulated" in facts["driver"].lower()
        counter = driver.get("nvmlDeviceGetTotalEnergyConsumption", handle) is not None
        reading, read_w = self._power_reading(handle, full_coverage=not counter)
        probed, source = stored_probe(facts["uuid"], facts["driver"])
        detail = {**{key: facts[key] for key in DETAILS if key in facts}, "constants": source}
        common = {"sensor": "nvml", "device": facts["device"], "limit_w": facts["power_limit_w"], "gain": GAIN}
        domains = []
        if counter:
            self._readers[name] = lambda: driver.nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            kind: Kind = "simulated" if simulated else "counter"
            missed = missed_share(probed, "counter")
            own = detail if missed is None else {**detail, "missed_share": missed}
            fields = {**common, **counter_constants(probed)}
            domains.append(Domain(name=name, quantity="energy", unit="J", kind=kind, detail=own, **fields))
        if read_w:
            power = Domain(
                name=f"{name} power" if counter else name,
                quantity="power",
                unit="W",
                kind="simulated" if simulated else "sampled",
                counter=name if counter else None,
                detail={**detail, "reading": reading},
                **{
                    "part_time": reading != "POWER_AVERAGE",
                    "average_s": AVERAGE_S.get(reading or ""),
                    **common,
                    **power_constants(probed, reading),
                },
            )
            self._readers[power.name] = read_w
            domains.append(power)
        if counter and self._is_charged(facts) and reading != "POWER_AVERAGE":
            domains += self._average_power(handle, name, domains[-1], probed)
        return domains

    def _average_power(self, handle: Any, name: str, other: Domain, probed: CardProbe | None) -> list[Domain]:
        """Mean power of a second, if available: it covers its whole period, so it may replace a counter within a bound."""
        read_w = partial(self._driver.power_field_w, handle, POWER_AVERAGE)
        if self._driver.get(read_w) is None:
            return []
        self._readers[f"{name} average power"] = read_w
        changes = {"part_time": False, "average_s": AVERAGE_S["POWER_AVERAGE"], "poll_period_s": AVERAGE_PERIOD_S}
        changes |= {name: value for name, value in power_constants(probed, "POWER_AVERAGE").items() if name == "part_time"}
        detail = {**other.detail, "reading": "POWER_AVERAGE"}
        return [other.model_copy(update={"name": f"{name} average power", "detail": detail, **changes})]

    def _power_reading(self, handle: Any, full_coverage: bool) -> tuple[str | None, Callable[[], float] | None]:
        """Name of the best available power reading, and a function that reads it in W.

        For full coverage it is the mean of its whole period; the instant reading of some cards covers a quarter.
        """
        fields = [("POWER_INSTANT", POWER_INSTANT), ("POWER_AVERAGE", POWER_AVERAGE)]
        for name, number in reversed(fields) if full_coverage else fields:
            read_w = partial(self._driver.power_field_w, handle, number)
            if self._driver.get(read_w) is not None:
                return name, read_w
        if self._driver.get("nvmlDeviceGetPowerUsage", handle) is not None:
            return "nvmlDeviceGetPowerUsage", lambda: self._driver.nvml.nvmlDeviceGetPowerUsage(handle) / 1e3
        return None, None

    def _condition_domains(self, handle: Any, facts: dict[str, Any]) -> list[Domain]:
        """Readable conditions of a card, fewer if no case runs on it."""
        domains, card, device = [], facts["domain"], facts["device"]
        for condition in conditions(self._driver, handle, self._child, charged=self._is_charged(facts)):
            fields = condition._asdict()
            name = f"{card} {condition.name}"
            self._readers[name] = fields.pop("read")
            domains.append(Domain.model_validate({**fields, "name": name, "sensor": "nvml", "device": device}))
        return domains
