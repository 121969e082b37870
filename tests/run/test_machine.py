"""The lock and the memory of the machine."""

from __future__ import annotations

import threading

import pytest

from harness.run import machine
from tests.campaigns import Watcher

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_two_runs_do_not_measure_at_once(tmp_path):
    """The second waits, and reports for which run."""
    entered, leave, second = threading.Event(), threading.Event(), Watcher()

    def first() -> None:
        with machine.machine_lock("first-run", Watcher().waiting):
            entered.set()
            leave.wait(20)

    def other() -> None:
        with machine.machine_lock("second-run", second.waiting):
            second.events.append(("in", ()))

    threads = [threading.Thread(target=first), threading.Thread(target=other)]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    while not second.events:
        threads[1].join(0.05)
    assert second.events[0][0] == "waiting"
    assert "first-run" in second.events[0][1][0]
    leave.set()
    for thread in threads:
        thread.join(20)
    assert second.events[-1][0] == "in"
