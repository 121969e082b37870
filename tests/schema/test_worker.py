"""Messages between parent and child."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.schema import Kernel
from harness.schema.worker import (
    AskKernels,
    Close,
    Done,
    FromChild,
    Go,
    Hello,
    Kernels,
    Mark,
    More,
    Ready,
    Result,
    Scores,
    ToChild,
    as_line,
)
from tests.tasks import child_task

FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(FromChild)
TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(ToChild)
SCORES = Scores(metric="accuracy", direction="higher")


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (FROM_CHILD, Hello(pid=1)),
        (FROM_CHILD, Mark(name="load", t_s=0.1 + 0.2)),
        (FROM_CHILD, Ready(first_query_s=0.5, facts={"device_uuids": ["GPU-a"], "tf32": None})),
        (FROM_CHILD, Done(n=3)),
        (FROM_CHILD, Result(status="ok", quality=SCORES)),
        (FROM_CHILD, Kernels(kernels=(Kernel(op="Conv\n", share=1.0),), stored=("int8",))),
        (TO_CHILD, More(seconds=1.0)),
        (TO_CHILD, Go(shift_s=0.1, group=2)),
        (TO_CHILD, Close(until_s=2.0)),
        (TO_CHILD, AskKernels()),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_a_message_is_one_line_that_gives_it_again(adapter, message):
    """Exact to the last bit, of its own type, whatever text it has."""
    line = as_line(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    parsed = adapter.validate_json(line)
    assert parsed == message and type(parsed) is type(message)


def test_a_message_of_the_other_side_is_none():
    """A child that sends what only a parent does breaks the protocol."""
    with pytest.raises(ValidationError):
        FROM_CHILD.validate_json(as_line(AskKernels()))


def test_a_task_survives_json():
    """It is written to the child's standard input."""
    task = child_task(0.002, input_shapes={"x": (3, 4)})
    assert type(task).model_validate_json(task.model_dump_json()) == task
