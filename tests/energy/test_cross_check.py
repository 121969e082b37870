"""When integrated power rejects a counter, and when it may itself be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.cross_check import cross_check, in_step
from harness.energy.joules import integrate
from harness.schema import Domain, Measurement, Sample, Trace

POLL_S = 0.05


def seen(power, seconds, gain=1.0, query_s=None, average_s=None, sees_s=0.025, period_s=0.1):
    """A counter that shows `gain` times the true energy of `power(t)` from 2 s on, and a gauge that covers `sees_s` of each period."""
    fine_s = np.arange(0, 3 + seconds, 0.0005)
    energy_j = np.concatenate([[0.0], np.cumsum(power(fine_s[:-1] + 0.00025)) * 0.0005])
    t_s = np.arange(1.0, 3 + seconds, POLL_S)
    at_s = np.floor(t_s / period_s) * period_s
    shown_w = (np.interp(at_s, fine_s, energy_j) - np.interp(at_s - sees_s, fine_s, energy_j)) / sees_s
    gauge = Domain(name="gpu:0 power", sensor="nvml", quantity="power", unit="W", kind="sampled", counter="gpu:0", average_s=average_s)
    sample = Sample(t_s, t_s, shown_w)
    joules = gain * float(np.interp(2 + seconds, fine_s, energy_j) - np.interp(2.0, fine_s, energy_j))
    window = Measurement(
        domain="gpu:0", sensor="nvml", kind="counter", phase="steady", start_s=2.0, end_s=2 + seconds, inferences=1.0, gross_j=joules,
        integrated_j=integrate(sample, 2.0, 2 + seconds),
    )  # fmt: skip
    found = cross_check(Trace({gauge.name: gauge}, {gauge.name: sample}), window, query_s)
    assert found
    return found


def level(t_s):
    """200 W."""
    return np.full(len(t_s), 200.0)


def square(period_s, duty=0.5):
    """150 W on, 50 W off."""
    return lambda t_s: np.where(t_s % period_s < duty * period_s, 150.0, 50.0)


@pytest.mark.parametrize("seconds", [0.7, 1.5, 10.0])
@pytest.mark.parametrize(
    ("gain", "warns", "rejects"),
    [(1.0, False, False), (1.04, False, False), (0.93, True, False), (1.07, True, False), (1.12, True, True), (0.85, True, True)],
)
def test_a_level_load_rejects_at_any_length(seconds, gain, warns, rejects):
    """Above 5 % a warning, above 10 % no energy: nothing else explains the difference."""
    for found in (
        seen(level, seconds, gain),
        seen(level, seconds, gain, average_s=1.0, sees_s=1.0),
        seen(level, seconds, gain, query_s=1e-4),
    ):
        assert (found.warns, found.rejects) == (warns, rejects)


@pytest.mark.parametrize("period_s", [0.11, 0.23, 0.3, 0.37, 0.7])
@pytest.mark.parametrize("seconds", [0.7, 1.5, 3.0])
def test_a_load_that_swings_is_not_rejected_for_what_its_samples_leave_open(period_s, seconds):
    """A good counter with a reading that covers a quarter of each period, over a window of a few of its swings."""
    assert not seen(square(period_s), seconds).rejects


def test_a_long_window_of_a_swinging_load_rejects_again():
    """What the samples leave open shrinks with the window."""
    assert seen(square(0.37), 60.0, gain=1.25).rejects


def test_a_mean_of_a_second_is_excused_at_the_edges_alone():
    """The load rose with the window: the reading still holds what was before. In a long window that is little."""

    def risen(t_s):
        return np.where(t_s < 2.0, 60.0, 240.0)

    assert seen(risen, 1.5, average_s=1.0, sees_s=1.0).warns
    assert not seen(risen, 1.5, average_s=1.0, sees_s=1.0).rejects
    assert seen(risen, 60.0, gain=1.2, average_s=1.0, sees_s=1.0).rejects


def test_queries_in_step_with_the_readings_excuse_them():
    """A square wave of the readings' own period is misread by half at any length, by readings that are level; a mean of a second sees all of it."""
    beating = seen(square(0.1), 10.0, query_s=0.1)
    assert abs(beating.difference) > 0.2 and beating.in_step and beating.warns and not beating.rejects
    assert seen(square(0.1), 10.0, gain=1.2, query_s=0.1, average_s=1.0, sees_s=1.0).rejects


@pytest.mark.parametrize(
    ("query_s", "expected"),
    [(1e-4, False), (1e-3, False), (0.0, False), (0.01, True), (0.05, True), (0.1, True), (0.0333, True), (0.073, False), (0.2, True)],
)
def test_what_repeats_in_step(query_s, expected):
    """Short queries fill what a reading sees; long ones fall in step where their period divides that of the readings, nearly."""
    assert in_step(query_s, 0.1, 3.0) is expected


def test_power_that_was_hardly_read_rejects_nothing():
    """Four readings in the window are too few for an integral."""
    gauge = Domain(name="gpu:0 power", sensor="nvml", quantity="power", unit="W", kind="sampled", counter="gpu:0")
    t_s = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    window = Measurement(
        domain="gpu:0",
        sensor="nvml",
        kind="counter",
        phase="steady",
        start_s=0.5,
        end_s=3.5,
        inferences=1.0,
        gross_j=600.0,
        integrated_j=450.0,
    )
    found = cross_check(Trace({gauge.name: gauge}, {gauge.name: Sample(t_s, t_s, np.full(5, 150.0))}), window, None)
    assert found and found.warns and not found.rejects
