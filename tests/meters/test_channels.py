"""Channels are added, and a log of changes is held at a steady rate."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from harness.meters.channels import Channel, hold, sum_of


def channel(t_s, watts):
    return Channel(np.array(t_s, dtype=float), np.array(watts, dtype=float), np.arange(len(t_s)), Counter())


def test_a_sum_is_interpolated_at_the_times_of_the_longest_channel():
    """It is missing where a channel has no reading around, and counts that."""
    total = sum_of([channel([0, 1, 2, 3], [1, 1, 1, 1]), channel([0.5, 2.5], [10, 30])])
    assert np.array_equal(total.watts, [np.nan, 16, 26, np.nan], equal_nan=True)
    assert total.discarded == {"a channel has no reading there": 2}


def test_a_sum_of_changes_has_a_row_at_every_change():
    """Each value holds until the next one of its channel."""
    total = sum_of([channel([0, 4], [1, 2]), channel([1, 2], [10, 20])], on_change=True)
    assert total.t_s.tolist() == [0, 1, 2, 4]
    assert np.array_equal(total.watts, [np.nan, 11, 21, 22], equal_nan=True)


def test_a_log_with_its_newest_row_first_is_turned():
    """One that goes up and down is left as it is, to be refused."""
    assert channel([2, 1, 0], [3, 2, 1]).ascending().watts.tolist() == [1, 2, 3]
    assert channel([2, 0, 1], [3, 2, 1]).ascending().watts.tolist() == [3, 2, 1]


def test_a_held_value_steps_at_the_change():
    """Repeated at least once a second, and just before the next row."""
    t_s, watts = hold(np.array([0.0, 10.0, 12.0]), np.array([5.0, 7.0, 7.0]))
    assert np.max(np.diff(t_s)) <= 1.0
    assert np.interp([9.99, 10.0], t_s, watts).tolist() == [5.0, 7.0]
    assert np.trapezoid(watts, t_s) == pytest.approx(5 * 10 + 7 * 2, abs=0.01)
