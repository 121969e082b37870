"""How queries arrive, and what is kept of them."""

from __future__ import annotations

import itertools
import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worker.scenario import GOLDEN, SCENARIOS, Completions, queued, scenario_of, shifted, wait_s


class Counting:
    """A session that counts, and asks to stop after so many queries."""

    def __init__(self, enough: int) -> None:
        self.enough, self.seen, self.synchronized = enough, [], 0

    def run(self, inputs):
        """Remember the query."""
        self.seen.append(inputs)

    def synchronize(self):
        """Count it."""
        self.synchronized += 1

    def stop(self) -> bool:
        """Whether it has seen enough."""
        return len(self.seen) >= self.enough


@pytest.mark.parametrize("name", SCENARIOS)
def test_queries_are_taken_in_turn_and_each_is_accounted_for(name):
    """Completions are in order, none is lost, none overlaps the next."""
    session, completions = Counting(1000), Completions()
    SCENARIOS[name](session, itertools.cycle("abc"), session.stop, completions)
    assert session.seen[:6] == list("abcabc")
    assert sum(completions.count) == len(session.seen)
    start, end = np.array(completions.start_ns), np.array(completions.end_ns)
    assert (end >= start).all()
    assert (start[1:] >= end[:-1]).all()


def test_a_single_stream_times_each_query():
    """One entry a query."""
    session, completions = Counting(50), Completions()
    SCENARIOS["single_stream"](session, itertools.cycle("a"), session.stop, completions)
    assert list(completions.count) == [1] * 50


def test_offline_reads_the_clock_once_a_chunk():
    """The chunks grow while they stay short; each query is complete before the next."""
    session, completions = Counting(1000), Completions()
    SCENARIOS["offline"](session, itertools.cycle("a"), session.stop, completions)
    assert len(completions.count) < len(session.seen) == session.synchronized


@given(st.floats(0, 1e6), st.floats(0.005, 2.0), st.integers(0, 10_000))
def test_a_group_begins_at_its_own_phase(now_s, period_s, group):
    """After a wait of less than one period."""
    wait = wait_s(now_s, period_s, group)
    assert 0 <= wait <= period_s
    phase = ((now_s + wait) / period_s) % 1
    expected = math.fmod(GOLDEN * group, 1.0)
    assert min(abs(phase - expected), 1 - abs(phase - expected)) < 1e-6 + 1e-9 * now_s / period_s


@given(st.integers(0, 10_000), st.integers(8, 200))
def test_the_phases_are_spread_evenly(first, groups):
    """For any first number, no gap is much larger than that of an even spread."""
    phases = np.sort([math.fmod(GOLDEN * j, 1.0) for j in range(first, first + groups)])
    gaps = np.diff(np.concatenate([phases, phases[:1] + 1]))
    assert gaps.max() < 3 / groups


def test_a_shifted_load_stops_between_groups():
    """Groups of a quarter of a second; the stop condition ends the last one."""
    session, completions = Counting(10**9), Completions()
    ends = iter([False] * 100 + [True] * 10**6)
    shifted(SCENARIOS["single_stream"], 0.02, 3)(session, itertools.cycle("a"), lambda: next(ends), completions)
    assert 1 <= len(completions.count) <= 102


class Answer:
    """An output that a weak reference may point to."""


class Device:
    """A session whose device completes the oldest query only when it is waited for, or at once.

    Args:
        enough: Number of queries after which to stop.
        quick: Whether an answer is complete when `run` returns, as on a device that is faster than its host.
        events: Whether an answer can be awaited alone.
    """

    def __init__(self, enough: int, *, quick: bool = False, events: bool = True) -> None:
        self.enough, self.quick, self.events = enough, quick, events
        self.sent = self.complete = self.waits = self.most = self.alive = 0
        self.answers: list[weakref.ref[Answer]] = []

    def run(self, inputs):
        """Queue the query; the number in flight and of answers held is noted."""
        self.sent += 1
        self.complete = self.sent if self.quick else self.complete
        self.most = max(self.most, self.sent - self.complete)
        answer = Answer()
        self.answers.append(weakref.ref(answer))
        self.alive = max(self.alive, sum(each() is not None for each in self.answers))
        return answer

    def synchronize(self):
        """Complete everything."""
        self.complete, self.waits = self.sent, self.waits + 1

    def event(self, outputs):
        """An event of the query that was sent last."""
        return DeviceEvent(self, self.sent) if self.events else None

    def fetch(self, outputs):
        """A complete answer."""
        assert self.answers.index(weakref.ref(outputs)) < self.complete

    def stop(self) -> bool:
        """Whether it has seen enough."""
        return self.sent >= self.enough


class DeviceEvent:
    """Completion of one query of a device."""

    def __init__(self, device: Device, number: int) -> None:
        self.device, self.number = device, number

    def query(self) -> bool:
        """Whether it is complete."""
        return self.device.complete >= self.number

    def synchronize(self) -> None:
        """Complete it, and those before it."""
        self.device.complete, self.device.waits = max(self.device.complete, self.number), self.device.waits + 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_query_ends_after_its_answer_is_complete(name, monkeypatch):
    """The clock is read after `synchronize`, and no query is sent before: never more than one is in flight."""
    device, complete_at = Device(50, events=False), []

    def clock() -> int:
        complete_at.append(device.complete == device.sent)
        return len(complete_at)

    monkeypatch.setattr("time.monotonic_ns", clock)
    SCENARIOS[name](device, itertools.cycle("a"), device.stop, Completions())
    assert all(complete_at) and device.most == 1 and device.waits == device.sent


@pytest.mark.parametrize("events", [True, False], ids=["events", "no events"])
@pytest.mark.parametrize("in_flight", [2, 4, 7])
def test_up_to_a_number_of_queries_are_in_flight(in_flight, events):
    """Never more; each is accounted for, after its answer is complete; answers are dropped with their queries."""
    device, completions = Device(100, events=events), Completions()
    scenario_of("offline", in_flight)(device, itertools.cycle("a"), device.stop, completions)
    assert device.most == device.alive == in_flight
    assert sum(completions.count) == len(completions.count) == device.sent == device.complete
    start, end = np.array(completions.start_ns), np.array(completions.end_ns)
    assert (np.diff(start) >= 0).all() and (np.diff(end) >= 0).all() and (end > start).all()
    overlaps = [int(((start <= t) & (end > t)).sum()) for t in start]
    assert max(overlaps) == in_flight


def test_without_events_queries_are_sent_in_groups():
    """A wait for all of a group, whose answers have one time: it is not known which was complete before."""
    device, completions = Device(12, events=False), Completions()
    queued(4)(device, itertools.cycle("a"), device.stop, completions)
    assert device.waits == len(set(completions.end_ns)) == 3


def test_an_answer_that_is_complete_is_taken_without_a_wait():
    """A device faster than its host never has a full queue: a latency is not the time to fill it, and the load stops."""
    device, completions = Device(20, quick=True), Completions()
    queued(8)(device, itertools.cycle("a"), device.stop, completions)
    assert device.waits == 0 and device.sent == 20
    start, end = np.array(completions.start_ns), np.array(completions.end_ns)
    assert (start[1:] >= end[:-1]).all()


def test_a_stop_at_once_completes_one_query():
    """As at the start of the measured load, before any window."""
    device, completions = Device(0), Completions()
    queued(4)(device, itertools.cycle("a"), device.stop, completions)
    assert list(completions.count) == [1] and device.complete == 1


def test_a_group_of_a_shifted_load_ends_with_an_empty_queue(monkeypatch):
    """Nothing is in flight in the pause between two groups."""
    device, in_pause = Device(40), []
    ends = itertools.cycle([False, False, True])
    monkeypatch.setattr("time.sleep", lambda _: in_pause.append(device.sent - device.complete))
    monkeypatch.setattr("harness.worker.scenario._group_over", lambda until_s, stop: next(ends))
    shifted(queued(4), 0.02, 0)(device, itertools.cycle("a"), device.stop, Completions())
    assert len(in_pause) > 5 and set(in_pause) == {0}
