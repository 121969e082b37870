"""When a counter ticks next: predicted from its latest ticks, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.tick_prediction import TickPredictor


def predictor(ticks_s, period_s=0.1, width_s=0.001) -> TickPredictor:
    """A predictor that has these ticks."""
    ticking = TickPredictor(period_s)
    for tick_s in ticks_s:
        ticking.add(tick_s, width_s)
    return ticking


@pytest.mark.parametrize("true_s", [0.0998, 0.1, 0.1007])
@pytest.mark.parametrize("jitter_s", [0.0, 0.0005])
def test_the_next_tick_of_a_regular_counter_is_between_the_predicted_times(true_s, jitter_s):
    """This is also true if the probed period is slightly wrong, ticks were missed, or seconds have passed."""
    rng = np.random.default_rng(0)
    k = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 10])
    ticking = predictor(7.0 + true_s * k + rng.uniform(-jitter_s, jitter_s, len(k)))
    for now_s in np.linspace(8.1, 10.9, 37):
        begin_s, until_s = ticking.next_s(now_s)
        inside = [tick for tick in 7.0 + true_s * np.arange(60) if begin_s <= tick <= until_s]
        assert len(inside) == 1
        assert now_s <= begin_s
        assert until_s - begin_s <= 0.5 * true_s


@pytest.mark.parametrize(
    "ticking",
    [
        predictor(np.arange(3) * 0.1),
        predictor(np.arange(10) * 0.1, period_s=None),
        predictor(np.cumsum(np.random.default_rng(1).uniform(0.05, 0.15, 12))),
        predictor(np.arange(10) * 0.1, width_s=0.04),
        predictor([*np.arange(10) * 0.1, 7.043, 7.143]),
        predictor([*np.arange(10) * 0.1, 1.243, 1.343]),
    ],
    ids=["too few", "no period", "irregular", "wide brackets", "long ago", "another phase"],
)
def test_what_is_not_regular_or_not_known_is_not_predicted(ticking):
    """It is polled for all the time."""
    assert ticking.next_s(3.0) is None


def test_forgotten_ticks_predict_nothing():
    """Until there are new ticks."""
    ticking = predictor(np.arange(10) * 0.1)
    assert ticking.next_s(1.0)
    ticking.forget()
    assert ticking.next_s(1.0) is None
