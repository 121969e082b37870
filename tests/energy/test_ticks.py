"""Ticks of a counter: wraps, resets, brackets, and what the brackets leave uncertain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.energy import ticks as module
from harness.energy.ticks import bracket_s, edge_share, narrow_s, similar_s, ticks, ticks_between_middles, unwrap, widest_last_s, window_for
from tests.energy.traces import sampled, staircase


def test_a_wrap_is_undone_and_a_reset_is_reported():
    """A step back by more than half of the range is a wrap, a smaller one a reset."""
    t_s = np.arange(6.0)
    level, resets = unwrap(sampled(t_s, [60, 80, 100, 20, 40, 60]), wrap_j=100.0)
    assert level.value.tolist() == [60, 80, 100, 120, 140, 160] and len(resets) == 0
    level, resets = unwrap(sampled(t_s, [60, 80, 100, 70, 90, 110]), wrap_j=200.0)
    assert resets.tolist() == [3.0]


def test_the_bracket_of_a_tick_includes_both_reads():
    """From the start of the read before it to the end of the read that shows it, but no longer than two periods."""
    sample = sampled([0.0, 1.0, 2.0], [5.0, 5.0, 7.0], width_s=0.2)
    found = ticks(sample)
    assert (found.t_s.tolist(), found.value_j.tolist(), found.gap_s.tolist()) == ([pytest.approx(1.5)], [7.0], [pytest.approx(1.2)])
    assert ticks(sample, period_s=0.1).gap_s.tolist() == [pytest.approx(0.4)]
    assert ticks_between_middles(sample).gap_s.tolist() == [pytest.approx(1.0)]
    assert bracket_s(0.0, 1.0, 1.2, None) == pytest.approx(1.2)


def test_every_step_is_a_tick():
    """A counter that updates ten times a second has ten ticks a second."""
    assert np.allclose(np.diff(ticks(staircase(lambda t: 100 * t)).t_s), 0.1, atol=0.001)


def test_narrow_and_similar_brackets():
    """Up to 2 ms, all are; above, by the time of a read and by the narrowest."""
    assert narrow_s(0.0) == similar_s([0.0001, 0.5]) == module.CLEAN_GAP_S
    assert narrow_s(0.01) == pytest.approx(0.026)
    assert similar_s([0.04, 0.02]) == pytest.approx(0.025)


@given(st.floats(1e-4, 0.1), st.floats(0.1, 100.0))
def test_a_window_with_the_widest_last_bracket_is_just_long_enough(first_s, window_s):
    """The three functions are of one formula."""
    last_s = widest_last_s(first_s, window_s)
    if last_s:
        assert edge_share(first_s, last_s, window_s) == pytest.approx(module.EDGE_ERROR)
        assert window_for(first_s, last_s) == pytest.approx(window_s)
    else:
        assert edge_share(first_s, 0.0, window_s) >= module.EDGE_ERROR * (1 - 1e-9)
