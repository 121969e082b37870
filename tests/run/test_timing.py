"""Length of each part of a repetition, from sensors, profile and case."""

from __future__ import annotations

import pytest

from harness.run.timing import Timing
from harness.schema import PROFILES, Domain, Limits

COUNTER = Domain(name="gpu:0", sensor="s", quantity="energy", unit="J", kind="counter", device="gpu", update_period_s=0.25)
PART_TIME = Domain(name="gpu:0", sensor="s", quantity="power", unit="W", kind="sampled", device="gpu", update_period_s=0.1, part_time=True)
AVERAGE = PART_TIME.model_copy(update={"part_time": False, "average_s": 1.0})
MODEL = Domain(name="package", sensor="s", quantity="mean_power", unit="W", kind="modelled")


def timing(*domains: Domain, device: str = "gpu", counted=None) -> Timing:
    """With the standard profile."""
    return Timing(domains, device, counted, PROFILES["standard"], Limits())


def test_a_window_does_not_open_in_the_wait_that_shifts_the_load():
    """The first query may begin a whole period after `Go`, after a warm-up of any length."""
    assert timing(PART_TIME).lead_in_s(warmed_s=5.0) > 0.1
    assert timing(COUNTER).lead_in_s(warmed_s=5.0) < 0.1


def test_the_load_runs_until_the_sensors_show_it_alone():
    """A second, longer if readings are averages, less what the warm-up has run."""
    assert [timing(domain).lead_in_s(0.0) for domain in (MODEL, COUNTER, AVERAGE)] == pytest.approx([1.0, 1.0, 1.3])
    assert timing(AVERAGE).lead_in_s(0.8) == pytest.approx(0.5)
    assert [timing(domain).settle_s for domain in (MODEL, COUNTER, AVERAGE)] == pytest.approx([0.0, 0.75, 1.3])


def test_a_load_is_shifted_for_a_part_time_sensor_that_counts():
    """By its period; not for a sensor of another device or one that the suite leaves out."""
    assert timing(PART_TIME).shift_s == 0.1
    assert timing(COUNTER).shift_s is None
    assert timing(PART_TIME, device="cpu").shift_s is None
    assert timing(PART_TIME, counted=["package"]).shift_s is None
    assert timing(PART_TIME, device="cpu", counted=["gpu:0"]).shift_s == 0.1


def test_a_window_holds_enough_ticks_and_inferences():
    """The longest of 3 s, 20 ticks of the slowest counter, and 8 inferences."""
    assert [timing(MODEL).window_s(0.001), timing(COUNTER).window_s(0.001), timing(COUNTER).window_s(2.0)] == [3.0, 5.0, 16.0]


def test_an_edge_has_ticks_to_choose_from_where_inferences_are_long():
    """Longer than half a tick; without ticks there is no choice."""
    assert [timing(COUNTER).edge_ticks(0.1), timing(COUNTER).edge_ticks(0.2), timing(MODEL).edge_ticks(9.0)] == [1, 10, 1]


def limits(**fields: float) -> Timing:
    """With limits of the suite."""
    return Timing((), "cpu", None, PROFILES["quick"], Limits(**fields))


def test_loading_has_a_limit_of_its_own():
    """Ten minutes by default; a suite that changes `timeout_s` alone means loading too, as before there were two."""
    assert [limits(**each).loading.seconds for each in ({}, {"timeout_s": 60.0}, {"timeout_s": 60.0, "load_timeout_s": 900.0})] == [
        600,
        60,
        900,
    ]
    assert limits(load_timeout_s=5.0).querying(10.0).seconds == 120
    assert limits(load_timeout_s=5.0).scoring().seconds == 120
    assert limits().scoring(3600.0).seconds > 3720  # an evaluation ends itself before


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        (limits().loading, "load_timeout_s: 1200"),
        (limits(timeout_s=60.0).scoring(), "timeout_s: 120"),
        (limits().building, "build_timeout_s: 3600"),
        (limits(timeout_s=30.0).querying(2.0), "timeout_s: 60"),
    ],
)
def test_a_time_out_names_its_limit_and_how_to_raise_it(limit, name):
    """As a line of the suite."""
    assert f"(limit {name.split(':')[0]})" in limit.reason.splitlines()[0]
    assert limit.reason.endswith(f"set `limits: {{{name}}}` in the suite")
    old = limits(timeout_s=60.0).loading  # the one limit of an older suite; loading can be raised alone
    assert "(limit timeout_s)" in old.reason and "`limits: {load_timeout_s: 120}`" in old.reason


def test_a_query_that_takes_far_longer_than_the_first_hangs():
    """At least 10 s, then twenty times the first, more with several in flight; no limit of the suite would help."""
    assert [limits().querying(0.001).seconds, limits().querying(1.0).seconds, limits().querying(1.0, 4).seconds] == [10, 20, 80]
    assert "limit 20 times that, at least 10 s" in limits().querying(0.001).reason
    assert "limits:" not in limits().querying(1.0).reason and "other processes" in limits().querying(1.0).reason
