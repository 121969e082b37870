"""Progress of a campaign without a terminal."""

from __future__ import annotations

import pytest

from harness.run.progress import Progress
from harness.schema import Task
from tests import factories


@pytest.fixture
def progress(capsys):
    """An observer, and a function that returns its new lines on stderr; stdout stays empty."""

    def lines() -> str:
        out, err = capsys.readouterr()
        assert out == ""
        return err

    with Progress() as observer:
        yield observer, lines


def test_each_task_is_a_line_with_the_remaining_time(progress):
    """If it is known."""
    observer, lines = progress
    for repetition, left_s in ((0, 200.0), (1, 80.0), (2, None)):
        observer.task(Task(case=factories.case(), repetition=repetition), 3 - repetition, left_s)
        observer.phase("steady")
        observer.record(factories.record(factories.case(), repetition=repetition))
    name = factories.case().case_id
    assert lines().splitlines() == [
        f"[1/3] {name}  #1  about 3 min left",
        f"[2/3] {name}  #2  about 80 s left",
        f"[3/3] {name}  #3",
    ]


@pytest.mark.parametrize(("reason", "line"), [("it broke\ndetails", "it broke"), ("", "no reason reported"), (None, "no reason reported")])
def test_a_failure_is_printed_with_the_first_line_of_its_reason(progress, reason, line):
    """A plug-in may give none."""
    observer, lines = progress
    observer.task(Task(case=factories.case()), 1, None)
    observer.record(factories.record(factories.case(), status="failed", reason=reason))
    assert lines() == f"failed: {factories.case().case_id}  #1: {line}\n"


def test_a_machine_without_a_sensor_is_reported_at_once(progress):
    """Before anything is measured: all energies will be modelled."""
    observer, lines = progress
    observer.sensors(factories.MODELLED, {})
    assert "all energies are modelled" in lines()
    observer.sensors((), {})
    assert lines() == "energy of: nothing on this machine\n"


def test_a_slow_load_is_not_silent(progress):
    """A line after 30 s, 60 s, 120 s and so on; a build is worded as one."""
    observer, lines = progress
    observer.task(Task(case=factories.case()), 1, None)
    for waited_s in range(10, 130, 10):
        observer.slow(float(waited_s), 600.0)
    name = factories.case().case_id
    assert lines().splitlines() == [f"{name}  #1  loading for {seconds} s, limit 600 s" for seconds in (30, 60, 120)]
