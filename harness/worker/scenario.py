"""Scenarios: send queries to a session and record the completion times."""

from __future__ import annotations

import itertools
import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from harness.engines.base import Event
from harness.schema.worker import GROUP_S

GOLDEN = (math.sqrt(5) - 1) / 2
CHUNK_NS = 1_000_000
"""Longest time that one completion time of the offline scenario represents."""


class Runnable(Protocol):
    """The part of an engine's session that a scenario uses."""

    def run(self, inputs: Any) -> Any:
        """Answer one query; the answer may not be complete yet."""

    def synchronize(self) -> None:
        """Wait until all answers are complete."""


class Queue(Runnable, Protocol):
    """That of a session with several queries in flight."""

    def event(self, outputs: Any) -> Event | None:
        """The completion of an answer, directly after `run`; None if only `synchronize` can wait."""

    def fetch(self, outputs: Any) -> Any:
        """Bring a complete answer to the host, where that is timed."""


def _int64() -> array[int]:
    return array("q")


@dataclass
class Completions:
    """Submission and completion of queries, CLOCK_MONOTONIC in ns, and their numbers, in the order of completion."""

    start_ns: array[int] = field(default_factory=_int64)
    end_ns: array[int] = field(default_factory=_int64)
    count: array[int] = field(default_factory=_int64)


Stop = Callable[[], bool]
Scenario = Callable[[Any, Iterator[Any], Stop, Completions], None]
"""Takes a session (`Runnable` or `Queue`), endless queries, a stop condition checked after each entry, and the completions to append to."""


def single_stream(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
    """Send each query when the one before has been answered (a closed loop)."""
    run, synchronize, clock = session.run, session.synchronize, time.monotonic_ns
    start, end, count = completions.start_ns.append, completions.end_ns.append, completions.count.append
    for query in queries:
        began = clock()
        run(query)
        synchronize()
        end(clock())
        start(began)
        count(1)
        if stop():
            return


def offline(session: Runnable, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
    """Send queries back to back, each complete before the next, and read the clock once a chunk of about 1 ms."""
    run, synchronize, clock = session.run, session.synchronize, time.monotonic_ns
    size = 1
    while True:
        chunk = list(itertools.islice(queries, size))
        began = clock()
        for query in chunk:
            run(query)
            synchronize()
        ended = clock()
        completions.start_ns.append(began)
        completions.end_ns.append(ended)
        completions.count.append(size)
        if stop():
            return
        size = max(1, min(2 * size, size * CHUNK_NS // (2 * max(ended - began, 1))))


SCENARIOS: dict[str, Scenario] = {"single_stream": single_stream, "offline": offline}


def scenario_of(name: str, in_flight: int) -> Scenario:
    """The scenario of a case; several queries in flight are those of `offline`."""
    return SCENARIOS[name] if in_flight == 1 else queued(in_flight)


def queued(in_flight: int) -> Scenario:
    """The offline scenario with up to this number of queries sent before the oldest is complete.

    Answers are taken in order: after each submission those that are complete by then, and when the queue is full the oldest, by waiting
    for it. Outputs are dropped with their query. All queries that were sent are complete when the scenario ends.
    """

    def in_queue(session: Queue, queries: Iterator[Any], stop: Stop, completions: Completions) -> None:
        waiting = _Waiting(session, completions)
        for query in queries:
            waiting.send(query)
            if len(waiting) >= in_flight:
                waiting.wait()
            if stop():
                break
        while len(waiting):
            waiting.wait()

    return in_queue


class _Waiting:
    """Queries that were sent and whose answers were not taken yet, the oldest first."""

    def __init__(self, session: Queue, completions: Completions) -> None:
        self._session, self._completions = session, completions
        self._queries: deque[tuple[int, Event | None, Any]] = deque()

    def __len__(self) -> int:
        return len(self._queries)

    def send(self, query: Any) -> None:
        """Submit a query, then take the answers that are complete."""
        began = time.monotonic_ns()
        outputs = self._session.run(query)
        self._queries.append((began, self._session.event(outputs), outputs))
        complete = itertools.takewhile(lambda each: each[1] is not None and each[1].query(), self._queries)
        self._take(sum(1 for _ in complete))

    def wait(self) -> None:
        """Wait for the oldest answer and take it; without events for all of them."""
        event = self._queries[0][1]
        if event is None:
            self._session.synchronize()
            self._take(len(self))
        else:
            event.synchronize()
            self._take(1)

    def _take(self, number: int) -> None:
        """Complete the oldest queries: those that are found complete together have one time."""
        if not number:
            return
        taken = [self._queries.popleft() for _ in range(number)]
        for _, _, outputs in taken:
            self._session.fetch(outputs)
        ended = time.monotonic_ns()
        for began, _, _ in taken:
            self._completions.start_ns.append(began)
            self._completions.end_ns.append(ended)
            self._completions.count.append(1)


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
