"""Paired comparison of quality: intervals that are known, tests that they invert, error rates that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from harness.analysis import paired
from harness.analysis.interval import Interval
from harness.analysis.paired import as_good_and_better, bootstrap, paired_difference, samples_needed, tango, tango_score, verdict

NAN = float("nan")


def test_the_score_interval_is_the_published_one(monkeypatch):
    """12 gained and 2 lost of 50: 0.061 to 0.345 at two-sided 95 % (Newcombe 1998, Statistics in Medicine 17, 2635-2650)."""
    monkeypatch.setattr(paired, "ALPHA", 0.025)
    found = tango(12, 2, 50)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0611, 0.3447), abs=1e-4)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_the_bounds_invert_the_test_and_turn_with_the_sides(gained, lost, others):
    """At a bound the score is z; exchanging the cases exchanges the bounds; also where the two never differ, or always do."""
    n = gained + lost + others
    if not n:
        return
    found = tango(gained, lost, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    for bound, z in ((found.low, 1.6449), (found.high, -1.6449)):
        if abs(bound) < 1:
            assert tango_score(gained, lost, n, bound) == pytest.approx(z, abs=1e-3)
    turned = tango(lost, gained, n)
    assert (-turned.high, -turned.low) == pytest.approx((found.low, found.high), abs=1e-6)


def test_at_no_difference_the_score_is_mcnemars():
    """(b - c) / sqrt(b + c); nothing speaks against equality where no sample differs."""
    assert tango_score(12, 2, 50, 0.0) == pytest.approx(10 / np.sqrt(14))
    assert tango_score(0, 0, 50, 0.0) == 0


def test_a_case_at_the_margin_is_rarely_called_non_inferior():
    """Of 4,000 draws of 1,000 samples that are truly worse by the margin, 5 % pass; of equals with psi 2 %, 80 % pass at the number of samples given."""
    rng, n, margin = np.random.default_rng(3), 1000, 0.02
    cells = rng.multinomial(n, [0.01, 0.03, 0.96], 4000)
    assert np.mean(tango_score(cells[:, 0], cells[:, 1], n, -margin) > norm.isf(0.05)) == pytest.approx(0.05, abs=0.015)
    half = np.repeat([1.0, -1.0, 0.0], [1, 1, 98])
    needed = samples_needed(half, 0.01)
    assert needed == pytest.approx(1240, abs=5)
    cells = rng.multinomial(needed, [0.01, 0.01, 0.98], 4000)
    assert np.mean(tango_score(cells[:, 0], cells[:, 1], needed, -0.01) > norm.isf(0.05)) == pytest.approx(0.80, abs=0.05)


def test_equals_need_enough_samples_too():
    """No sample differs, and yet 200 do not suffice at 1 %: 268 do, which is what is given."""
    zeros = np.zeros(200)
    assert verdict(paired_difference(zeros, zeros), 0.01, "higher") == "inconclusive"
    needed = samples_needed(zeros, 0.01)
    assert needed == 268
    assert verdict(tango(0, 0, needed), 0.01, "higher") == "non_inferior"
    assert samples_needed(zeros, 0.0) is None


def test_a_mean_of_numbers_is_bootstrapped():
    """Bounds as Student's t has them for a normal sample; the same each time; one sample has none, equal differences no width."""
    differences = np.random.default_rng(4).normal(0.5, 2.0, 400)
    found = paired_difference(differences, np.zeros(400))
    half = 1.649 * float(np.std(differences, ddof=1)) / 20
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.02)
    assert bootstrap(differences) == bootstrap(differences) == found
    assert np.isnan(paired_difference(np.array([0.3]), np.array([0.1])).low)
    assert paired_difference(np.array([0.5, 0.7]), np.array([0.25, 0.45])) == pytest.approx((0.25, 0.25, 0.25))
    assert np.isnan(paired_difference(np.array([NAN, 0.1]), np.zeros(2)).value)
    assert np.isnan(paired_difference(np.zeros(0), np.zeros(0)).value)


@pytest.mark.parametrize(
    ("low", "high", "direction", "expected"),
    [
        (-0.005, 0.02, "higher", "non_inferior"),
        (-0.02, 0.005, "higher", "inconclusive"),
        (-0.04, -0.02, "higher", "inferior"),
        (-0.04, -0.02, "lower", "non_inferior"),
        (-0.02, 0.005, "lower", "non_inferior"),
        (-0.005, 0.02, "lower", "inconclusive"),
        (0.02, 0.04, "lower", "inferior"),
        (NAN, NAN, "higher", None),
    ],
)
def test_the_verdict_reads_the_bound_on_the_bad_side(low, high, direction, expected):
    """The verdict uses the lower bound if higher is better, and the upper one otherwise."""
    assert verdict(Interval((low + high) / 2, low, high), 0.01, direction) == expected


@pytest.mark.parametrize("kind", ["right and wrong", "numbers"])
def test_the_tests_of_many_agree_with_the_intervals_of_two(kind):
    """As good where the bound is above the margin; better where the test at no difference is significant."""
    rng = np.random.default_rng(5)
    shares = (0.02, 0.02, 0.05, 0.3)
    losses = [(rng.random(800) < p).astype(float) if kind == "right and wrong" else rng.normal(p, 0.1, 800) for p in shares]
    as_good, better = as_good_and_better(losses, losses, 0.02, 0.025)
    for a in range(4):
        for b in range(4):
            if a != b:
                found = paired_difference(losses[a], losses[b])
                assert as_good[a, b] == (verdict(found, 0.02, "lower") == "non_inferior"), (a, b)
                assert not (better[a, b] and found.value >= 0)
    assert better[0, 3] and not better[3, 0] and not better.diagonal().any()
    assert as_good[0, 1] and not as_good[3, 0]
