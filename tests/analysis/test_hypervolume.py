"""The hypervolume against known values and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.analysis.hypervolume import hypervolume

clouds = st.integers(1, 4).flatmap(
    lambda k: arrays(np.float64, st.tuples(st.integers(1, 8), st.just(k)), elements=st.integers(0, 4).map(float))
)


@given(clouds)
def test_on_whole_numbers_it_is_the_number_of_cells(cloud):
    """Every unit cell up to the reference 4 that some point dominates."""
    cells = np.indices((4,) * cloud.shape[1]).reshape(cloud.shape[1], -1).T
    count = (cloud[None] <= cells[:, None]).all(axis=2).any(axis=1).sum()
    assert hypervolume(cloud, np.full(cloud.shape[1], 4.0)) == pytest.approx(count)


def test_the_linear_front_of_two_objectives():
    """N points on x + y = 1 equally spaced with reference (1, 1): (n - 2) / (2 (n - 1)), by the sum of the steps."""
    for n in (2, 5, 101):
        x = np.linspace(0, 1, n)
        assert hypervolume(np.column_stack([x, 1 - x]), np.ones(2)) == pytest.approx((n - 2) / (2 * (n - 1)))


def test_points_not_better_than_the_reference_do_not_count():
    """A point with an unknown value does not count either."""
    assert hypervolume(np.array([[1.0, 0.0], [np.nan, 0.0]]), np.ones(2)) == 0
    assert hypervolume(np.array([[0.5, 0.5], [2.0, 0.0]]), np.ones(2)) == 0.25
