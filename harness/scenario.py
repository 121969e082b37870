"""How queries arrive: (session, queries) -> completion times, until told to stop. Knows no engine."""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

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


def single_stream(session: Runnable, queries: Sequence[Any], stop: Stop, completions: Completions) -> None:
    """One query at a time, the next when the last has been answered (a closed loop); each is timed.

    Args:
        session: Answers the queries.
        queries: Inputs, taken in turn and again from the first.
        stop: Asked after every query.
        completions: Appended to.
    """
    run, clock = session.run, time.monotonic_ns
    start, end, count = completions.start_ns.append, completions.end_ns.append, completions.count.append
    for query in itertools.cycle(queries):
        began = clock()
        run(query)
        end(clock())
        start(began)
        count(1)
        if stop():
            return


def offline(session: Runnable, queries: Sequence[Any], stop: Stop, completions: Completions) -> None:
    """All queries are there at once and are sent back to back; the clock is read once a chunk of at most about 1 ms.

    Args:
        session: Answers the queries.
        queries: Inputs, taken in turn and again from the first.
        stop: Asked after every chunk.
        completions: Appended to, one entry a chunk.
    """
    run, clock = session.run, time.monotonic_ns
    source = itertools.cycle(queries)
    size = 1
    while not stop():
        chunk = list(itertools.islice(source, size))
        began = clock()
        for query in chunk:
            run(query)
        session.synchronize()
        ended = clock()
        completions.start_ns.append(began)
        completions.end_ns.append(ended)
        completions.count.append(size)
        size = max(1, min(2 * size, size * CHUNK_NS // (2 * max(ended - began, 1))))


SCENARIOS: dict[str, Callable[[Runnable, Sequence[Any], Stop, Completions], None]] = {"single_stream": single_stream, "offline": offline}
