"""Readings and windows."""

from __future__ import annotations

import numpy as np

from harness.schema.measured import Domain, Phase, Sample, Trace, WindowTimes

SAMPLE = Sample(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.2, 1.2, 2.2, 3.2]), np.array([5.0, np.nan, 7.0, 8.0]))


def test_a_read_is_at_its_middle():
    """Its start and end are kept."""
    assert SAMPLE.t_s.tolist() == [0.1, 1.1, 2.1, 3.1]


def test_failed_reads_are_left_out():
    """With their times."""
    assert SAMPLE.finite().t_s.tolist() == [0.1, 2.1, 3.1]


def test_reads_between_two_times_include_both():
    """By their middles; a failed read is one too."""
    assert SAMPLE.between(1.1, 2.1).start_s.tolist() == [1.0, 2.0]


def test_readings_of_a_trace():
    """Successful ones in an interval, of any time by default; none of a domain that was not sampled."""
    trace = Trace({"a": Domain(name="a", sensor="s", quantity="load", unit="1")}, {"a": SAMPLE})
    assert trace.readings("a").tolist() == [5.0, 7.0, 8.0]
    assert trace.readings("a", 1.0, 2.5).tolist() == [7.0]
    assert trace.readings("b").tolist() == []


def test_a_loose_window_has_no_edges():
    """It opens as it begins, and closes as it ends."""
    window = WindowTimes.loose("load", 1.0, 2.0)
    assert (window.begin_s, window.open_s, window.end_s, window.close_s, window.edges) == (1.0, 1.0, 2.0, 2.0, False)
    assert Phase(name="load", start_s=1.0, end_s=2.5).duration_s == 1.5
