"""Hours of a battery and missed deadlines, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.mission import hours, missed_share, power_w


def test_power_between_idle_and_full_load():
    """2 W idle, 5 W at 10 a second: half the rate draws half of the way; at full rate all of it."""
    assert power_w(0.5, 10, 10, 2) == pytest.approx(5)
    assert power_w(0.5, 10, 5, 2) == pytest.approx(3.5)
    assert hours(50, 5) == 10


def test_the_share_of_missed_deadlines_is_that_of_the_launches():
    """Two launches with 10 % and 30 %; an entry counts for the queries it stands for; none missed has an upper bound of 3 / n."""
    a = (np.array([1.0, 9.0]), np.array([9, 1]))
    b = (np.array([1.0, 9.0]), np.array([7, 3]))
    share, queries = missed_share([a, b], 5.0)
    assert (share.value, queries) == (pytest.approx(0.2), 20)
    assert (share.low, share.high) == (0, 1)
    assert missed_share([a], 10.0)[0].high == pytest.approx(0.3)
    assert missed_share([], 10.0)[1] == 0
