"""Standard uncertainties of a mean energy, term by term."""

from __future__ import annotations

import math

import pytest

from harness.analysis import uncertainty
from harness.analysis.uncertainty import Terms
from harness.schema import Domain
from tests.factories import measurement

COUNTER = Domain(name="package", sensor="s", quantity="energy", unit="J", kind="counter", gain=0.05)


def test_scatter_is_that_of_the_mean():
    """S / sqrt(R); unknown for a single launch."""
    assert uncertainty.scatter([1.0, 2.0, 3.0]) == pytest.approx(1 / math.sqrt(3))
    assert uncertainty.scatter([1.0]) is None


def test_independent_launches_average_out():
    """By the root of their number; unknown if one is."""
    assert uncertainty.of_mean([0.3, 0.4]) == pytest.approx(0.25)
    assert uncertainty.of_mean([0.3, None]) is uncertainty.of_mean([]) is None


def test_edges_are_of_the_counters_alone_per_inference():
    """In quadrature; a gauge has none."""
    counter = measurement(COUNTER, 1.0, 100.0)
    two = [counter.model_copy(update={"edge_j": edge_j, "inferences": 10.0}) for edge_j in (3.0, 4.0)]
    assert uncertainty.edges([*two, counter.model_copy(update={"edge_j": None})]) == pytest.approx(0.5)
    assert uncertainty.edges([counter.model_copy(update={"edge_j": None})]) is None


def test_degrees_of_freedom_grow_with_the_gain():
    """Those of the scatter alone without a gain; none without a scatter."""
    assert uncertainty.freedom(1.0, None, 5) == 4
    assert uncertainty.freedom(1.0, 1.0, 5) == 16
    assert uncertainty.freedom(None, 1.0, 1) is uncertainty.freedom(0.0, 1.0, 5) is None


def test_idle_power_needs_both_phases():
    """Half of their difference."""
    assert uncertainty.idle([20.0, 21.0]) == 0.5
    assert uncertainty.idle([20.0]) is None


@pytest.mark.parametrize(("u_a_j", "u_edge_j", "expected"), [(1.0, 2.0, True), (2.0, 1.0, False), (None, 1.0, False), (1.0, None, False)])
def test_edges_dominate_where_they_exceed_the_scatter(u_a_j, u_edge_j, expected):
    """Only if both are known."""
    assert Terms(u_a_j, u_edge_j, None, None, None, None).edges_dominate is expected
