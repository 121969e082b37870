"""Scenarios: send queries to a session and record the completion times."""

from __future__ import annotations

import itertools
import math
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from harness.schema.worker import GROUP_S

GOLDEN = (math.sqrt(5) - 1) / 2
CHUNK_NS = 1_000_000
"""Longest time that one completion time of the offline scenario represents."""


class Runnable(Protocol):
    """The part of an engine's session that a scenario uses."""

    def run(self, inputs: Any) -> Any:
        """Answer one query."""

    def synchronize(self) -> None:
        """Wait until the device is done."""


def _int64() -> array[int]:
    return array("q")


@dataclass
class Completions:
    """Start and end of queries, CLOCK_MONOTONIC in ns, and their numbers."""

    start_ns: array[int] = field(default_factory=_int64)
    end_ns: array[int] = field(default_factory=_int64)
    count: array[int] = field(default_factory=_int64)


Stop = Callable[[], bool]
Scenario = Callable[[Runnable, Iterator[Any], Stop, Completions], None]
"""Takes a session, endless queries, a stop condition checked after each entry, and the completions to append to."""


def single_stream(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
    """Send each query when the one before has been answered (a closed loop)."""
    run, clock = session.run, time.monotonic_ns
    start, end, count = completions.start_ns.append, completions.end_ns.append, completions.count.append
    for query in queries:
        began = clock()
        run(query)
        end(clock())
        start(began)
        count(1)
        if stop():
            return


def offline(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
    """Send queries back to back, and read the clock once a chunk of about 1 ms."""
    run, clock = session.run, time.monotonic_ns
    size = 1
    while True:
        chunk = list(itertools.islice(queries, size))
        began = clock()
        for query in chunk:
            run(query)
        session.synchronize()
        ended = clock()
        completions.start_ns.append(began)
        completions.end_ns.append(ended)
        completions.count.append(size)
        if stop():
            return
        size = max(1, min(2 * size, size * CHUNK_NS // (2 * max(ended - began, 1))))


SCENARIOS: dict[str, Scenario] = {"single_stream": single_stream, "offline": offline}


def shifted(scenario: Scenario, period_s: float, first: int) -> Scenario:
    """The scenario in groups, each begun at another phase of a sensor's period.

    A sensor that sees only a part of each period misreads a load that beats with it, however long the run. Equidistributed
    phases (group j at frac(0.618 j), Weyl's sequence of the golden ratio) let it see every part of the load equally often.

    Args:
        scenario: The scenario.
        period_s: Update period of the sensor, in seconds.
        first: Number of the first group, counted through all repetitions.
    """

    def in_groups(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
        for group in itertools.count(first):
            time.sleep(wait_s(time.monotonic(), period_s, group))
            until_s = time.monotonic() + GROUP_S
            scenario(session, queries, partial(_group_over, until_s, stop), completions)
            if stop():
                return

    return in_groups


def _group_over(until_s: float, stop: Stop) -> bool:
    return time.monotonic() >= until_s or stop()


def wait_s(now_s: float, period_s: float, group: int) -> float:
    """Seconds from a time until the phase of a group of queries."""
    phase_s = math.fmod(GOLDEN * group, 1.0) * period_s
    return (phase_s - now_s) % period_s
