"""Readings of one NVIDIA card for a probe, each a function by name; a reading that the driver refuses is left out with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from harness.errors import SensorError
from harness.sensors.nvml import POWER_AVERAGE, POWER_INSTANT
from harness.sensors.nvml_driver import EVENT_REASONS, Driver
from harness.sensors.nvml_processes import running

POWERS = ("counter", "instant", "average")
"""Readings whose traces are taken: the energy counter in J, and both power fields in W."""


class CardReadings:
    """One card.

    Args:
        driver: The initialized management library.
        handle: Its handle.
    """

    def __init__(self, driver: Driver, handle: Any) -> None:
        self._driver, self._handle = driver, handle
        nvml = driver.nvml
        self.uuid = str(driver.call("nvmlDeviceGetUUID", handle))
        self.name = str(driver.get("nvmlDeviceGetName", handle) or "NVIDIA GPU")
        self.driver_version = str(driver.call("nvmlSystemGetDriverVersion"))
        self.mig = bool(driver.flag("nvmlDeviceGetMigMode", handle))
        reasons = next((name for name in EVENT_REASONS if driver.get(name, handle) is not None), EVENT_REASONS[0])
        candidates: dict[str, Callable[[], float]] = {
            "counter": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
            "instant": partial(driver.power_field_w, handle, POWER_INSTANT),
            "average": partial(driver.power_field_w, handle, POWER_AVERAGE),
            "power_usage": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
            "temperature": lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "sm_clock": lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "utilization": lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            "memory_used": lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used),
            "event_reasons": lambda: float(getattr(nvml, reasons)(handle)),
            "processes": lambda: float(len(running(driver, handle))),
        }
        self.readings = {name: read for name, read in candidates.items() if driver.get(read) is not None}
        self.refused = tuple(name for name in candidates if name not in self.readings)

    def read(self, name: str) -> float:
        """Current value of a reading.

        Raises:
            SensorError: The driver returned an error.
        """
        return float(self._driver.call(self.readings[name]))

    def pids(self) -> list[int] | None:
        """Ids of the processes that compute on the card, as the driver lists them; None if it does not."""
        processes = self._driver.get(running, self._driver, self._handle)
        return None if processes is None else [int(process.pid) for process in processes]


@contextmanager
def open_cards() -> Iterator[list[CardReadings]]:
    """Open every card of the driver.

    Raises:
        SensorError: There is no driver, or no card.
    """
    import pynvml

    driver = Driver(pynvml)
    driver.call("nvmlInit")
    try:
        handles = [driver.get("nvmlDeviceGetHandleByIndex", index) for index in range(driver.call("nvmlDeviceGetCount"))]
        cards = [card for handle in handles if handle is not None for card in _card(driver, handle)]
        if not cards:
            raise SensorError("the NVIDIA driver works, but no GPU can be read", "`harness doctor` shows the reason")
        yield cards
    finally:
        driver.call("nvmlShutdown")


def _card(driver: Driver, handle: Any) -> Iterator[CardReadings]:
    """The card, unless it does not even report its UUID."""
    try:
        yield CardReadings(driver, handle)
    except SensorError:
        return
