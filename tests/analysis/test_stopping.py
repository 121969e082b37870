"""When a case has been repeated often enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.interval import mean_interval
from harness.analysis.stopping import STOPPED, HalfWidth, OpenPairs


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
    """At least `first` launches are run, even if the interval is narrow."""
    rule = after(HalfWidth(5, 8, 0.02), [1.0] * 4)
    assert not rule.finished
    assert not rule.reached
    rule.add(1.0)
    assert rule.finished
    assert rule.reached


def test_the_cap_ends_a_wide_case_without_reaching_it():
    """At the cap it is over, and the target is not met."""
    rule = after(HalfWidth(5, 8, 0.02), [1.0, 2.0] * 4)
    assert rule.finished
    assert rule.reached is False


@given(st.lists(st.floats(0.9, 1.1), min_size=5, max_size=30))
def test_it_stops_and_reports_with_one_quantile(values):
    """The interval that stops a case is the one that is reported: t(.9825)."""
    rule = after(HalfWidth(5, 100, 0.02), values)
    assert rule.interval == mean_interval(values, STOPPED)
    assert rule.reached == (rule.interval.half_width <= 0.02) == rule.finished


def pairs(means: dict[str, tuple[float, ...]], sd: float = 0.01, launches: int = 5, first: int = 5, cap: int = 60) -> OpenPairs:
    """Launches around these means, the last objective exact; with 0.9 % of margin in each."""
    rng = np.random.default_rng(0)
    rule = OpenPairs(first, [0.009] * len(next(iter(means.values()))), cap)
    for case, mean in means.items():
        for values in rng.normal(mean, [sd] * (len(mean) - 1) + [0.0], (launches, len(mean))):
            rule.add(case, values)
    return rule


def test_every_case_is_repeated_until_first():
    """No case is decided before its first launches, even if a pair is clearly separated."""
    assert pairs({"a": (0.0, 0.0), "b": (1.0, 1.0)}, launches=4).open == {"a", "b"}
    assert pairs({"a": (0.0, 0.0), "b": (1.0, 1.0)}, launches=5).finished


@pytest.mark.parametrize(
    ("means", "open_"),
    [
        ({"a": (0.0, 0.0, 0.0), "b": (0.3, 0.3, 0.0)}, set()),  # b is out
        ({"a": (0.0, 0.3, 0.0), "b": (0.3, 0.0, 0.0)}, set()),  # a trade: neither can dominate
        ({"a": (0.0, 0.0, 0.0), "b": (0.005, 0.3, 0.0)}, set()),  # b is out by its latency, its energy is as good
        ({"a": (0.0, 0.0, 0.0), "b": (0.01, 0.0, 0.0)}, {"a", "b"}),  # may be worse, may be equal
        ({"a": (0.0, 0.0, 0.0), "b": (0.01, 0.0, -0.1)}, {"a", "b"}),  # b is safe by its quality; a may still be out
        ({"a": (0.0, 0.0, 0.0), "b": (0.3, 0.3, 0.0), "c": (0.3, 0.3, 0.0)}, set()),  # b and c are alike, and both out
        ({"a": (0.0, 0.3, 0.0), "b": (0.3, 0.0, 0.0), "c": (0.005, 0.295, 0.0)}, {"a", "c"}),
    ],
)
def test_only_an_open_pair_is_repeated(means, open_):
    """Settled by dominance, by a trade, or out already; else open."""
    assert pairs(means).open == open_


def test_two_equal_cases_are_settled():
    """With enough launches each is shown to be as good as the other within the margin."""
    assert pairs({"a": (0.0, 0.0), "b": (0.0, 0.0)}, launches=5).open
    assert not pairs({"a": (0.0, 0.0), "b": (0.0, 0.0)}, launches=40).open


def test_an_open_pair_is_open_in_both_directions():
    """The result does not depend on the order of the two cases."""
    assert pairs({"a": (0.0, 0.0), "b": (0.01, 0.0)}).open == pairs({"b": (0.01, 0.0), "a": (0.0, 0.0)}).open


def test_the_cap_ends_an_open_pair():
    """What cannot be separated is not repeated for ever."""
    assert pairs({"a": (0.0, 0.0), "b": (0.009, 0.0)}, launches=20, cap=20).finished


def test_a_single_case_needs_only_the_first_launches():
    """A single case is finished after its first launches; without cases the rule is finished."""
    assert pairs({"a": (0.0, 0.0)}).finished
    assert OpenPairs(5, [0.01]).finished


@given(st.floats(0.5, 0.99), st.integers(5, 9), st.integers(5, 9))
def test_equal_qualities_are_equal_whatever_the_number_of_launches(quality, several, others):
    """Rounding of a mean makes no winner: launches that agree to the last bit have no scatter and no difference."""
    rule = OpenPairs(5, [0.01])
    for case, launches in (("a", several), ("b", others)):
        for _ in range(launches):
            rule.add(case, [-quality])
    assert rule.finished
