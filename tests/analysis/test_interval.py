"""Intervals against SciPy, and the properties they owe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.interval import (
    FIXED,
    STOPPED,
    absolute_interval,
    mean_interval,
    moments,
    percentile,
    positive_interval,
    t_quantile,
    welch,
    wilson,
)

launches = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=30)


def test_mean_interval_is_students():
    """The t interval of SciPy at 95 %."""
    values = [1.0, 1.1, 0.9, 1.3, 1.0]
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert mean_interval(values)[1:] == pytest.approx(expected)


@given(launches)
def test_the_moments_are_those_of_numpy(values):
    """To the last bit, so that a figure does not depend on which of the two computed it."""
    assert moments(values) == (np.mean(values), np.var(values, ddof=1))


@given(launches)
def test_a_wide_interval_of_what_is_positive_stays_positive(values):
    """Student's while it is narrow; in log form above 50 %, with the same U / e."""
    plain, found = mean_interval(values), positive_interval(values)
    if plain.half_width <= 0.5:
        assert found == plain
    else:
        assert 0 <= found.low < found.value < found.high
        assert np.log(found.high / found.value) == pytest.approx(plain.half_width)


def test_a_single_launch_has_no_interval():
    """The spread of one value is unknown: the bounds are NaN, not the value itself."""
    for interval in (mean_interval([3.0]), absolute_interval([3.0], 0.05)):
        assert interval.value == 3.0
        assert np.isnan([interval.low, interval.high]).all()


@given(launches, st.floats(0, 0.2))
def test_the_absolute_interval_is_positive_and_holds_the_estimate(values, gain):
    """In log form no bound is negative, however wide it is."""
    interval = absolute_interval(values, gain)
    assert 0 <= interval.low <= interval.value * (1 + 1e-12)
    assert interval.high >= interval.value * (1 - 1e-12)


def test_the_absolute_interval_of_equal_launches_is_the_gain_alone():
    """Without scatter u_c is the gain, known with infinitely many degrees of freedom: exp(1.96 g)."""
    interval = absolute_interval([2.0, 2.0, 2.0], 0.05)
    assert interval == absolute_interval([2.0, 2.0, 2.0], 0.05, STOPPED), "a stopping rule does not look at the gain"
    assert interval.high / interval.value == pytest.approx(np.exp(stats.norm.ppf(0.975) * 0.05))


@given(launches, st.sampled_from([FIXED, STOPPED]))
def test_a_gain_of_0_leaves_the_scatter(values, q):
    """With g = 0 the absolute half-width in logarithms is that of the repeatability interval, after a stopping rule too."""
    repeat, absolute = mean_interval(values, q), absolute_interval(values, 0.0, q)
    if repeat.half_width < 5:
        assert np.log(absolute.high / absolute.value) == pytest.approx(repeat.half_width, rel=1e-6, abs=1e-9)


def test_wilson_and_percentiles():
    """Wilson's interval holds the proportion; a percentile that n cannot bound is null."""
    interval = wilson(350, 360)
    assert interval.low < 350 / 360 < interval.high < 1
    assert percentile(np.arange(35.0), 90) is None
    assert percentile(np.arange(36.0), 90) is not None


def test_welch_is_scipys():
    """Statistic and degrees of freedom; a shared uncertainty adds in quadrature and has infinitely many."""
    a, b = [1.0, 1.2, 0.9, 1.1], [2.0, 2.5, 1.8]
    parts = [(np.var(each, ddof=1) / len(each), len(each) - 1) for each in (a, b)]
    u, nu = welch(parts)
    test = stats.ttest_ind(a, b, equal_var=False)
    assert (u, nu) == pytest.approx(((np.mean(a) - np.mean(b)) / test.statistic, test.df))
    assert welch(parts, 1.0)[0] == pytest.approx(np.hypot(u, 1.0)) and welch(parts, 1.0)[1] > nu
    assert welch([(0.0, 2), (0.0, 2)]) == (0.0, np.inf)
    assert t_quantile(np.inf, 0.975) == pytest.approx(1.959964)
