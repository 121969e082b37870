"""Conditions of an NVIDIA card during a run: temperatures, clocks, load, memory, processes, and how long its clock was limited."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from harness.errors import SensorError
from harness.sensors.nvml_driver import EVENT_REASONS, Driver
from harness.sensors.nvml_processes import HOLD_S, Child, Processes, UnnamedError
from harness.sensors.nvml_properties import MEMORY_TEMPERATURE

SLOW_S, SLOWER_S, SLOWEST_S = 0.5, 1.0, 5.0
"""Polling periods of what changes slowly, since a call takes 0.2 to 12 ms; counters of time are also read at each edge of a window."""
POWER_POLICY, THERMAL_POLICY = 0, 1
"""nvmlPerfPolicyType_t: arguments of `nvmlDeviceGetViolationStatus`."""
POWER_CAPPED = (74,)
"""Field: time in ns in which the power limit reduced the clock (`..._PERF_POLICY_POWER`, reason `..._SW_POWER_CAP`)."""
SLOWED = (269, 270, 271)
"""Fields: time in ns under software thermal slowdown, hardware thermal slowdown and power brake; newer than `THERMAL`."""
THERMAL = (75,)
"""Field: time in ns in which heat limited the clock (`..._PERF_POLICY_THERMAL`)."""


class Condition(NamedTuple):
    """One condition of a card: fields of its domain (`name` without the card's) and a function that reads it."""

    name: str
    quantity: str
    unit: str
    read: Callable[[], float]
    poll_period_s: float | None = None
    detail: dict[str, Any] = {}


def conditions(driver: Driver, handle: Any, child: Child, *, charged: bool) -> list[Condition]:
    """Conditions that are readable now; a few are enough for a card on which no case runs (`charged` is False)."""
    candidates = [*_basic(driver, handle)]
    if charged:
        fields = Fields(driver, handle, (MEMORY_TEMPERATURE, *POWER_CAPPED, *SLOWED, *THERMAL))
        candidates += [*_slow(driver.nvml, handle, fields), *_limited_s(driver.nvml, handle, fields), *_processes(driver, handle, child)]
    return [each for each in candidates if _is_readable(driver, each.read)]


def _is_readable(driver: Driver, read: Callable[[], float]) -> bool:
    """Whether a reading works; a measured process that is not on the card yet is not a failure."""
    try:
        return driver.call(read) is not None
    except UnnamedError:
        return True
    except (SensorError, driver.nvml.NVMLLibraryMismatchError, AttributeError):
        return False


def _basic(driver: Driver, handle: Any) -> Iterator[Condition]:
    """Whether the card works, and how warm it is."""
    nvml = driver.nvml
    yield Condition("temperature", "temperature", "degC", lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    yield Condition("sm_clock", "clock", "Hz", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6)
    yield Condition("utilization", "load", "1", lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
    memory, without_reserve = driver.memory_reader(handle)
    if memory:
        yield Condition("memory_used", "memory", "bytes", memory, detail={"without_reserve": without_reserve})
    reasons = next((name for name in EVENT_REASONS if driver.get(name, handle) is not None), None)
    if reasons:
        yield Condition("event_reasons", "flags", "1", lambda: getattr(nvml, reasons)(handle))


def _slow(nvml: Any, handle: Any, fields: Fields) -> Iterator[Condition]:
    """Memory clock and temperature, and the PCIe link, which may be slower while the card idles."""
    yield Condition("memory_clock", "clock", "Hz", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6, SLOWER_S)
    heat = fields.known((MEMORY_TEMPERATURE,))
    if heat and fields.sum(heat) > 0:  # some cards without the sensor report 0
        yield Condition("memory_temperature", "temperature", "degC", partial(fields.sum, heat), SLOWER_S)
    yield Condition("pcie_generation", "count", "1", lambda: nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle), SLOWEST_S)
    yield Condition("pcie_width", "count", "1", lambda: nvml.nvmlDeviceGetCurrPcieLinkWidth(handle), SLOWEST_S)


def _limited_s(nvml: Any, handle: Any, fields: Fields) -> Iterator[Condition]:
    """Time in s since the driver was loaded in which the clock was limited; unlike flags, it includes events between two readings."""
    for name, choices, policy in (
        ("power_capped_time", (POWER_CAPPED,), POWER_POLICY),
        ("slowed_time", (SLOWED, THERMAL), THERMAL_POLICY),
    ):
        numbers = next((each for choice in choices if (each := fields.known(choice))), ())
        read = partial(fields.seconds, numbers) if numbers else partial(_violation_s, nvml, handle, policy)
        yield Condition(name, "duration", "s", read, SLOW_S)


def _violation_s(nvml: Any, handle: Any, policy: int) -> float:
    """The same time in s from drivers without the fields."""
    return float(nvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime) / 1e9


def _processes(driver: Driver, handle: Any, child: Child) -> Iterator[Condition]:
    """Memory of the measured process on the card, and the numbers of foreign and of hidden processes."""
    processes = Processes(driver, handle, child)
    yield Condition("child_memory", "memory", "bytes", processes.child_bytes, SLOW_S)
    yield Condition("foreign_processes", "count", "1", lambda: len(processes.now().foreign), SLOW_S)
    yield Condition("hidden_processes", "count", "1", lambda: len(processes.now().hidden), SLOW_S)


class Fields:
    """Field values of a card, read in one call for several domains; fields that the driver does not have are left out."""

    def __init__(self, driver: Driver, handle: Any, numbers: tuple[int, ...]) -> None:
        self._driver, self._handle = driver, handle
        self._values, self._at_s = driver.fields(handle, numbers), time.monotonic()
        self.numbers = tuple(self._values)

    def known(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the given fields that the driver has."""
        return tuple(number for number in numbers if number in self.numbers)

    def sum(self, numbers: tuple[int, ...]) -> float:
        """Sum of known fields; SensorError if one of them failed."""
        if time.monotonic() - self._at_s > HOLD_S:
            self._values, self._at_s = self._driver.fields(self._handle, self.numbers), time.monotonic()
        if any(number not in self._values for number in numbers):
            raise SensorError("a field of the card could not be read", "the sample is missing")
        return sum(self._values[number] for number in numbers)

    def seconds(self, numbers: tuple[int, ...]) -> float:
        """Sum in s of known fields that count nanoseconds."""
        return self.sum(numbers) / 1e9
