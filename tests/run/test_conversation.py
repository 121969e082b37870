"""Messages of a child, awaited with a time limit."""

from __future__ import annotations

import threading

import pytest

from harness.run.conversation import Conversation, TaskEndedError
from harness.run.timing import Limit
from harness.schema.worker import Done, Mark, Ready, Result

LIMIT = Limit(2.0, "loading", "raise it")


class Script:
    """A child that has sent these messages, and sends no more."""

    def __init__(self, *messages) -> None:
        self.messages, self.send = list(messages), None

    def receive(self, timeout_s):
        """The next message; None at the end, as after the time limit."""
        return self.messages.pop(0) if self.messages else None


def test_marks_on_the_way_are_kept():
    """The awaited message is returned, others are passed over."""
    conversation = Conversation(Script(Mark(name="warmup", t_s=5.0), Ready(first_query_s=0.1), Done(n=3)))
    assert conversation.wait_for(Done, LIMIT).n == 3
    assert conversation.marks == {"warmup": 5.0}


def test_a_silent_child_is_a_timeout():
    """With the limit, what the child was doing, and what to do."""
    with pytest.raises(TaskEndedError, match="no answer within 2 s while loading\nraise it") as caught:
        Conversation(Script()).wait_for(Ready, LIMIT)
    assert caught.value.status == "timeout"


def test_a_long_wait_is_reported_on_the_way():
    """Every ten seconds until the limit, which is a time-out and no progress; a wait that may be in a window reports nothing."""
    waited: list[float] = []
    with pytest.raises(TaskEndedError):
        Conversation(Script()).wait_for(Ready, LIMIT._replace(seconds=40.0), waited.append)
    assert waited == [10.0, 20.0, 30.0]


@pytest.mark.parametrize("wait", [lambda c: c.wait_for(Done, LIMIT), lambda c: c.listen(1.0)], ids=["wait_for", "listen"])
def test_an_early_result_ends_the_task(wait):
    """With its status and its reason."""
    with pytest.raises(TaskEndedError, match="no GPU") as caught:
        wait(Conversation(Script(Result(status="refused", reason="no GPU"))))
    assert caught.value.status == "refused"


def test_an_awaited_result_is_returned_whatever_its_status():
    """It is the end of the task."""
    assert Conversation(Script(Result(status="failed", reason="why"))).wait_for(Result, LIMIT).reason == "why"


def test_an_event_ends_the_wait():
    """At once if it is set already."""
    event = threading.Event()
    event.set()
    child = Script(Mark(name="go", t_s=1.0))
    Conversation(child).listen(1e9, until=event)
    assert child.messages
