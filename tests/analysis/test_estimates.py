"""Estimates of one objective, and the tests between pairs of cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.analysis.estimates import Estimates, PairedObjective, padded
from harness.analysis.pareto import dominates

EACH = np.arange(2)


def objective(*cases: list[float], margin: float = 0.01) -> Estimates:
    return Estimates.of_launches(cases, margin)


def test_launches_are_compared_by_ratio():
    """Mean and standard error of the logarithms, with a relative margin."""
    values = [1.0, 1.1, 0.9]
    found = objective(values, [2.0, 2.0, 2.0], [])
    assert found.mean[0] == pytest.approx(np.mean(np.log(values))) and np.isnan(found.mean[2])
    assert found.u[0] == pytest.approx(stats.sem(np.log(values)))
    assert (found.mean[1], found.u[1]) == (np.log(2.0), 0.0)
    assert found.margin == pytest.approx(np.log(1.01))


def test_better_is_welchs_test():
    """One-sided, at the alpha given; degrees of freedom are rounded down to whole ones."""
    a, b = [1.0, 1.02, 0.98, 1.01], [1.03, 1.06, 1.04, 1.05]
    p = stats.ttest_ind(np.log(a), np.log(b), equal_var=False, alternative="less").pvalue
    estimates = objective(a, b)
    assert estimates.compare(EACH, EACH, 1.5 * p)[1].tolist() == [[False, True], [False, False]]
    assert not estimates.compare(EACH, EACH, 0.8 * p)[1].any()


def test_a_single_launch_separates_no_case():
    """Its scatter is unknown, so it is neither better nor worse than another case."""
    assert not dominates([objective([1.0], [2.0, 2.0, 2.0])]).any()


def test_a_paired_objective_is_compared_by_sample():
    """Errors that two cases share cancel; each mean has a standard error of its own."""
    rng = np.random.default_rng(0)
    loss = rng.normal(0, 1, 200)
    found = PairedObjective([loss, loss + 0.1 + 0.01 * rng.normal(size=200)], 0.01)
    assert found.mean.tolist() == pytest.approx([np.mean(each) for each in found.losses])
    assert found.u[0] == pytest.approx(stats.sem(loss))
    as_good, better = found.compare(EACH, EACH, 0.01)
    assert (as_good.tolist(), better.tolist()) == ([[True, True], [False, True]], [[False, True], [False, False]])


def test_padding_keeps_the_number_of_launches():
    """0 where a case has fewer; no case at all is an empty array."""
    array, count = padded([np.ones((2, 1)), np.full((3, 1), 2.0)])
    assert (array[:, :, 0].tolist(), count.tolist()) == ([[1, 1, 0], [2, 2, 2]], [2, 3])
    assert len(padded([])[0]) == 0
