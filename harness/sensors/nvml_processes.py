"""Processes that compute on an NVIDIA card: the measured one, foreign ones, and those whose process id does not exist on this system."""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

from harness.errors import SensorError
from harness.sensors.nvml_driver import Driver
from harness.userfiles import system_number

HOLD_S = 0.1
"""How long the result of one call serves several domains."""


class UnnamedError(SensorError):
    """The driver does not list the measured process on the card: it has not started there, or the driver cannot name it."""


class Child:
    """The measured process; `pid` is None between tasks."""

    pid: int | None = None


class Owners(NamedTuple):
    """Processes on a card by owner.

    Attributes:
        own_bytes: Memory of the measured process and its children; None if the driver does not report it for one of them.
        own: Process ids of the measured process and its children.
        foreign: Other process ids of this system.
        hidden: Process ids that do not exist here: in a container NVML reports those of the host.
    """

    own_bytes: int | None
    own: list[int]
    foreign: list[int]
    hidden: list[int]


class Processes:
    """Processes that compute on a card, for several domains."""

    def __init__(self, driver: Driver, handle: Any, child: Child) -> None:
        self._driver, self._handle, self._child = driver, handle, child
        self._owners, self._at_s = Owners(None, [], [], []), float("-inf")

    def now(self) -> Owners:
        """Processes on the card, at most `HOLD_S` old."""
        if time.monotonic() - self._at_s > HOLD_S:
            self._owners = owners(running(self._driver, self._handle), self._child.pid)
            self._at_s = time.monotonic()
        return self._owners

    def child_bytes(self) -> float:
        """Memory of the measured process on the card, in bytes.

        Raises:
            UnnamedError: The process may be among the hidden ones, or the driver lists none, or does not report its memory.
        """
        on_card = self.now()
        if on_card.own and on_card.own_bytes is not None:
            return float(on_card.own_bytes)
        if not on_card.own and on_card.foreign and not on_card.hidden:
            return 0.0
        raise UnnamedError("the driver does not name the measured process on the card", "the memory of the whole card is used instead")


def running(driver: Driver, handle: Any) -> list[Any]:
    """Processes that compute on a card, with `pid` and `usedGpuMemory` (bytes; None if not reported).

    Raises:
        pynvml.NVMLError: The driver does not list them.
    """
    nvml = driver.nvml
    try:
        return list(nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle))
    except nvml.NVMLError_FunctionNotFound:  # before driver 510
        return list(nvml.nvmlDeviceGetComputeRunningProcesses_v2(handle))


def pids(driver: Driver, handle: Any) -> dict[str, list[int] | None]:
    """Process ids on a card, and which of them do not exist here; None if the driver does not list them."""
    processes = driver.get(running, driver, handle)
    if processes is None:
        return {"pids": None, "hidden_pids": None}
    listed = sorted({process.pid for process in processes})
    return {"pids": listed, "hidden_pids": [pid for pid in listed if not exists(pid)]}


def owners(processes: list[Any], child_pid: int | None) -> Owners:
    """Processes (result of `running`) by owner; `child_pid` is None if no process is measured."""
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
    return Owners(None if None in memory else sum(memory), own, foreign, hidden)


def is_ours(pid: int, child_pid: int | None) -> bool:
    """Whether a process is this one, the measured one, or a descendant of either."""
    for _ in range(64):
        if pid in (os.getpid(), child_pid):
            return True
        parent = system_number(f"/proc/{pid}/status", "PPid:")
        if not parent or parent <= 1:
            return False
        pid = parent
    return False


def exists(pid: int) -> bool:
    """Whether a process of this system has this id, also if it belongs to another user; the id of a thread does not count."""
    if pid <= 0:
        return False
    leader = system_number(f"/proc/{pid}/status", "Tgid:")
    if leader is not None:
        return leader == pid
    try:
        os.kill(pid, 0)  # sends no signal
    except PermissionError:  # /proc may hide the processes of other users
        return True
    except OSError:
        return False
    return True
