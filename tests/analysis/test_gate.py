"""The test of the gate: its level, its power, and what it does where there is little to go by."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.gate import changes, moderated


def test_a_single_case_is_students_t_of_the_logarithms():
    """With nothing to borrow from, the p is SciPy's."""
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(0, 0.02, 5)), np.exp(rng.normal(0.01, 0.02, 7))
    assert changes([a], [b])[0].p == pytest.approx(ttest_ind(np.log(b), np.log(a), alternative="greater").pvalue)


def test_cases_that_scatter_alike_share_one_variance():
    """With equal variances the degrees of freedom are those of all; with very different ones each keeps about its own."""
    alike, nu = moderated(np.array([4.0, 4.0, 4.0, 4.0]), np.full(4, 4.0))
    assert alike == pytest.approx(np.ones(4))
    assert nu == pytest.approx(np.full(4, 16.0))
    own, _ = moderated(np.array([4e-6, 4.0, 4e6]), np.full(3, 4.0))
    assert own[2] / own[0] > 1e9


def test_a_single_launch_and_equal_launches():
    """Unknown spread: NaN; no spread at all: any difference is a change."""
    assert np.isnan(changes([np.array([1.0])], [np.array([2.0])])[0].p)
    assert changes([np.ones(3)], [np.ones(3)])[0].p == 1.0
    assert changes([np.ones(3)], [np.full(3, 1.1)])[0].p == 0.0


def test_the_least_change_is_the_one_whose_p_is_alpha():
    """Before scaled by it, now has exactly that p; of equal launches nothing is hidden."""
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(0, 0.02, 5)), np.exp(rng.normal(0, 0.02, 5))
    (change,) = changes([a], [b])
    (shifted,) = changes([a], [b * change.least(0.01) / change.ratio])
    assert shifted.p == pytest.approx(0.01)
    assert changes([np.ones(3)], [np.ones(3)])[0].least(0.01) == 1.0
    wild = np.array([1e-9, 1e9])
    assert np.isfinite(changes([wild], [wild])[0].least(1e-4))
