"""How late a counter shows the beginning of a load: corrected where it is known, flagged where it may be, and never made up."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.lag import lag_of
from tests.energy.traces import COUNTER, evenly, one, staircase, steady, step


@pytest.mark.parametrize("lag_s", [0.0, 0.03, 0.1, 0.25])
@pytest.mark.parametrize("period_s", [0.001, 0.02, 0.1])
def test_a_lag_shows_at_the_step_and_is_corrected(lag_s, period_s):
    """The edges move back by it, to when it happened."""
    domain = COUNTER.model_copy(update={"update_period_s": period_s})
    sample = staircase(step(30, 150, 1.0), period_s, lag_s=lag_s)
    found = lag_of(sample, domain, 1.0)
    assert found.known
    assert found.seconds == pytest.approx(lag_s, abs=0.002)
    shifted = one(domain, sample, steady(2.2, 3.2), evenly(), lags={domain.name: found})
    plain = one(domain, sample, steady(2.2, 3.2), evenly())
    assert (plain.lag_s, shifted.lag_s) == (None, pytest.approx(lag_s, abs=0.002))
    assert shifted.start_s == pytest.approx(plain.start_s - lag_s, abs=0.002)
    assert shifted.gross_j == plain.gross_j


def test_a_counter_that_smooths_is_suspect():
    """Its first step is not a change of load, so its lag is unknown."""
    smooth = step(30, 150, 1.0)
    kernel = np.linspace(0, 1.0, 50)
    sample = staircase(lambda t: np.mean([smooth(t - k) for k in kernel], axis=0))
    found = lag_of(sample, COUNTER, 1.0)
    assert not found.known
    assert found.suspect


def test_no_lag_is_negative():
    """A load that begins with a small burst seems to be shown before it began: its edges stay where they are."""

    def burst(t):
        return step(30, 150, 1.0)(t) + 18 * np.clip(t - 1.0, 0, 0.02)

    found = lag_of(staircase(burst), COUNTER, 1.0)
    assert found.seconds == 0.0


def test_without_a_step_the_lag_is_unknown():
    """A load that does not follow the child, or barely moves the power."""
    assert lag_of(staircase(lambda t: 100 * t), COUNTER, 1.0) is None
    assert lag_of(staircase(step(100, 110, 1.0)), COUNTER, 1.0) is None
    assert lag_of(staircase(step(30, 150, 1.0), until_s=0.9), COUNTER, 1.0) is None


def test_power_that_rose_before_the_load_began_is_another_load():
    """A counter is never early: its lag is unknown, and its edges stay."""
    assert lag_of(staircase(step(30, 150, 1.02)), COUNTER, 1.06) is None


def uneven(high_w: float, period_s: float, from_s: float):
    """Exact energy of 30 W, and of a square wave above it from some time on."""

    def energy_j(t):
        x = np.maximum(t - from_s, 0)
        return 30 * t + (high_w - 30) * (period_s / 2 * np.floor(x / period_s) + np.minimum(x % period_s, period_s / 2))

    return energy_j


@pytest.mark.parametrize(("period_s", "wave_s"), [(0.001, 0.3), (0.02, 0.13), (0.1, 0.3), (0.25, 0.13)])
def test_under_an_uneven_load_no_lag_is_corrected(period_s, wave_s):
    """A line through its ticks meets the idle line anywhere; however many ticks there are, they do not average that out."""
    domain = COUNTER.model_copy(update={"update_period_s": period_s})
    for shift_s in np.linspace(0, period_s, 7):
        found = lag_of(staircase(uneven(200, wave_s, 1.0 + shift_s), period_s, until_s=8.0), domain, 1.0 + shift_s, 7.0)
        assert found is None or not found.known or found.seconds <= 0.005


@pytest.mark.parametrize("period_s", [0.02, 0.1, 0.25])
def test_a_lag_under_an_uneven_load_is_suspect(period_s):
    """Nothing was shown for a while after the load began, so there is a lag; how long it is is unknown."""
    domain = COUNTER.model_copy(update={"update_period_s": period_s})
    found = lag_of(staircase(uneven(200, 0.3, 1.005), period_s, until_s=8.0, lag_s=period_s), domain, 1.005, 7.0)
    assert found.suspect


def test_a_load_that_runs_on_its_own_is_not_late():
    """A wave of 4 s happens to rise 0.2 s after the child began: it does not go on until the child ends."""
    energy_j = uneven(200, 4.0, -2.8)
    assert lag_of(staircase(energy_j, until_s=8.0), COUNTER, 1.0).known
    assert not lag_of(staircase(energy_j, until_s=8.0), COUNTER, 1.0, 7.0).known
