"""When a case has been repeated often enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.interval import mean_interval
from harness.analysis.stopping import STOPPED, HalfWidth


def after(rule: HalfWidth, values: list[float]) -> HalfWidth:
    for value in values:
        rule.add(value)
    return rule


def test_a_fixed_number_of_launches():
    """Without a target it is enough after `first`, and no target can have been reached."""
    rule = after(HalfWidth(3, 3, None), [1.0, 2.0])
    assert not rule.finished
    rule.add(5.0)
    assert rule.finished
    assert rule.reached is None


def test_equal_launches_are_enough_at_first_and_not_before():
    """However narrow the interval, `first` launches are waited for."""
    rule = after(HalfWidth(5, 8, 0.02), [1.0] * 4)
    assert not rule.finished
    assert not rule.reached
    rule.add(1.0)
    assert rule.finished
    assert rule.reached


def test_the_cap_ends_a_wide_case_without_reaching_it():
    """At the cap it is over, and the record says that the target was not met."""
    rule = after(HalfWidth(5, 8, 0.02), [1.0, 2.0] * 4)
    assert rule.finished
    assert rule.reached is False


@given(st.lists(st.floats(0.9, 1.1), min_size=5, max_size=30))
def test_it_stops_and_reports_with_one_quantile(values):
    """The interval that stops a case is the one that is reported: t(.9825)."""
    rule = after(HalfWidth(5, 100, 0.02), values)
    assert rule.interval == mean_interval(values, STOPPED)
    assert rule.reached == (rule.interval.half_width <= 0.02) == rule.finished
