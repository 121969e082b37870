"""How queries arrive: (session, queries) -> completion times, until told to stop. Knows no engine."""

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
CHUNK_NS = 1_000_000  # a completion time stands for at most 1 ms of queries


class Runnable(Protocol):
    """What a scenario needs of an engine's session."""

    def run(self, inputs: Any) -> Any:
        """Answer one query; returns when the answer is there."""

    def synchronize(self) -> None:
        """Wait for whatever the device still has to do."""


@dataclass
class Completions:
    """When queries began and ended, CLOCK_MONOTONIC in ns, and how many ended together."""

    start_ns: array[int] = field(default_factory=lambda: array("q"))
    end_ns: array[int] = field(default_factory=lambda: array("q"))
    count: array[int] = field(default_factory=lambda: array("q"))


Stop = Callable[[], bool]


def single_stream(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
    """One query at a time, the next when the last has been answered (a closed loop); each is timed.

    Args:
        session: Answers the queries.
        queries: Inputs without an end.
        stop: Asked after every query.
        completions: Appended to.
    """
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
    """All queries are there at once and are sent back to back; the clock is read once a chunk of at most about 1 ms.

    Args:
        session: Answers the queries.
        queries: Inputs without an end.
        stop: Asked after every chunk.
        completions: Appended to, one entry a chunk.
    """
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


Scenario = Callable[[Runnable, Iterator[Any], Stop, Completions], None]
SCENARIOS: dict[str, Scenario] = {"single_stream": single_stream, "offline": offline}


def shifted(play: Scenario, period_s: float, first: int) -> Scenario:
    """The same scenario in groups of 0.25 s, each begun at another phase of a sensor's update period.

    A sensor that sees a part of each period misreads a load that beats with it, at any run length. Equidistributed phases
    (group j at frac(0.618 j), Weyl's sequence of the golden ratio) let it see every part of the load equally often.

    Args:
        play: The scenario.
        period_s: The sensor's update period.
        first: Number of the first group; groups are numbered through all repetitions.
    """

    def scenario(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
        for group in itertools.count(first):
            time.sleep(wait_s(time.monotonic(), period_s, group))
            until_s = time.monotonic() + GROUP_S
            play(session, queries, partial(_group_over, until_s, stop), completions)
            if stop():
                return

    return scenario


def _group_over(until_s: float, stop: Stop) -> bool:
    return time.monotonic() >= until_s or stop()


def wait_s(now_s: float, period_s: float, group: int) -> float:
    """How long until the phase of a group comes round.

    Args:
        now_s: On the clock that the phases are counted on.
        period_s: The sensor's update period.
        group: Its number.
    """
    phase_s = math.fmod(GOLDEN * group, 1.0) * period_s
    return (phase_s - now_s) % period_s
