"""The log-Welch ratio against SciPy, and what gain and offset do to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.ratio import log_welch, offset_term

launches = st.lists(st.floats(0.5, 2.0), min_size=2, max_size=12)


def test_it_is_welchs_interval_of_the_logarithms():
    """SciPy's `ttest_ind(equal_var=False)` on the logarithms gives the same bounds."""
    a, b = [1.0, 1.2, 0.9, 1.1], [2.0, 2.1, 1.8]
    expected = stats.ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval(0.95)
    ratio = log_welch(a, b)
    assert (ratio.low, ratio.high) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))


@given(launches, launches, st.floats(0.5, 2.0))
def test_the_gain_cancels(a, b, gain):
    """A sensor whose readings are all wrong by the same factor gives the same ratio."""
    plain, scaled = log_welch(a, b), log_welch([gain * v for v in a], [gain * v for v in b])
    assert scaled == pytest.approx(plain, rel=1e-6)


@given(launches, launches)
def test_exchanging_the_two_inverts_the_ratio(a, b):
    """The second over the first is one over the ratio, bounds exchanged."""
    there, back = log_welch(a, b), log_welch(b, a)
    assert (1 / back.value, 1 / back.high, 1 / back.low) == pytest.approx(there, rel=1e-6)


def test_the_offset_widens_the_interval():
    """Between different powers an offset does not cancel; between equal ones it does."""
    a, b = [1.0, 1.01, 0.99], [2.0, 2.02, 1.98]
    offset = offset_term(13.0, 100.0, 300.0)
    assert offset == pytest.approx(13 * (1 / 100 - 1 / 300))
    assert offset_term(13.0, 200.0, 200.0) == 0
    assert log_welch(a, b, offset=offset).high > log_welch(a, b).high


def test_too_few_launches_have_no_bounds():
    """One launch on a side: the ratio without an interval; none: no ratio."""
    assert np.isnan(log_welch([1.0], [2.0, 2.0]).low)
    assert np.isnan(log_welch([], [2.0, 2.0]).value)


def test_equal_launches_have_no_width():
    """Without any scatter the bounds are the ratio, not NaN."""
    assert log_welch([1.0, 1.0], [2.0, 2.0]) == pytest.approx((0.5, 0.5, 0.5))
