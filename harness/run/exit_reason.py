"""Why a child exited without a result: out of memory, a signal, an exit code."""

from __future__ import annotations

import signal

from harness.channel import Child
from harness.schema import Status
from harness.userfiles import system_number


def exit_reason(child: Child, kills: int) -> tuple[Status, str]:
    """Status and reason of a child that closed its pipe without a result."""
    code = child.exit_code(5.0)
    if "bad_alloc" in child.tail or oom_kills() > kills:
        return "oom", "the process ran out of memory"
    if code is None or code >= 0:
        return "failed", f"the process exited with exit code {code} and sent no result"
    name = signal.Signals(-code).name
    if -code in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        return "killed", f"another process ended it with {name}"
    return "failed", f"the process crashed with {name}"


def oom_kills() -> int:
    """Number of processes that Linux has killed for memory since boot; 0 if unknown."""
    return system_number("/proc/vmstat", "oom_kill ") or 0
