"""The parent's side of the protocol: awaits messages, keeps phase marks."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from harness.channel import Child
from harness.run.timing import Limit
from harness.schema import Status
from harness.schema.worker import Done, Edges, FromChild, Kernels, Mark, Ready, Result, Warmed

POLL_S = 0.005
"""Longest wait for a message while an event is awaited as well."""

SLOW_S = 10.0
"""Interval of progress while a child loads or builds."""

Reply = TypeVar("Reply", Ready, Mark, Done, Result, Kernels, Edges)


class TaskEndedError(Exception):
    """The task ended early; carries the status and the reason of its record."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Conversation:
    """Receives the messages of one child.

    Attributes:
        marks: Start of each phase that the child has reported, CLOCK_MONOTONIC in seconds.
        warmed: The report of a steady load that generates text; None before it.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self.send = child.send
        self.marks: dict[str, float] = {}
        self.warmed: Warmed | None = None

    def wait_for(self, kind: type[Reply], limit: Limit, on_slow: Callable[[float], None] | None = None) -> Reply:
        """The next message of one type.

        Args:
            kind: Type of the message.
            limit: Time limit.
            on_slow: Called every `SLOW_S` with the seconds waited so far; never where something is measured.

        Raises:
            TaskEndedError: The limit has passed, or the child has sent its result instead.
        """
        began_s = time.monotonic()
        steps = itertools.count(SLOW_S, SLOW_S) if on_slow else iter(())
        for step_s in itertools.chain(itertools.takewhile(lambda step_s: step_s < limit.seconds, steps), [limit.seconds]):
            while message := self._child.receive(max(0.0, began_s + step_s - time.monotonic())):
                self._keep_mark(message)
                if isinstance(message, kind):
                    return message
                _raise_if_ended(message)
            if on_slow and step_s < limit.seconds:
                on_slow(step_s)
        raise TaskEndedError("timeout", limit.reason)

    def listen(self, seconds: float, until: threading.Event | None = None) -> None:
        """Wait while the child works; it may report phases, fail or die."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (until and until.is_set()):
            message = self._child.receive(min(left, POLL_S) if until else left)
            self._keep_mark(message)
            _raise_if_ended(message)

    def _keep_mark(self, message: FromChild | None) -> None:
        if isinstance(message, Mark):
            self.marks[message.name] = message.t_s
        elif isinstance(message, Warmed):
            self.warmed = message


def _raise_if_ended(message: FromChild | None) -> None:
    if isinstance(message, Result):
        raise TaskEndedError(message.status, message.reason or "the child ended early")
