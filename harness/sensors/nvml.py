"""NVIDIA GPUs through the driver's management library: an energy counter or power reading per card, and its conditions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from harness.errors import SensorError
from harness.schema import Domain, Kind, SensorSpec
from harness.sensors import nvml_properties
from harness.sensors.base import Sensor
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
CUDA_PACKAGES = tuple(f"nvidia-{library}{suffix}" for library in ("cuda-runtime", "cudnn", "cublas") for suffix in ("-cu12", "-cu13", ""))
"""CUDA and cuDNN as Python packages: their versions enter the record."""


class Nvml(Sensor):
    """All GPUs of the driver; `gpu:0` is the first in its order, `detail` holds the UUID.

    The device `gpu` is the first card that CUDA programs see (CUDA_VISIBLE_DEVICES): cases on `gpu` run there and are charged with its energy.
    Other cards are recorded and not added. If CUDA programs see no card, there is no device `gpu`.
    """

    spec: ClassVar = SensorSpec(
        name="nvml",
        summary="NVIDIA GPUs, by the driver",
        packages=("nvidia-ml-py", *CUDA_PACKAGES),
        devices=("gpu",),
        rank=10,
    )

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
        self._chosen = self._chosen_uuid(count)
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

    def _chosen_uuid(self, count: int) -> str | None:
        """UUID of the first card that CUDA programs see; None if they see none. A failed card keeps its place in the order."""
        uuids = [self._driver.get(self._uuid_at, index) or f"failed {index}" for index in range(count)]
        visible = visible_cards(os.environ.get(VARIABLE), uuids, partial(self._parent_uuid, count))
        return uuids[visible[0]] if visible else None

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
        if chosen and not facts["mig"]:  # the UUID of a MIG card selects no instance: the user's list is left as it is
            facts["visible"] = facts["uuid"]
        energy = self._energy_domains(handle, facts)
        if not energy:
            self._driver.call("nvmlDeviceGetPowerUsage", handle)  # raises the reason
            return []
        self._gpus.append((handle, facts))
        return energy + self._condition_domains(handle, facts["domain"], facts["device"])

    def _energy_domains(self, handle: Any, facts: dict[str, Any]) -> list[Domain]:
        """The counter and the power readings that accompany it, or the power reading alone, or nothing."""
        name, driver = facts["domain"], self._driver
        simulated = "simulated" in facts["driver"].lower()
        counter = driver.get("nvmlDeviceGetTotalEnergyConsumption", handle) is not None
        reading, read_w = self._power_reading(handle, full_coverage=not counter)
        detail = {key: facts[key] for key in ("name", "uuid", "driver", "scope", "mig", "visible", "unseen") if key in facts}
        common = {"sensor": "nvml", "device": facts["device"], "limit_w": facts["power_limit_w"], "gain": GAIN}
        domains = []
        if counter:
            self._readers[name] = lambda: driver.nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            kind: Kind = "simulated" if simulated else "counter"
            domains.append(Domain(name=name, quantity="energy", unit="J", kind=kind, detail=detail, **common))
        if read_w:
            power = Domain(
                name=f"{name} power" if counter else name,
                quantity="power",
                unit="W",
                kind="simulated" if simulated else "sampled",
                counter=name if counter else None,
                detail={**detail, "reading": reading},
                part_time=reading != "POWER_AVERAGE",
                average_s=AVERAGE_S.get(reading or ""),
                **common,
            )
            self._readers[power.name] = read_w
            domains.append(power)
        if counter and facts["device"] == "gpu" and reading != "POWER_AVERAGE":
            domains += self._average_power(handle, name, domains[-1])
        return domains

    def _average_power(self, handle: Any, name: str, other: Domain) -> list[Domain]:
        """Mean power of a second, if available: it covers its whole period, so it may replace a counter within a bound."""
        read_w = partial(self._driver.power_field_w, handle, POWER_AVERAGE)
        if self._driver.get(read_w) is None:
            return []
        self._readers[f"{name} average power"] = read_w
        changes = {"part_time": False, "average_s": AVERAGE_S["POWER_AVERAGE"], "poll_period_s": AVERAGE_PERIOD_S}
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

    def _condition_domains(self, handle: Any, card: str, device: str) -> list[Domain]:
        """Readable conditions of a card, fewer if no case runs on it."""
        domains = []
        for condition in conditions(self._driver, handle, self._child, charged=device == "gpu"):
            fields = condition._asdict()
            name = f"{card} {condition.name}"
            self._readers[name] = fields.pop("read")
            domains.append(Domain.model_validate({**fields, "name": name, "sensor": "nvml", "device": device}))
        return domains
