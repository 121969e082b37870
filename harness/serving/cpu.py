"""CPU of the client: the cores that it is pinned to, and the CPU time that it used between two times."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence

import numpy as np

from harness.errors import EngineError


def pin(cores: Iterable[int]) -> list[int]:
    """Pin this thread, and those that it starts afterwards, to some cores.

    Args:
        cores: Numbers of the cores.

    Returns:
        The cores that it runs on now, sorted.

    Raises:
        EngineError: None is named, or one is not available.
    """
    wanted, available = set(cores), os.sched_getaffinity(0)
    if not wanted or not wanted <= available:
        missing = ", ".join(map(str, sorted(wanted - available))) or "no core is named"
        raise EngineError(f"the client cannot be pinned to these cores: {missing}", f"choose from {', '.join(map(str, sorted(available)))}")
    os.sched_setaffinity(0, wanted)
    return sorted(os.sched_getaffinity(0))


def reading() -> tuple[int, int]:
    """Time on CLOCK_MONOTONIC and CPU time of this process so far, all threads, both in ns."""
    return time.monotonic_ns(), time.process_time_ns()


def cpu_s(readings: Sequence[tuple[int, int]], start_ns: int, end_ns: int) -> float | None:
    """CPU time of the client between two times, in s, interpolated between readings; None if the readings do not cover them.

    Args:
        readings: Pairs as of `reading`, in the order of time.
        start_ns: Begin.
        end_ns: End.
    """
    if not readings or start_ns < readings[0][0] or end_ns > readings[-1][0] or end_ns < start_ns:
        return None
    times, used = (np.array(readings, dtype=np.int64) - np.array(readings[0], dtype=np.int64)).T
    return float(np.diff(np.interp(np.array([start_ns, end_ns]) - readings[0][0], times, used))[0]) * 1e-9
