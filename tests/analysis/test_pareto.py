"""Dominance only where launches separate two cases, and the front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.analysis.estimates import Estimates, PairedObjective
from harness.analysis.pareto import dominated, dominates, front, groups
from harness.analysis.stopping import STOPPED

points = st.integers(1, 3).flatmap(
    lambda k: arrays(np.float64, st.tuples(st.integers(1, 25), st.just(k)), elements=st.integers(0, 6).map(float))
)


def beats(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@given(points)
def test_the_front_is_what_nobody_beats(cloud):
    """Against the definition, pair by pair."""
    assert front(cloud).tolist() == [not any(beats(other, own) for other in cloud) for own in cloud]


def test_a_case_with_an_unknown_objective_is_on_no_front():
    """NaN neither dominates nor stands on the front."""
    assert front(np.array([[np.nan, 0.0], [1.0, 1.0]])).tolist() == [False, True]


def objective(*cases: list[float], margin: float = 0.01) -> Estimates:
    return Estimates.of_launches(cases, margin)


def test_a_clear_winner_dominates():
    """Half the energy at equal latency, 1 % of scatter: shown, and only in one direction."""
    energy = objective([1.0, 1.01, 0.99, 1.0, 1.005], [2.0, 2.02, 1.98, 2.0, 2.01])
    latency = objective([3.0, 3.001, 2.999, 3.0, 3.0], [3.0, 3.001, 2.999, 3.0, 3.0])
    assert dominates([energy, latency]).tolist() == [[False, True], [False, False]]


def test_worse_somewhere_dominates_nothing():
    """Half the energy at twice the latency is a trade, not a win."""
    energy = objective([1.0, 1.01, 0.99], [2.0, 2.02, 1.98])
    latency = objective([2.0, 2.02, 1.98], [1.0, 1.01, 0.99])
    assert not dominates([energy, latency]).any()


def test_within_the_margin_is_as_good():
    """0.5 % more latency than the other, known well, still counts as as good; 2 % does not."""
    energy = objective([1.0, 1.001, 0.999], [2.0, 2.002, 1.998])
    for factor, wins in ((1.005, True), (1.02, False)):
        latency = objective([factor, factor * 1.0001, factor * 0.9999], [1.0, 1.0001, 0.9999])
        assert dominates([energy, latency])[0, 1] == wins


def test_an_error_that_two_cases_share_alike_cancels_between_them():
    """Three cases of which each is 10 % better than the next: a gain of 7 % that moves the third alone separates it no more."""
    energy, time = objective([1.0, 1.001], [1.1, 1.101], [1.21, 1.211]), objective([1.0, 1.001], [1.0, 1.001], [1.0, 1.001])
    assert dominates([energy, time])[0].tolist() == [False, True, True]
    moved = replace(energy, common=np.array([[0.05, 0.0], [0.05, 0.0], [0.01, 0.056]]))
    assert dominates([moved, time])[:2].tolist() == [[False, True, True], [False, False, False]]


@pytest.mark.parametrize("q", [0.975, STOPPED])
def test_two_identical_variants_hardly_ever_get_a_winner(q):
    """Point estimates name a winner half of the time; this rule in at most 5 % of 400 seeded pairs."""
    rng = np.random.default_rng(0)
    won = sum(dominates([Estimates.of_launches(np.exp(rng.normal(0, 0.01, (2, 5))), 0.01) for _ in range(2)], q).any() for _ in range(400))
    assert won <= 20


def test_many_cases_are_compared_in_chunks_alike(monkeypatch):
    """The result does not depend on how many pairs are held in memory at once."""
    rng = np.random.default_rng(1)
    objectives = [Estimates.of_launches(rng.uniform(1, 2, (40, 1)) * rng.normal(1, 0.01, (40, 4)), 0.01) for _ in range(2)]
    whole = dominates(objectives)
    monkeypatch.setattr("harness.analysis.pareto.CHUNK", 100)
    assert (dominates(objectives) == whole).all()
    assert whole.any()


@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(0, 4).map(float)))
def test_the_staircase_is_the_front(cloud):
    """The sweep for many rows against the definition, ties and equals included."""
    from harness.analysis.pareto import _staircase

    ordered = cloud[np.lexsort(cloud.T[::-1])]
    assert _staircase(ordered).tolist() == [not any(beats(other, own) for other in ordered) for own in ordered]


def test_among_many_cases_comparing_with_the_rivals_suffices(monkeypatch):
    """With nearly equal scatter hardly any is missed; none is found that all pairs would not find."""
    rng = np.random.default_rng(3)
    objectives = [Estimates.of_launches(rng.uniform(1, 2, (300, 1)) * rng.normal(1, 0.01, (300, 5)), 0.01) for _ in range(3)]
    objectives.append(PairedObjective(list((rng.random((300, 50)) < rng.uniform(0, 0.5, (300, 1))).astype(float)), 0.05))
    whole = dominated(objectives)
    monkeypatch.setattr("harness.analysis.pareto.ALL_PAIRS", 10)
    few = dominated(objectives)
    assert not (few & ~whole).any()
    assert few.sum() >= 0.98 * whole.sum() > 0


def test_groups_are_what_no_objective_separates():
    """Two alike and one far off: one group of the two."""
    energy = objective([1.0, 1.01, 0.99], [1.001, 1.009, 0.991], [2.0, 2.02, 1.98])
    assert [each.tolist() for each in groups([energy], np.arange(3))] == [[0, 1]]
