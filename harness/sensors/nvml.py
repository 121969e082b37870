"""NVIDIA's management library -> per GPU an energy counter (or a power gauge), power beside it, and the conditions it ran under."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from harness.errors import SensorError
from harness.schema import Domain, Kind, SensorSpec
from harness.sensors import nvml_conditions, nvml_facts
from harness.sensors.base import Sensor
from harness.sensors.cuda_visible import VARIABLE, visible_cards

GAIN = 0.07
"""Spread and mean error of eleven cards against a meter, uncalibrated: arXiv 2312.02741."""

POWER_AVERAGE, POWER_INSTANT = 185, 186
AVERAGE_S = {"POWER_AVERAGE": 1.0, "nvmlDeviceGetPowerUsage": 1.0}
"""Of the readings that may be the mean of a second, as on most Ampere and newer: arXiv 2312.02741."""

AVERAGE_PERIOD_S = 0.2
"""How often a mean of a second is read beside another reading."""

CUDA_PACKAGES = tuple(f"nvidia-{library}{suffix}" for library in ("cuda-runtime", "cudnn", "cublas") for suffix in ("-cu12", "-cu13", ""))
"""CUDA and cuDNN as Python packages bring them: their versions enter the record."""

# What pynvml can raise -> (what and why, next step). Codes: nvmlReturn_t in NVIDIA's nvml.h.
ERRORS: dict[int, tuple[str, str]] = {
    1: ("NVML was used before it was initialised", "this is a bug of the harness: please report it"),
    2: ("the driver does not know this question for this device", "update the NVIDIA driver"),
    3: ("this GPU does not support the reading", "another reading stands in for it where the GPU has one; where it has none a meter can: harness import-meter"),
    4: ("the driver refuses the reading to this user", "your user must be able to open /dev/nvidiactl and /dev/nvidia0, /dev/nvidia1, ...: see `ls -l /dev/nvidia*`; in a container start it with the GPU passed in"),
    9: ("the NVIDIA driver is not loaded", "load it (modprobe nvidia) and see that `nvidia-smi` works; in a container start it with the GPU passed in"),
    12: ("the NVIDIA management library (libnvidia-ml) is not here", "on a GPU machine install the driver; in a container start it with the GPU passed in and the capability `utility` (NVIDIA_DRIVER_CAPABILITIES=compute,utility); without a GPU nothing is missing"),
    13: ("the installed driver is too old to know this reading", "update the NVIDIA driver"),
    15: ("the GPU has fallen off the bus or cannot be reached", "see `dmesg` for Xid messages; the machine must usually be restarted"),
    18: ("the NVIDIA driver and its library have different versions, as after an update", "restart the machine, or reload the driver's modules"),
    999: ("the NVIDIA driver failed for a reason it does not tell", "see `dmesg` for Xid messages"),
}  # fmt: skip


class Nvml(Sensor):
    """Every GPU that the driver shows; `gpu:0` is the first in the driver's order, its UUID is in `detail`.

    The device `gpu` is the first card that CUDA programs see (CUDA_VISIBLE_DEVICES): cases on it run there, by its UUID, and are charged
    with it. The others are recorded and not summed. Where CUDA programs see none, there is no device `gpu`.
    """

    spec: ClassVar = SensorSpec(
        name="nvml",
        summary="NVIDIA GPUs, by the driver",
        packages=("nvidia-ml-py", *CUDA_PACKAGES),
        devices=("gpu",),
        rank=10,
    )

    def open(self) -> Sequence[Domain]:
        """Ask the driver what each GPU can tell."""
        import pynvml

        self._nvml = pynvml
        self._readers: dict[str, Callable[[], float]] = {}
        self._gpus: list[dict[str, Any]] = []
        self._lost: dict[str, SensorError] = {}
        self._child = nvml_conditions.Child()
        self._call(pynvml.nvmlInit)
        driver = self._call(pynvml.nvmlSystemGetDriverVersion)
        count = self._call(pynvml.nvmlDeviceGetCount)
        self._chosen = self._chosen_uuid(count)
        domains = [d for index in range(count) for d in self._device_or_reason(index, driver)]
        if not domains:
            self.close()
            no_gpu = SensorError("the NVIDIA driver works, but shows no GPU", "see that `nvidia-smi` lists the GPU")
            raise next(iter(self._lost.values()), no_gpu)
        return domains

    def read(self, domain: str) -> float:
        """The value now; a failed read is an error, never 0."""
        return float(self._call(self._readers[domain]))

    def describe(self) -> Sequence[dict[str, Any]]:
        """Each GPU: domain, name, uuid, driver, scope, caps, clocks, modes, and the processes on it where the driver shows them."""
        found = [{**gpu["facts"], **nvml_facts.readings(self._nvml, gpu["handle"]), **self._pids(gpu["handle"])} for gpu in self._gpus]
        return [*found, *({"domain": name, "left_out": str(error)} for name, error in self._lost.items())]

    def watch(self, pid: int | None) -> None:
        """The measured process, whose memory on the card is looked for and which is not foreign there."""
        self._child.pid = pid

    def close(self) -> None:
        """Let go of the driver."""
        self._nvml.nvmlShutdown()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A call of the library with its errors in words."""
        try:
            return function(*arguments)
        except self._nvml.NVMLError as error:
            code = getattr(error, "value", 999)
            what, hint = ERRORS.get(code, (f"the NVIDIA driver said: {error}", ERRORS[999][1]))
            raise SensorError(f"{what} (NVML error {code})", hint) from None

    def _maybe(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or null where this GPU has none."""
        try:
            return self._call(function, *arguments)
        except SensorError:
            return None

    def _chosen_uuid(self, count: int) -> str | None:
        """UUID of the first card that CUDA programs see; None where they see none. A card that is lost keeps its place in the order."""
        uuids = [self._maybe(self._uuid_at, index) or f"lost {index}" for index in range(count)]
        visible = visible_cards(os.environ.get(VARIABLE), uuids, self._parent_uuid)
        return uuids[visible[0]] if visible else None

    def _uuid_at(self, index: int) -> str:
        return str(self._nvml.nvmlDeviceGetUUID(self._nvml.nvmlDeviceGetHandleByIndex(index)))

    def _parent_uuid(self, mig: str) -> str | None:
        """UUID of the card that a MIG instance is a part of; where the driver does not know it, of the only card that is in MIG mode."""
        nvml = self._nvml
        handle = self._maybe(nvml.nvmlDeviceGetHandleByUUID, mig)
        parent = None if handle is None else self._maybe(nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)
        if parent is not None:
            return str(self._call(nvml.nvmlDeviceGetUUID, parent))
        sliced = [uuid for index in range(self._call(nvml.nvmlDeviceGetCount)) if (uuid := self._maybe(self._sliced_uuid, index))]
        return sliced[0] if len(sliced) == 1 else None

    def _sliced_uuid(self, index: int) -> str | None:
        """UUID of a card in MIG mode; None of any other."""
        mode = self._nvml.nvmlDeviceGetMigMode(self._nvml.nvmlDeviceGetHandleByIndex(index))
        return self._uuid_at(index) if mode[0] else None

    def _device_or_reason(self, index: int, driver: str) -> list[Domain]:
        """The domains of one GPU, or the reason kept: a lost card does not cost the others."""
        try:
            return self._device(index, driver)
        except SensorError as error:
            self._lost[f"gpu:{index}"] = error
            return []

    def _device(self, index: int, driver: str) -> list[Domain]:
        """The domains of one GPU."""
        handle = self._call(self._nvml.nvmlDeviceGetHandleByIndex, index)
        facts = self._facts(handle, f"gpu:{index}", driver)
        chosen = facts["uuid"] == self._chosen
        if chosen and os.environ.get(VARIABLE, "").lstrip().startswith("MIG-"):
            facts |= {"mig": True, "scope": "whole GPU"}  # also where the driver does not report the mode
        facts["device"] = "gpu" if chosen else facts["domain"]
        if self._chosen is None:
            facts["unseen"] = f"{VARIABLE}={os.environ.get(VARIABLE, '')!r} shows CUDA programs no card: there is no device gpu"
        if chosen and not facts["mig"]:  # a MIG card's own UUID names no instance: the user's list is left as it is
            facts["visible"] = facts["uuid"]
        kind: Kind = "simulated" if "simulated" in driver.lower() else "counter"
        energy = self._energy_domains(handle, facts, kind)
        if not energy:
            self._call(self._nvml.nvmlDeviceGetPowerUsage, handle)  # raises, and so says why
            return []
        self._gpus.append({"handle": handle, "facts": facts})
        return energy + self._condition_domains(handle, facts["domain"], facts["device"])

    def _facts(self, handle: Any, name: str, driver: str) -> dict[str, Any]:
        """What does not change during a run."""
        nvml = self._nvml
        mig = self._maybe(nvml.nvmlDeviceGetMigMode, handle)
        device_name = self._maybe(nvml.nvmlDeviceGetName, handle) or "NVIDIA GPU"
        limits = {
            key: _thousandth(self._maybe(call, handle))
            for key, call in (
                ("power_limit_w", nvml.nvmlDeviceGetEnforcedPowerLimit),
                ("power_limit_default_w", nvml.nvmlDeviceGetPowerManagementDefaultLimit),
            )
        }
        return {
            "domain": name,
            "name": device_name,
            "uuid": self._call(nvml.nvmlDeviceGetUUID, handle),
            "driver": driver,
            "scope": _scope(device_name, bool(mig and mig[0])),
            "mig": None if mig is None else bool(mig[0]),
            "persistence": _flag(self._maybe(nvml.nvmlDeviceGetPersistenceMode, handle)),
            "sm_clock_max_hz": _mega(self._maybe(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM)),
            "memory_clock_max_hz": _mega(self._maybe(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_MEM)),
            **limits,
            **nvml_facts.fixed(nvml, handle),
        }

    def _energy_domains(self, handle: Any, facts: dict[str, Any], kind: Kind) -> list[Domain]:
        """The counter with its gauge beside it, or the gauge alone, or nothing."""
        name, nvml = facts["domain"], self._nvml
        sampled: Kind = "simulated" if kind == "simulated" else "sampled"
        counter = self._maybe(nvml.nvmlDeviceGetTotalEnergyConsumption, handle) is not None
        reading, gauge = self._gauge(handle, full_coverage=not counter)
        rail = {"sensor": "nvml", "device": facts["device"], "limit_w": facts["power_limit_w"], "gain": GAIN}
        detail: dict[str, Any] = {
            key: facts[key] for key in ("name", "uuid", "driver", "scope", "mig", "visible", "unseen") if key in facts
        }
        found = []
        if counter:
            self._readers[name] = lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
            found.append(Domain(name=name, quantity="energy", unit="J", kind=kind, detail=detail, **rail))
        if gauge:
            gauge_name = f"{name} power" if counter else name
            self._readers[gauge_name] = gauge
            detail = {**detail, "reading": reading}
            beside = name if counter else None
            found.append(
                Domain(
                    name=gauge_name,
                    quantity="power",
                    unit="W",
                    kind=sampled,
                    counter=beside,
                    detail=detail,
                    part_time=reading != "POWER_AVERAGE",
                    average_s=AVERAGE_S.get(reading or ""),
                    **rail,
                )
            )
        if (
            counter
            and facts["device"] == "gpu"
            and reading != "POWER_AVERAGE"
            and self._maybe(self._field_w, handle, POWER_AVERAGE) is not None
        ):
            found.append(self._average(handle, facts["domain"], found[-1]))
        return found

    def _average(self, handle: Any, name: str, beside: Domain) -> Domain:
        """The mean of a second of the charged card: it misses no part of its period, so it may stand in for a counter with a bound."""
        self._readers[f"{name} average power"] = lambda: self._field_w(handle, POWER_AVERAGE)
        detail = {**beside.detail, "reading": "POWER_AVERAGE"}
        changes = {"part_time": False, "average_s": AVERAGE_S["POWER_AVERAGE"], "poll_period_s": AVERAGE_PERIOD_S, "detail": detail}
        return beside.model_copy(update={"name": f"{name} average power", **changes})

    def _gauge(self, handle: Any, full_coverage: bool) -> tuple[str | None, Callable[[], float] | None]:
        """The best power reading that answers: its name, and how to read it in W.

        `full_coverage` asks for the mean first: it misses no part of its period, where the instant reading of some cards sees a quarter of it.
        """
        fields = [("POWER_INSTANT", POWER_INSTANT), ("POWER_AVERAGE", POWER_AVERAGE)]
        for name, field in reversed(fields) if full_coverage else fields:
            if self._maybe(self._field_w, handle, field) is not None:
                return name, lambda field=field: self._field_w(handle, field)
        if self._maybe(self._nvml.nvmlDeviceGetPowerUsage, handle) is not None:
            return "nvmlDeviceGetPowerUsage", lambda: self._nvml.nvmlDeviceGetPowerUsage(handle) / 1e3
        return None, None

    def _field_w(self, handle: Any, field: int) -> float:
        """One power field; the call succeeds even where the field failed, so its own return is checked."""
        value = self._nvml.nvmlDeviceGetFieldValues(handle, [field])[0]
        if value.nvmlReturn != self._nvml.NVML_SUCCESS:
            raise self._nvml.NVMLError(value.nvmlReturn)
        return float(value.value.uiVal) / 1e3

    def _condition_domains(self, handle: Any, gpu: str, device: str) -> list[Domain]:
        """What the card runs under, as far as it answers; of a card that no case is charged with the least."""
        found = nvml_conditions.conditions(self._nvml, handle, self._child, charged=device == "gpu")
        for each in found:
            self._readers[f"{gpu} {each.name}"] = each.read
        return [
            Domain.model_validate(
                {
                    "name": f"{gpu} {each.name}",
                    "sensor": "nvml",
                    "quantity": each.quantity,
                    "unit": each.unit,
                    "device": device,
                    "poll_period_s": each.poll_period_s,
                    "detail": each.detail,
                }
            )
            for each in found
        ]

    def _pids(self, handle: Any) -> dict[str, list[int] | None]:
        """Processes that compute on it, and which of them name no process of this system; null where the driver hides them."""
        processes = self._maybe(nvml_conditions.running, self._nvml, handle)
        pids = None if processes is None else sorted({process.pid for process in processes})
        return {"pids": pids, "hidden_pids": None if pids is None else [pid for pid in pids if not nvml_conditions.exists(pid)]}


def _scope(device_name: str, mig: bool) -> str:
    """What the power of this device covers: a MIG instance has none of its own, Grace superchips report the module."""
    if mig:
        return "whole GPU"
    return "module" if any(chip in device_name for chip in ("GH200", "GB200", "GB300")) else "GPU"


def _thousandth(value: float | None) -> float | None:
    return None if value is None else value / 1e3


def _mega(value: float | None) -> float | None:
    return None if value is None else value * 1e6


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)
