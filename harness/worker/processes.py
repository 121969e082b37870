"""Memory of the processes that this one has started, such as a server."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from harness.userfiles import system_number


def descendants(pid: int) -> list[int]:
    """Running descendants of a process, on Linux; none elsewhere."""
    family = [pid]
    for member in family:
        with contextlib.suppress(OSError):
            family += [int(child) for tasks in Path(f"/proc/{member}/task").glob("*/children") for child in tasks.read_text().split()]
    return family[1:]


def descendants_peak_bytes() -> int | None:
    """Sum of the largest resident sets of the descendants of this process; None without one.

    Pages that several of them share are counted in each.
    """
    kibibytes = [system_number(f"/proc/{pid}/status", "VmHWM:") for pid in descendants(os.getpid())]
    known = [number for number in kibibytes if number is not None]
    return sum(known) * 1024 if known else None
