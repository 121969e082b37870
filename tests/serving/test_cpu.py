"""The cores of the client, and its CPU time."""

import os
import threading

import pytest

from harness.errors import EngineError
from harness.serving import cpu


def in_thread(call):
    """The result of a call in a thread of its own, whose affinity is forgotten."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def test_the_client_is_pinned_to_cores_that_exist():
    """The cores that it runs on are returned."""
    core = min(os.sched_getaffinity(0))
    assert in_thread(lambda: cpu.pin([core])) == [core]


@pytest.mark.parametrize(("cores", "missing"), [([4096], "4096"), ([], "no core is named")])
def test_cores_that_do_not_exist_are_an_error(cores, missing):
    """With those that do."""
    before = os.sched_getaffinity(0)
    with pytest.raises(EngineError, match=f"cannot be pinned to these cores: {missing}\nchoose from {min(before)}"):
        cpu.pin(cores)
    assert os.sched_getaffinity(0) == before


def test_cpu_time_between_two_times():
    """Interpolated; unknown outside of the readings."""
    readings = [(10**18, 5), (10**18 + 1000, 505), (10**18 + 2000, 505)]
    assert cpu.cpu_s(readings, 10**18 + 500, 10**18 + 1500) == pytest.approx(250e-9)
    assert cpu.cpu_s(readings, 10**18 - 1, 10**18 + 1500) is None
    assert cpu.cpu_s(readings, 10**18, 10**18 + 2001) is None
    assert cpu.cpu_s([], 0, 1) is None


def test_a_reading_grows():
    """Time and CPU time."""
    first, second = cpu.reading(), cpu.reading()
    assert second[0] >= first[0] and second[1] >= first[1]
