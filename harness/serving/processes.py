"""Processes of a server, found in /proc even if they left its group, session or parent, and their end. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "HARNESS_SERVER"
"""Environment variable with a random value, which all processes of a server inherit."""
END_S = 10.0
"""Time limit in which killed processes must have ended."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True)
class Process:
    """One line of the table of processes.

    Attributes:
        pid: Process id.
        parent: Process id of its parent.
        group: Its process group.
        session: Its session.
        started: Start in clock ticks since boot, which differs if the id was reused.
    """

    pid: int
    parent: int
    group: int
    session: int
    started: int


def table() -> dict[int, Process]:
    """All processes that have not ended, by id; zombies are left out."""
    return {process.pid: process for entry in Path("/proc").iterdir() if entry.name.isdigit() and (process := _read(int(entry.name)))}


def _read(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name of the program may contain spaces and parentheses
    if fields[0] in "ZX":
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def descendants(pids: set[int], processes: dict[int, Process]) -> set[int]:
    """The children of some processes, their children, and so on, without the processes themselves."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    below: set[int] = set()
    open_pids = list(pids)
    while open_pids:
        new = set(children.get(open_pids.pop(), ())) - below
        below |= new
        open_pids += new
    return below


def marked(server_id: str, processes: dict[int, Process]) -> set[int]:
    """The processes whose environment has the value of a server; those of other users cannot be read."""
    entry = f"{MARK}={server_id}".encode()
    pids = set()
    for pid in processes:
        with contextlib.suppress(OSError):
            if entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                pids.add(pid)
    return pids


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, so that they can still be found."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def signal_at_parents_end(number: signal.Signals) -> None:
    """Have Linux send a signal to this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def kill_all(find: Callable[[], set[int]], limit_s: float = END_S) -> set[int]:
    """Kill all processes that a function finds, again and again until it finds none, since they may start others meanwhile.

    Args:
        find: Returns the processes that are still alive.
        limit_s: Time limit in seconds; a process in an uninterruptible system call may take longer.

    Returns:
        The processes that were killed.
    """
    killed: set[int] = set()
    until_s = time.monotonic() + limit_s
    pause_s = 0.001
    while (left := find()) and time.monotonic() < until_s:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    return killed


def reap() -> Iterator[tuple[int, int]]:
    """Collect all children that have ended, adopted ones included: process id and exit code, negative for a signal."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)
