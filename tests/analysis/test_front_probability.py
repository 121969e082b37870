"""The probability of being on the front, by bootstrap resamples of the launches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.analysis import front_probability
from harness.analysis.front_probability import p_front
from harness.analysis.pareto import front


def test_chances_of_being_on_the_front():
    """A case far ahead is there always, one far behind never, two alike about half of the time each."""
    rng = np.random.default_rng(2)
    noise = rng.normal(1, 0.01, (4, 6, 1))
    launches = [noise[0], noise[1] * 3, noise[2], np.full((3, 1), np.nan)]
    launches[2] = launches[0][::-1]
    p = p_front(launches, draws=2000)
    assert p[0] + p[2] == pytest.approx(1, abs=0.1)
    assert 0.4 < p[0] < 0.6
    assert p[1] == 0
    assert np.isnan(p[3])


def test_a_shared_offset_can_change_the_order_and_a_common_one_cannot():
    """An offset weighs more on the case of low power; one that moves both alike leaves the order."""
    launches = [np.full((3, 1), 1.0), np.full((3, 1), 1.05)]
    assert p_front(launches).tolist() == [1, 0]
    assert p_front(launches, shared=np.array([[[0.2], [0.2]]])).tolist() == [1, 0]
    assert 0.5 < p_front(launches, shared=np.array([[[0.2], [0.1]]]))[0] < 0.9


def test_cases_may_have_unequal_numbers_of_launches():
    """Padding never enters a mean: a case of 30 launches does not pull one of 2 towards 0."""
    assert p_front([np.full((2, 1), 2.0), np.full((30, 1), 1.0)]).tolist() == [0, 1]


def test_a_quality_on_the_same_samples_is_drawn_on_the_same_samples():
    """Worse on three samples of 100 and better on none, the case is on the front only where none of the three is drawn; apart, they would take turns."""
    losses = [np.zeros(100), np.zeros(100)]
    losses[0][:30] = losses[1][:33] = 1
    launches = [np.array([[1.0, each.mean()]] * 3) for each in losses]
    p = p_front(launches, paired=(1, losses))
    assert p[0] == 1
    assert p[1] == pytest.approx(0.97**100, abs=0.03)


def test_who_cannot_be_on_a_front_need_not_be_drawn():
    """Six standard uncertainties behind on everything: 0, and the others' chances are what they are without it."""
    rng = np.random.default_rng(4)
    near = [np.column_stack([rng.normal(1, 0.01, 5), rng.normal(1, 0.01, 5)]) for _ in range(4)]
    with_far = p_front([*near, *(each + 5 for each in near)])
    assert with_far[:4] == pytest.approx(p_front(near), abs=0.06)
    assert (with_far[4:] == 0).all()


def test_two_that_lose_as_many_of_the_samples_drawn_are_alike():
    """Rounding of their sums does not separate them: with more energy, and other samples lost, a case is on the front only where it lost fewer of those drawn."""
    losses, order = np.zeros((2, 90)), np.random.default_rng(0).permutation(90)
    losses[0, order[:30]] = losses[1, order[30:60]] = 1
    launches = [np.array([[joules, 1 / 3]] * 3) for joules in (1.0, 2.0)]
    p = p_front(launches, draws=10_000, paired=(1, list(losses)))
    drawn = np.random.default_rng(1).multinomial(90, [1 / 3] * 3, 200_000)
    assert p == pytest.approx([1, (drawn[:, 1] < drawn[:, 0]).mean()], abs=0.01)


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 4)), elements=st.integers(0, 4).map(float)))
def test_fronts_of_many_small_sets_are_what_each_has_alone(sets):
    """Ties and equals included."""
    assert (front_probability._by_pairs(sets) == [front(each) for each in sets]).all()


@pytest.mark.parametrize(("limit", "value"), [("AT_ONCE", 1), ("FEW", 1)])
def test_the_chances_do_not_depend_on_how_many_draws_are_compared_at_once(monkeypatch, limit, value):
    """They do not depend on the algorithm for the front of a draw either."""
    rng = np.random.default_rng(6)
    losses = list((rng.random((8, 50)) < 0.2).astype(float))
    launches = [np.column_stack([rng.normal(1, 0.1, 4), np.full(4, each.mean())]) for each in losses]
    whole = p_front(launches, np.full((1, 8, 2), 0.05), draws=50, paired=(1, losses))
    monkeypatch.setattr(front_probability, limit, value)
    assert p_front(launches, np.full((1, 8, 2), 0.05), draws=50, paired=(1, losses)).tolist() == whole.tolist()
