"""Why a child ended without a result: memory, a signal, an exit code."""

from __future__ import annotations

import signal
from pathlib import Path

from harness.channel import Child
from harness.schema import Status


def why_ended(child: Child, kills: int) -> tuple[Status, str]:
    """Status and reason of a child that closed its pipe without a result.

    Args:
        child: It.
        kills: Processes that Linux had killed for memory before it was started, as from `oom_kills`.
    """
    code = child.exit_code(5.0)
    tail = child.tail
    if "bad_alloc" in tail or oom_kills() > kills:
        return "oom", "the process ran out of memory and died"
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        if -code in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            return "killed", f"the process was ended from outside by {name}"
        return "failed", f"the process crashed with {name}"
    return "failed", f"the process left with exit code {code} and no result"


def oom_kills() -> int:
    """How many processes Linux has killed for memory since boot."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
