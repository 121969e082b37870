"""What a person is told while a campaign goes on, where no terminal draws a bar."""

from __future__ import annotations

import pytest

from harness.run.progress import Progress
from harness.schema import Task
from tests import factories


@pytest.fixture
def progress(capsys):
    """It, and what it has said on stderr since it was last asked; stdout stays clean."""

    def said() -> str:
        out, err = capsys.readouterr()
        assert out == ""
        return err

    with Progress() as observer:
        yield observer, said


def test_each_task_is_a_line_with_how_many_are_left(progress):
    """And how long they take, where that is known."""
    observer, said = progress
    for repetition, left_s in ((0, 200.0), (1, 80.0), (2, None)):
        observer.task(Task(case=factories.case(), repetition=repetition), 3 - repetition, left_s)
        observer.phase("steady")
        observer.record(factories.record(factories.case(), repetition=repetition))
    name = factories.case().case_id
    assert said().splitlines() == [
        f"[1/3] {name}  #1  about 3 min left",
        f"[2/3] {name}  #2  about 80 s left",
        f"[3/3] {name}  #3",
    ]


@pytest.mark.parametrize(
    ("reason", "told"), [("it broke\nas it does", "it broke"), ("", "no reason was told"), (None, "no reason was told")]
)
def test_what_failed_is_told_with_the_first_line_of_its_reason(progress, reason, told):
    """A plug-in may give none."""
    observer, said = progress
    observer.task(Task(case=factories.case()), 1, None)
    observer.record(factories.record(factories.case(), status="failed", reason=reason))
    assert said() == f"failed: {factories.case().case_id}  #1: {told}\n"


def test_a_machine_without_a_sensor_is_told_at_once(progress):
    """Before anything is measured: every joule will be modelled."""
    observer, said = progress
    observer.sensors(factories.MODELLED, {})
    assert "every joule is modelled" in said()
    observer.sensors((), {})
    assert said() == "energy of: nothing on this machine\n"
