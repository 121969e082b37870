"""One NVIDIA card -> the conditions that it runs under, as far as they answer: heat, clocks, load, memory, who else is on it, for how long it was held down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import SensorError
from harness.sensors.nvml_facts import MEMORY_TEMPERATURE, Ask, memory_reader

SLOW_S, SLOWER_S, SELDOM_S = 0.5, 1.0, 5.0
"""A call takes 0.2 to 12 ms, so what changes slowly is read seldom; what counts time, or changes hardly, is also read at each edge of a window."""
HOLD_S = 0.1
"""What one call gives for several domains is used for all of them for so long."""
POWER_POLICY, THERMAL_POLICY = 0, 1
"""nvmlPerfPolicyType_t: what `nvmlDeviceGetViolationStatus` is asked for."""
POWER_CAPPED = (74,)
"""Field: time in which the clock was held down by the power limit (`..._PERF_POLICY_POWER`, which is `..._CLOCKS_EVENT_REASON_SW_POWER_CAP`), ns."""
SLOWED = (269, 270, 271)
"""Fields: time under software thermal slowdown, hardware thermal slowdown and power brake, ns; newer than `THERMAL`."""
THERMAL = (75,)
"""Field: time in which the clock was held down by heat (`..._PERF_POLICY_THERMAL`), ns."""


class Condition(NamedTuple):
    """One condition of a card.

    Attributes:
        name: Behind the card's, as `utilization` of `gpu:0 utilization`.
        quantity: Of the domain.
        unit: Of the domain.
        read: The value now; raises what pynvml raises, or SensorError.
        poll_period_s: How often it is worth reading; null: as often as other conditions.
        detail: Of the domain.
    """

    name: str
    quantity: str
    unit: str
    read: Callable[[], float]
    poll_period_s: float | None = None
    detail: dict[str, Any] = {}


def conditions(nvml: Any, handle: Any, child: Child, *, charged: bool) -> list[Condition]:
    """Every condition that answers now.

    Args:
        nvml: The module `pynvml`.
        handle: Of the card.
        child: Which process is measured.
        charged: Whether cases are charged with this card; of the others a few are enough.
    """
    found = [*_basic(nvml, handle)]
    if charged:
        fields = Fields(nvml, handle, (MEMORY_TEMPERATURE, *POWER_CAPPED, *SLOWED, *THERMAL))
        found += [*_slow(nvml, handle, fields), *_held(nvml, handle, fields), *_processes(nvml, handle, child)]
    return [each for each in found if _answers(nvml, each.read)]


def _answers(nvml: Any, read: Callable[[], float]) -> bool:
    """Whether a reading works; that the child is not on the card yet is no failure."""
    try:
        read()
    except UnnamedError:
        return True
    except (SensorError, nvml.NVMLError, nvml.NVMLLibraryMismatchError, AttributeError):
        return False
    return True


def _basic(nvml: Any, handle: Any) -> Iterator[Condition]:
    """What says whether the card works, and how warm it is."""
    yield Condition("temperature", "temperature", "degC", lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    yield Condition("sm_clock", "clock", "Hz", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6)
    yield Condition("utilization", "load", "1", lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
    memory, without_reserve = memory_reader(nvml, handle)
    if memory:
        yield Condition("memory_used", "memory", "bytes", memory, detail={"without_reserve": without_reserve})
    # The name was `throttle reasons` before driver 535.
    names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    known = next((name for name in names if Ask(nvml)(name, handle) is not None), None)
    if known:
        yield Condition("event_reasons", "flags", "1", lambda: getattr(nvml, known)(handle))


def _slow(nvml: Any, handle: Any, fields: Fields) -> Iterator[Condition]:
    """Memory clock and temperature; the PCIe link, which is slower while the card idles, so that its state under load is worth a reading."""
    yield Condition("memory_clock", "clock", "Hz", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6, SLOWER_S)
    heat = fields.known((MEMORY_TEMPERATURE,))
    if heat and fields.sum(heat) > 0:  # some cards without the sensor answer 0
        yield Condition("memory_temperature", "temperature", "degC", partial(fields.sum, heat), SLOWER_S)
    yield Condition("pcie_generation", "count", "1", lambda: nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle), SELDOM_S)
    yield Condition("pcie_width", "count", "1", lambda: nvml.nvmlDeviceGetCurrPcieLinkWidth(handle), SELDOM_S)


def _held(nvml: Any, handle: Any, fields: Fields) -> Iterator[Condition]:
    """For how long the clock was held down, s since the driver was loaded: nothing between two readings is missed, as it is of flags."""
    for name, choices, policy in (
        ("power_capped_time", (POWER_CAPPED,), POWER_POLICY),
        ("slowed_time", (SLOWED, THERMAL), THERMAL_POLICY),
    ):
        numbers = next((each for choice in choices if (each := fields.known(choice))), ())
        yield Condition(
            name, "duration", "s", partial(fields.seconds, numbers) if numbers else partial(_violation_s, nvml, handle, policy), SLOW_S
        )


def _violation_s(nvml: Any, handle: Any, policy: int) -> float:
    """The same from drivers that have no such fields, s."""
    return float(nvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime) / 1e9


def _processes(nvml: Any, handle: Any, child: Child) -> Iterator[Condition]:
    """Memory of the measured process on the card, and how many others are on it: those of this system, and those that it cannot name."""
    seen = Processes(nvml, handle, child)
    yield Condition("child_memory", "memory", "bytes", seen.child_bytes, SLOW_S)
    yield Condition("foreign_processes", "count", "1", lambda: len(seen.now().foreign), SLOW_S)
    yield Condition("hidden_processes", "count", "1", lambda: len(seen.now().hidden), SLOW_S)


class Fields:
    """Some field values of a card, read in one call for all the domains that they are of.

    Args:
        nvml: The module `pynvml`.
        handle: Of the card.
        numbers: Of the fields; those that the driver does not have are left out.
    """

    def __init__(self, nvml: Any, handle: Any, numbers: tuple[int, ...]) -> None:
        self._ask, self._handle = Ask(nvml), handle
        self._values, self._at_s = self._ask.fields(handle, numbers), time.monotonic()
        self.numbers = tuple(self._values)

    def known(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Those of some fields that the driver has."""
        return tuple(number for number in numbers if number in self.numbers)

    def sum(self, numbers: tuple[int, ...]) -> float:
        """Of fields that the driver had at first.

        Raises:
            SensorError: One of them is missing now.
        """
        if time.monotonic() - self._at_s > HOLD_S:
            self._values, self._at_s = self._ask.fields(self._handle, self.numbers), time.monotonic()
        if any(number not in self._values for number in numbers):
            raise SensorError("a field of the card could not be read", "the sample is missing")
        return sum(self._values[number] for number in numbers)

    def seconds(self, numbers: tuple[int, ...]) -> float:
        """The same where they count nanoseconds, s."""
        return self.sum(numbers) / 1e9


class UnnamedError(SensorError):
    """The measured process is not seen on the card: it has not begun, or the driver does not name it."""

    def __init__(self) -> None:
        super().__init__(
            "the driver names no process on the card that is the measured one", "the memory of the whole card stands in for it"
        )


class Child:
    """Which process is being measured.

    Attributes:
        pid: Null between tasks.
    """

    pid: int | None = None


class Seen(NamedTuple):
    """The processes on a card, by whose they are.

    Attributes:
        own_bytes: Memory of the measured process and its children; null where the driver does not report it of one of them.
        own: Their pids.
        foreign: Pids of this system that are not ours.
        hidden: Pids that name no process here: NVML reports those of the host's namespace, which in a container are not ours to see.
    """

    own_bytes: int | None
    own: list[int]
    foreign: list[int]
    hidden: list[int]


class Processes:
    """The processes that compute on a card.

    Args:
        nvml: The module `pynvml`.
        handle: Of the card.
        child: Which of them is measured.
    """

    def __init__(self, nvml: Any, handle: Any, child: Child) -> None:
        self._nvml, self._handle, self._child = nvml, handle, child
        self._seen, self._at_s = Seen(None, [], [], []), float("-inf")

    def now(self) -> Seen:
        """Who is on the card; for several domains asked once."""
        if time.monotonic() - self._at_s > HOLD_S:
            self._seen = sorted_out(running(self._nvml, self._handle), self._child.pid)
            self._at_s = time.monotonic()
        return self._seen

    def child_bytes(self) -> float:
        """Memory of the measured process on the card.

        Raises:
            UnnamedError: It cannot be told: it is not listed where others are hidden, or nobody is listed, or its memory is not reported.
        """
        seen = self.now()
        if seen.own and seen.own_bytes is not None:
            return float(seen.own_bytes)
        if not seen.own and seen.foreign and not seen.hidden:
            return 0.0
        raise UnnamedError


def running(nvml: Any, handle: Any) -> list[Any]:
    """What computes on a card, each with `pid` and `usedGpuMemory` (bytes; null where the driver does not report it).

    Raises:
        pynvml.NVMLError: The driver does not say.
    """
    try:
        return list(nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle))
    except nvml.NVMLError_FunctionNotFound:  # before driver 510
        return list(nvml.nvmlDeviceGetComputeRunningProcesses_v2(handle))


def sorted_out(processes: list[Any], child_pid: int | None) -> Seen:
    """Whose the processes on a card are.

    Args:
        processes: As `running` gives them.
        child_pid: Of the measured process; null: none is.
    """
    own: list[int] = []
    foreign: list[int] = []
    hidden: list[int] = []
    memory = []
    for process in processes:
        if is_ours(process.pid, child_pid):
            own.append(process.pid)
            memory.append(process.usedGpuMemory)
        else:
            (foreign if exists(process.pid) else hidden).append(process.pid)
    return Seen(None if None in memory else sum(memory), own, foreign, hidden)


def is_ours(pid: int, child_pid: int | None) -> bool:
    """Whether a process is this one, the measured one, or descends from it."""
    for _ in range(64):
        if pid in (os.getpid(), child_pid):
            return True
        parent = _status(pid, "PPid:")
        if not parent or parent <= 1:
            return False
        pid = parent
    return False


def exists(pid: int) -> bool:
    """Whether a pid names a process of this system, also where it is somebody else's; a thread's number does not."""
    if pid <= 0:
        return False
    leader = _status(pid, "Tgid:")
    if leader is not None:
        return leader == pid
    try:
        os.kill(pid, 0)  # sends nothing
    except PermissionError:  # /proc may be mounted so that it hides others' processes
        return True
    except OSError:
        return False
    return True


def _status(pid: int, field: str) -> int | None:
    """A number of /proc/<pid>/status; null where it cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), None)
