"""Conditions from the operating system: load, foreign load, clock, temperature and free memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import SensorError
from harness.schema import Domain, SensorSpec
from harness.sensors.base import Sensor

SHORTEST_S = 0.05
"""Shortest interval of a load: the kernel counts in ticks of 4 or 10 ms."""
THERMAL_DRIVERS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


class Psutil(Sensor):
    """Conditions, no energy. `foreign_load` is the load in cores without the measured process and the harness itself.

    Single readings may be slightly negative, since the kernel counts the machine in ticks but processes exactly. Clamping would bias the mean.
    """

    spec: ClassVar = SensorSpec(name="psutil", summary="CPU load, clock, temperature, free memory", packages=("psutil",), rank=50)
    period_s = 0.5

    def open(self) -> Sequence[Domain]:
        """Find the conditions that this system reports."""
        import psutil

        self._psutil = psutil
        self._pid: int | None = None
        self._load, self._foreign = _Rate(self._busy), _Rate(self._foreign_busy)
        readers: dict[str, tuple[str, str, Callable[[], float | None]]] = {
            "cpu_load": ("load", "1", lambda: self._load.read() / (psutil.cpu_count() or 1)),
            "foreign_load": ("load", "1", self._foreign.read),
            "cpu_clock": ("clock", "Hz", self._clock_hz),
            "cpu_temperature": ("temperature", "degC", _thermometer()),
            "memory_available": ("memory", "bytes", lambda: psutil.virtual_memory().available),
        }
        time.sleep(SHORTEST_S)
        self._readers = {name: reader for name, (_, _, reader) in readers.items() if reader() is not None}
        return [
            Domain(name=name, sensor="psutil", quantity=quantity, unit=unit)
            for name, (quantity, unit, _) in readers.items()
            if name in self._readers
        ]

    def read(self, domain: str) -> float:
        """Current value; a load is the mean since its previous reading."""
        try:
            value = self._readers[domain]()
        except (OSError, ValueError, self._psutil.Error) as error:
            raise SensorError(f"{domain} could not be read: {error}", "the sample is missing") from None
        if value is None:
            raise SensorError(f"{domain} could not be read", "the sample is missing")
        return float(value)

    def watch(self, pid: int | None) -> None:
        """Set the measured process, whose load is not foreign."""
        self._pid = pid
        try:
            self._foreign.restart()
        except self._psutil.Error:  # the process has already ended
            self._pid = None
            self._foreign.restart()

    def _busy(self) -> float:
        """Busy seconds of all cores since boot, without time stolen by a hypervisor."""
        times = self._psutil.cpu_times()
        return float(sum(getattr(times, state, 0.0) for state in ("user", "nice", "system", "irq", "softirq")))

    def _foreign_busy(self) -> float:
        """Busy seconds without this process and the measured one."""
        return self._busy() - time.process_time() - sum(self._cpu_seconds(pid) for pid in _family(self._pid))

    def _cpu_seconds(self, pid: int) -> float:
        """CPU time in s of a process; of the measured one with its children that have ended."""
        if pid == self._pid:
            return float(sum(self._psutil.Process(pid).cpu_times()[:4]))
        with contextlib.suppress(self._psutil.NoSuchProcess):
            return float(sum(self._psutil.Process(pid).cpu_times()[:2]))
        return 0.0

    def _clock_hz(self) -> float | None:
        """Mean clock of the cores in Hz; None if not reported."""
        try:
            clock: Any = self._psutil.cpu_freq()
        except (NotImplementedError, FileNotFoundError):
            return None
        return clock.current * 1e6 if clock and clock.current else None


class _Rate:
    """Rate since the previous reading of a running total in s."""

    def __init__(self, total: Callable[[], float]) -> None:
        self._total = total
        self._rate = float("nan")
        self.restart()

    def restart(self) -> None:
        """Start a new interval; `read` returns the old rate until it is long enough."""
        self._at_s, self._before = time.monotonic(), self._total()

    def read(self) -> float:
        """Rate since the previous reading; the previous rate if the interval is too short."""
        now = time.monotonic()
        if now - self._at_s >= SHORTEST_S:
            total = self._total()
            self._rate = (total - self._before) / (now - self._at_s)
            self._at_s, self._before = now, total
        return self._rate


def _family(pid: int | None) -> list[int]:
    """A process and its running descendants, on Linux without a scan of all processes; elsewhere the process alone."""
    if pid is None:
        return []
    family = [pid]
    for member in family:
        with contextlib.suppress(OSError):
            family += [int(child) for child in Path(f"/proc/{member}/task/{member}/children").read_text().split()]
    return family


def _thermometer() -> Callable[[], float | None]:
    """Function that reads the CPU's temperature in degC, or None; it reads a single file, since other sensors may be on slow buses."""
    for hwmon in sorted(Path("/sys/class/hwmon").glob("hwmon*")):
        with contextlib.suppress(OSError):
            if (hwmon / "name").read_text().strip() in THERMAL_DRIVERS:
                return lambda hwmon=hwmon: int((hwmon / "temp1_input").read_text()) / 1e3  # type: ignore[misc]
    return lambda: None
