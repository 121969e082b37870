"""When a counter ticks next: predicted from its latest ticks, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.tick_prediction import TickPredictor


def heard(ticks_s, period_s=0.1, width_s=0.001) -> TickPredictor:
    """A rhythm that has these ticks."""
    rhythm = TickPredictor(period_s)
    for tick_s in ticks_s:
        rhythm.add(tick_s, width_s)
    return rhythm


@pytest.mark.parametrize("true_s", [0.0998, 0.1, 0.1007])
@pytest.mark.parametrize("jitter_s", [0.0, 0.0005])
def test_the_next_tick_of_a_regular_counter_lies_between_the_times_given(true_s, jitter_s):
    """Also where the probed period is a little off, some ticks were not seen, and seconds have passed."""
    rng = np.random.default_rng(0)
    k = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 10])
    rhythm = heard(7.0 + true_s * k + rng.uniform(-jitter_s, jitter_s, len(k)))
    for now_s in np.linspace(8.1, 10.9, 37):
        begin_s, until_s = rhythm.next_s(now_s)
        inside = [tick for tick in 7.0 + true_s * np.arange(60) if begin_s <= tick <= until_s]
        assert len(inside) == 1
        assert now_s <= begin_s
        assert until_s - begin_s <= 0.5 * true_s


@pytest.mark.parametrize(
    "rhythm",
    [
        heard(np.arange(3) * 0.1),
        heard(np.arange(10) * 0.1, period_s=None),
        heard(np.cumsum(np.random.default_rng(1).uniform(0.05, 0.15, 12))),
        heard(np.arange(10) * 0.1, width_s=0.04),
        heard([*np.arange(10) * 0.1, 7.043, 7.143]),
        heard([*np.arange(10) * 0.1, 1.243, 1.343]),
    ],
    ids=["too few", "no period", "irregular", "wide brackets", "long ago", "another phase"],
)
def test_what_is_not_regular_or_not_known_is_not_predicted(rhythm):
    """It is polled for all the time."""
    assert rhythm.next_s(3.0) is None


def test_a_rhythm_that_was_lost_is_forgotten():
    """Until there are new ticks."""
    rhythm = heard(np.arange(10) * 0.1)
    assert rhythm.next_s(1.0)
    rhythm.forget()
    assert rhythm.next_s(1.0) is None
