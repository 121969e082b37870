"""How queries arrive, and what is kept of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worker.scenario import GOLDEN, SCENARIOS, Completions, shifted, wait_s


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
