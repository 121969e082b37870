"""Completions of queries over time, with and without pauses."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.completions import CompletionCurve

S = 1_000_000_000


def test_nothing_is_completed_in_a_pause():
    """Two queries of 1 s with a pause of 1 s between them: half of the second is done at 2.5 s, none of it at 2 s."""
    start_ns, end_ns = [0, 2_000_000_000], [1_000_000_000, 3_000_000_000]
    progress = CompletionCurve.of(start_ns, end_ns, [1, 1], batch_size=4, shifted=True)
    assert [progress.between(0.0, t) for t in (0.5, 1.0, 2.0, 2.5, 3.0)] == [2, 4, 4, 6, 8]


def test_without_pauses_a_query_begins_where_the_last_one_ended():
    """Gaps of a load that is not shifted are interpolated; beyond the queries nothing is known."""
    progress = CompletionCurve.of([0, 2 * S], [1 * S, 3 * S], [1, 1], batch_size=4)
    assert [progress.between(0.0, t) for t in (1.0, 2.0, 3.0)] == [4, 6, 8]
    assert progress.between(-0.1, 1.0) is None and progress.between(0.0, 3.1) is None
    assert progress.waited_s(0.0, 3.0) == 0.0
    assert CompletionCurve.of([], [], [], batch_size=1).between(0.0, 1.0) is None


def test_pauses_are_counted_inside_the_interval_alone():
    """Of a pause from 1 s to 2 s; a gap of less than half a millisecond is none."""
    progress = CompletionCurve.of([0, 2 * S, 3 * S + 100_000], [1 * S, 3 * S, 4 * S], [1, 1, 1], batch_size=1, shifted=True)
    assert [progress.waited_s(0.0, t) for t in (1.0, 1.25, 4.0)] == pytest.approx([0.0, 0.25, 1.0])


def test_distance_to_the_nearest_completion():
    """Before or after it."""
    progress = CompletionCurve(np.array([0.0, 1.0, 3.0]), np.arange(3.0), np.zeros((0, 2)))
    assert progress.distance_s(np.array([0.9, 1.2, 2.5])).tolist() == pytest.approx([0.1, 0.2, 0.5])


@pytest.mark.parametrize("shifted", [True, False])
def test_queries_in_flight_are_counted_when_complete(shifted):
    """Two in flight, of which one ends each second: whatever was queued, one is completed in a second."""
    start_ns, end_ns = [0, 0, 1 * S, 2 * S], [1 * S, 2 * S, 3 * S, 4 * S]
    progress = CompletionCurve.of(start_ns, end_ns, [1] * 4, batch_size=8, shifted=shifted)
    assert [progress.between(0.0, t) for t in (0.5, 1.0, 1.5, 4.0)] == [4, 8, 12, 32]
    assert progress.between(1.25, 2.25) == 8
    assert progress.waited_s(0.0, 4.0) == 0.0


def test_queries_that_complete_together_share_the_time_before():
    """A group of four in 2 s is half done after 1 s, not a quarter of its first query."""
    progress = CompletionCurve.of([0] * 4 + [2 * S] * 4, [2 * S] * 4 + [4 * S] * 4, [1] * 8, batch_size=1)
    assert [progress.between(0.0, t) for t in (1.0, 2.0, 3.0, 4.0)] == [2, 4, 6, 8]


def test_a_pause_lasts_from_the_last_completion_to_the_next_submission():
    """Of a shifted load with two in flight: the queue is empty from 2 s to 3 s."""
    start_ns, end_ns = [0, 0, 3 * S, 3 * S], [1 * S, 2 * S, 4 * S, 5 * S]
    progress = CompletionCurve.of(start_ns, end_ns, [1] * 4, batch_size=1, shifted=True)
    assert [progress.between(0.0, t) for t in (2.0, 3.0, 3.5)] == [2, 2, 2.5]
    assert progress.waited_s(0.0, 5.0) == 1.0
