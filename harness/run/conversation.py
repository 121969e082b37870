"""The parent's side of the protocol: awaits messages, keeps phase marks."""

from __future__ import annotations

import threading
import time
from typing import TypeVar

from harness.channel import Child
from harness.schema import Status
from harness.schema.worker import Done, Edges, FromChild, Kernels, Mark, Ready, Result

POLL_S = 0.005
"""Longest wait for a message while an event is awaited as well."""

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
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self.send = child.send
        self.marks: dict[str, float] = {}

    def wait_for(self, kind: type[Reply], patience_s: float) -> Reply:
        """The next message of one type.

        Raises:
            TaskEndedError: The limit has passed, or the child has sent its result instead.
        """
        deadline = time.monotonic() + patience_s
        while message := self._child.receive(max(0.0, deadline - time.monotonic())):
            self._keep_mark(message)
            if isinstance(message, kind):
                return message
            _raise_if_ended(message)
        raise TaskEndedError("timeout", f"the child sent nothing for {patience_s:.0f} s while the parent waited for {kind.__name__}")

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


def _raise_if_ended(message: FromChild | None) -> None:
    if isinstance(message, Result):
        raise TaskEndedError(message.status, message.reason or "the child ended early")
