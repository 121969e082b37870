"""How long each part of a repetition takes, from sensors, profile and case."""

from __future__ import annotations

import pytest

from harness.run.timing import Timing
from harness.schema import PROFILES, Domain, Limits

COUNTER = Domain(name="gpu:0", sensor="s", quantity="energy", unit="J", kind="counter", device="gpu", update_period_s=0.25)
PART_TIME = Domain(name="gpu:0", sensor="s", quantity="power", unit="W", kind="sampled", device="gpu", update_period_s=0.1, part_time=True)
AVERAGE = PART_TIME.model_copy(update={"part_time": False, "average_s": 1.0})
MODEL = Domain(name="package", sensor="s", quantity="mean_power", unit="W", kind="modelled")


def pace(*domains: Domain, device: str = "gpu", counted=None) -> Timing:
    """At the standard profile."""
    return Timing(domains, device, counted, PROFILES["standard"], Limits())


def test_a_window_does_not_open_in_the_wait_that_shifts_the_load():
    """However long the warm-up was: the first query may begin a whole period after the word."""
    assert pace(PART_TIME).lead_in_s(warmed_s=5.0) > 0.1
    assert pace(COUNTER).lead_in_s(warmed_s=5.0) < 0.1


def test_the_load_runs_until_the_sensors_show_it_alone():
    """A second, and longer where a reading is the mean of what came before; what a warm-up has run counts."""
    assert [pace(domain).lead_in_s(0.0) for domain in (MODEL, COUNTER, AVERAGE)] == pytest.approx([1.0, 1.0, 1.3])
    assert pace(AVERAGE).lead_in_s(0.8) == pytest.approx(0.5)
    assert [pace(domain).settle_s for domain in (MODEL, COUNTER, AVERAGE)] == pytest.approx([0.0, 0.75, 1.3])


def test_a_load_is_shifted_for_a_part_time_sensor_that_counts():
    """By its period; not for one of another device, nor for one that the suite leaves out."""
    assert pace(PART_TIME).shift_s == 0.1
    assert pace(COUNTER).shift_s is None
    assert pace(PART_TIME, device="cpu").shift_s is None
    assert pace(PART_TIME, counted=["package"]).shift_s is None
    assert pace(PART_TIME, device="cpu", counted=["gpu:0"]).shift_s == 0.1


def test_a_window_holds_enough_ticks_and_inferences():
    """Of the profile: 3 s, 20 ticks of the slowest counter, 8 inferences, whichever is longest."""
    assert [pace(MODEL).window_s(0.001), pace(COUNTER).window_s(0.001), pace(COUNTER).window_s(2.0)] == [3.0, 5.0, 16.0]


def test_an_edge_has_ticks_to_choose_from_where_inferences_are_long():
    """Longer than half a tick; without ticks there is none to choose."""
    assert [pace(COUNTER).edge_ticks(0.1), pace(COUNTER).edge_ticks(0.2), pace(MODEL).edge_ticks(9.0)] == [1, 10, 1]
