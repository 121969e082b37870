"""Mean power, update period and missed share of readings of a known load."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.periodic_load import Bursts, Level, at_half, explained_spread, mean_level, sees_all, spread, swing_w, update_period_s
from harness.schema import Sample


def sample(values, step_s=0.001):
    """Readings each `step_s` that take no time."""
    t_s = np.arange(len(values)) * step_s
    return Sample(t_s, t_s, np.asarray(values, float))


BURSTS = Bursts(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5]))


@pytest.mark.parametrize(("start_s", "end_s", "share"), [(1.0, 3.0, 0.5), (1.0, 1.5, 1.0), (1.25, 1.75, 0.5), (4.0, 5.0, 0.0)])
def test_share_of_an_interval_in_which_the_load_is_on(start_s, end_s, share):
    """By the overlap with each burst."""
    assert BURSTS.share(start_s, end_s) == pytest.approx(share)


def test_mean_power_of_a_counter_is_from_tick_to_tick():
    """50 W in steps of 100 ms; the share is that of the same interval."""
    staircase = np.arange(5000) // 100 * 5.0
    level = mean_level(sample(staircase), BURSTS, 1.0, 3.0, counter=True)
    assert level.watts == pytest.approx(50, rel=1e-6) and level.share == pytest.approx(0.9 / 1.9, abs=0.001)


def test_mean_power_of_a_power_reading_is_its_integral():
    """Also where a reading failed."""
    watts = np.full(5000, 80.0)
    watts[2000] = np.nan
    assert mean_level(sample(watts), BURSTS, 1.0, 3.0, counter=False) == Level(0.5, pytest.approx(80))


def test_no_mean_power_without_readings():
    """No reading, one tick, or an interval that is not covered."""
    assert mean_level(None, BURSTS, 1.0, 3.0, counter=True) is None
    assert mean_level(sample(np.zeros(5000)), BURSTS, 1.0, 3.0, counter=True) is None
    assert mean_level(sample(np.zeros(100)), BURSTS, 1.0, 3.0, counter=False) is None


def test_update_period():
    """Median time between changes; None of a constant."""
    assert update_period_s(sample(np.floor(np.arange(3000) / 100))) == pytest.approx(0.1)
    assert update_period_s(sample(np.zeros(3000))) is None and update_period_s(None) is None


def test_the_power_that_the_load_adds():
    """Slope over the share; two equal shares show none."""
    assert swing_w([Level(1.0, 500), Level(0.5, 300)]) == pytest.approx(400)
    assert swing_w([Level(0.5, 300), Level(0.5, 310)]) is None and swing_w([]) is None


def test_equal_loads_have_no_spread_whatever_their_on_time():
    """A difference in the share of time is corrected by the slope."""
    squares = [Level(0.5, 300.0), Level(0.52, 308.0), Level(0.47, 288.0)]
    assert spread(squares, 400.0) == pytest.approx(0, abs=1e-12)
    assert at_half(squares[1], 400.0) == pytest.approx(300)


def test_a_load_whose_calls_were_delayed_explains_a_spread():
    """By the power that they add in half of the time, relative to the mean; calls of unknown rate explain nothing."""
    squares = [Level(0.5, 320.0), Level(0.5, 280.0)]
    assert explained_spread(squares, 400.0, [1100.0, 900.0]) == pytest.approx(200 / 300 * 0.2)
    assert explained_spread(squares, 400.0, []) == explained_spread(squares, None, [1100.0, 900.0]) == 0
    assert Bursts(np.array([1.0, 2.0]), np.array([1.5, 2.5]), np.array([450.0, 550.0])).rate_hz() == pytest.approx(1000)
    assert BURSTS.rate_hz() is None


@pytest.mark.parametrize(
    ("value", "explained", "verdict"), [(0.02, 0.0, True), (0.02, 0.5, True), (0.13, 0.0, False), (0.13, 0.12, None), (None, 0.0, None)]
)
def test_a_spread_that_the_load_explains_is_no_verdict(value, explained, verdict):
    """A small spread is one, whatever the load did."""
    assert sees_all(value, explained) is verdict


def test_a_reading_that_follows_the_phase_has_a_spread():
    """Relative to the mean."""
    assert spread([Level(0.5, 100.0), Level(0.5, 500.0)], 400.0) == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("squares", "slope_w"), [([], 400.0), ([Level(0.5, 300)], 400.0), ([Level(0.5, 300)] * 2, None), ([Level(0.5, 300)] * 2, 20.0)]
)
def test_no_spread_is_known_of_a_load_that_shows_nothing(squares, slope_w):
    """Too few loads, or one that hardly changes the power."""
    assert spread(squares, slope_w) is None
