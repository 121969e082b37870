"""Energy of a trace whose truth is known: counters, gauges, means, lags, pauses; and what must hold for every trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.energy import joules
from harness.energy.completions import CompletionCurve
from harness.energy.joules import Window
from harness.schema import Sample, Trace
from tests.energy.traces import COUNTER, GAUGE, MEAN, POLL_S, evenly, one, sampled, staircase, steady, step, window


@given(st.floats(0.1, 500), st.floats(0.02, 0.25), st.floats(0.3, 1.0), st.floats(0.3, 2.0))
def test_constant_power_gives_power_times_time(power_w, period_s, begin_s, length_s):
    """From tick to tick the energy is exactly that of the time between the ticks, and so is the energy per inference."""
    found = one(COUNTER, staircase(lambda t: power_w * t, period_s), steady(begin_s, begin_s + length_s), evenly())
    length_s = found.end_s - found.start_s  # the ticks nearest to completions may be closer together than requested
    assert found.gross_j == pytest.approx(power_w * length_s, abs=2 * POLL_S * power_w)
    assert found.gross_j / found.inferences == pytest.approx(power_w / 1000, rel=2 * POLL_S / length_s + 1e-6)


@given(st.lists(st.floats(0, 300), min_size=8, max_size=8), st.floats(0.8, 1.2), st.floats(1.9, 2.4))
def test_adjoining_windows_add_up(powers_w, middle_s, end_s):
    """What one window ends with the next begins with: nothing is lost and nothing is counted twice."""
    times = np.arange(9) * 0.5
    level = np.concatenate([[0.0], np.cumsum(np.array(powers_w) * 0.5)])
    sample = staircase(lambda t: np.interp(t, times, level))
    whole, first, second = (one(COUNTER, sample, steady(a, b)) for a, b in ((0.35, end_s), (0.35, middle_s), (middle_s, end_s)))
    if None not in (whole.gross_j, first.gross_j, second.gross_j):
        assert first.gross_j + second.gross_j == pytest.approx(whole.gross_j, abs=1e-6)
        assert min(first.gross_j, second.gross_j) >= 0


@given(st.floats(20, 400), st.floats(170, 500))
def test_a_wraparound_does_not_change_the_energy(power_w, wrap_j):
    """The energy is the same for any number of wraps, if the counter is read twice in each half of its range."""
    plain = one(COUNTER, staircase(lambda t: power_w * t), steady(0.5, 3.0))
    wrapping = COUNTER.model_copy(update={"wrap_j": wrap_j})
    wrapped = one(wrapping, staircase(lambda t: power_w * t, wrap_j=wrap_j), steady(0.5, 3.0))
    assert wrapped.gross_j == pytest.approx(plain.gross_j, rel=1e-9)


def test_a_reset_inside_the_window_leaves_no_number():
    """A driver that was reloaded: neither negative, nor a wrap."""
    sample = staircase(lambda t: 1000 + 100 * t)
    value = np.where(sample.t_s > 2.0, sample.value - 1190, sample.value)
    found = one(COUNTER.model_copy(update={"wrap_j": 65536.0}), sampled(sample.t_s, value), steady(0.5, 3.0))
    assert (found.gross_j, found.kind) == (None, "absent")
    assert one(COUNTER, sampled(sample.t_s, value), steady(2.2, 3.0)).gross_j == pytest.approx(80, abs=11)


def test_a_reset_high_in_the_range_is_no_wrap():
    """The rest of the range, 5,536 J here, was not drawn between two readings."""
    sample = staircase(lambda t: 60_000 + 100 * t)
    value = np.where(sample.t_s > 2.0, sample.value - sample.value[sample.t_s <= 2.0][-1], sample.value)
    found = one(COUNTER.model_copy(update={"wrap_j": 65536.0}), sampled(sample.t_s, value), steady(0.5, 3.0))
    assert (found.gross_j, found.kind) == (None, "absent")


def test_a_counter_that_never_ticks_leaves_no_number():
    """A stuck counter is not 0 J."""
    assert one(COUNTER, staircase(lambda t: 0 * t + 5), steady(0.5, 3.0)).gross_j is None


def test_a_phase_that_outlasts_the_readings_of_its_counter_has_no_energy():
    """The energy of a build is unknown after its sensor was lost."""
    whole, build = staircase(lambda t: 50 * t), Window.loose("build", 1.0, 3.0)
    assert one(COUNTER, whole, build).gross_j == pytest.approx(100, abs=5)
    lost = Sample(whole.start_s, whole.end_s, np.where(whole.t_s > 2.0, np.nan, whole.value))
    assert (one(COUNTER, lost, build).gross_j, one(COUNTER, lost, build).kind) == (None, "absent")


def test_where_inferences_are_long_a_window_begins_and_ends_at_ticks_near_a_completion():
    """An inference that is cut is counted by its share of the time, not of the energy: of the ticks to choose from the nearest to a whole one."""
    done = CompletionCurve(np.arange(0, 4, 0.7), np.arange(6.0), np.zeros((0, 2)))
    found = one(COUNTER, staircase(lambda t: 50 * t), steady(0.55, 2.75), done)
    assert (found.start_s, found.end_s) == (pytest.approx(0.7, abs=POLL_S), pytest.approx(2.8, abs=POLL_S))
    assert found.inferences == pytest.approx(3, abs=0.01)


def test_the_power_of_a_counter_is_integrated_over_its_edges():
    """Integrated over the counter's own edges; None if no power is read."""
    power = GAUGE.model_copy(update={"name": "package power", "counter": "package"})
    trace = Trace(
        {"package": COUNTER, "package power": power},
        {"package": staircase(lambda t: 50 * t), "package power": sampled(np.arange(0, 4, 0.05), np.full(80, 40.0))},
    )
    counter, gauge = joules.measure(trace, [steady(0.5, 3.0)], evenly())
    assert counter.integrated_j == pytest.approx(40 * (counter.end_s - counter.start_s))
    assert gauge.counter == "package"
    assert gauge.integrated_j is None


def test_an_edge_that_was_polled_slowly_is_as_uncertain_as_its_bracket_is_wide():
    """A tick between two polls 50 ms apart may be anywhere between them: u = width / (2 sqrt 3) at each edge, times the power."""
    found = one(COUNTER.model_copy(update={"update_period_s": None}), staircase(lambda t: 100 * t, step_s=0.05), steady(0.5, 3.0))
    assert found.poll_gap_s == pytest.approx(0.05)
    assert found.edge_j == pytest.approx(100 * np.hypot(0.05, 0.05) / np.sqrt(12), rel=1e-3)
    assert found.gross_j == pytest.approx(100 * (found.end_s - found.start_s), abs=1.96 * found.edge_j)


def test_a_read_that_takes_long_widens_the_bracket_on_both_sides():
    """From the start of the read before the tick to the end of the one that shows it."""
    whole = staircase(lambda t: 100 * t, step_s=0.02)
    slow = Sample(whole.t_s - 0.009, whole.t_s + 0.009, whole.value)
    quick, long = (one(COUNTER, sample, steady(0.5, 3.0)).poll_gap_s for sample in (whole, slow))
    assert (quick, long) == pytest.approx((0.02, 0.038))


def test_a_counter_shows_a_value_no_older_than_two_of_its_periods():
    """The age is limited even if the last read was long ago, so a fast counter read together with a slow one keeps narrow edges."""
    quick = COUNTER.model_copy(update={"update_period_s": 0.001})
    found = one(quick, staircase(lambda t: 100 * t, period_s=0.001, step_s=0.012), steady(0.5, 3.0))
    assert found.poll_gap_s == pytest.approx(0.002)
    assert found.gross_j == pytest.approx(100 * (found.end_s - found.start_s), abs=1.96 * found.edge_j)


def test_of_an_edge_the_first_narrow_tick_is_taken():
    """One poll that came late does not cost the edge its accuracy."""
    whole = staircase(lambda t: 100 * t)
    late = (whole.t_s > 0.585) & (whole.t_s < 0.62)  # the first tick after 0.5 s, at 0.6 s
    found = one(COUNTER, Sample(whole.start_s[~late], whole.end_s[~late], whole.value[~late]), steady(0.5, 3.0))
    assert found.start_s == pytest.approx(0.7, abs=POLL_S)


ITS_POWER = GAUGE.model_copy(update={"name": "package power", "counter": "package", "device": "cpu", "update_period_s": 0.1})


def with_power(counter_s: float = 9.0, **gauge):
    """A window whose counter ticks too rarely, with its power reading: a sine of 100 W +- 50 W."""
    t_s = np.arange(0, 4, 0.1)
    watts = 100 + 50 * np.sin(2 * np.pi * t_s / 0.8)
    trace = Trace(
        {"package": COUNTER, "package power": ITS_POWER.model_copy(update=gauge)},
        {"package": staircase(lambda t: 100 * t, period_s=counter_s), "package power": sampled(t_s, watts)},
    )
    return joules.measure(trace, [steady(0.5, 2.9)], evenly())[0]


def test_a_counter_without_a_tick_at_an_edge_is_replaced_by_its_power_reading():
    """The kind is that of the reading, and its bound holds the truth."""
    found = with_power()
    assert (found.kind, found.gauge) == ("sampled", "package power")
    assert found.gross_j == found.integrated_j == pytest.approx(100 * 2.1, abs=1.96 * found.edge_j)
    assert found.edge_j < 0.2 * found.gross_j


def test_a_part_time_reading_that_replaces_a_counter_has_no_bound():
    """It may see a quarter of each period."""
    found = with_power(part_time=True)
    assert found.gauge == "package power"
    assert found.edge_j is None


def test_of_two_readings_the_one_that_misses_nothing_replaces_the_counter_and_the_other_gives_the_swing():
    """A square wave of 0.5 s is level in means of a second: 100 W within a bound of 0 would be off by the wave at the edges."""
    t_s = np.arange(0.01, 4.0, 0.02)
    square_w = np.where(t_s % 0.5 < 0.25, 180.0, 20.0)
    part, whole = (
        ITS_POWER.model_copy(update={"name": n, "part_time": n == "part", "average_s": a}) for n, a in (("part", None), ("whole", 1.0))
    )
    trace = Trace(
        {"package": COUNTER, "part": part, "whole": whole},
        {
            "package": staircase(lambda t: 100 * t, period_s=10.0),
            "part": sampled(t_s, square_w),
            "whole": sampled(t_s, np.full_like(t_s, 100.0)),
        },
    )
    found = joules.measure(trace, [steady(0.5, 2.9)], evenly())[0]
    assert (found.gauge, found.gross_j) == ("whole", found.integrated_j)
    assert 1.96 * found.edge_j > 2 * 0.25 * 80, "as much as the wave may hold at both edges"


def test_a_counter_that_was_not_waited_for_is_interpolated():
    """Like that of another card: polled slowly, with the uncertainty of that."""
    polled = window("steady", 0.5, 0.8, 3.0, 3.3, near=frozenset({"gpu:0"}))
    found = one(COUNTER, staircase(lambda t: 100 * t, step_s=0.3), polled)
    assert found.gross_j == pytest.approx(100 * 2.8, abs=2 * found.edge_j)
    assert found.poll_gap_s is None


def test_a_card_that_is_read_now_and_then_keeps_its_power():
    """At uneven intervals of seconds, period unknown: 50 W for a short idle phase between two readings, where the middles of the gaps give 34 W."""
    domain = COUNTER.model_copy(update={"update_period_s": None})
    t_s = np.array([0.0, 1.07, 2.2, 4.9, 5.0, 8.3])
    sample = sampled(t_s, 50 * np.floor(t_s / 0.1) * 0.1)
    for begin_s in (0.01, 1.5, 2.5, 4.0, 4.95, 7.79):
        found = one(domain, sample, window("idle", begin_s, begin_s, begin_s + 0.5, begin_s + 0.5, near=frozenset()))
        assert found.gross_j == pytest.approx(50 * 0.5, rel=0.1)


@given(st.floats(1, 400), st.floats(0.4, 1.0), st.floats(1.5, 3.0))
def test_a_gauge_is_integrated_with_both_edges_interpolated(power_w, start_s, end_s):
    """A ramp of power, whose trapezoid is exact."""
    t_s = np.arange(0, 4, 0.05)
    load = Window.loose("load", start_s, end_s)
    assert one(GAUGE, sampled(t_s, power_w * t_s), load).gross_j == pytest.approx(power_w * (end_s**2 - start_s**2) / 2, rel=1e-6)


def test_a_window_that_no_reading_brackets_is_not_extrapolated():
    """Its energy is None."""
    t_s = np.arange(1, 3, 0.1)
    for load in (Window.loose("load", 0.5, 2.0), Window.loose("load", 2.0, 3.5)):
        assert one(GAUGE, sampled(t_s, np.full(len(t_s), 50.0)), load).gross_j is None


def test_means_of_the_interval_that_ends_there_take_the_rectangle_rule():
    """A trapezoid would lose the first interval."""
    sample = sampled([0.0, 1.0, 2.0, 3.0], [0.0, 10.0, 30.0, 10.0])
    assert one(MEAN, sample, Window.loose("load", 0.0, 3.0)).gross_j == pytest.approx(50)
    assert one(MEAN, sample, Window.loose("load", 0.5, 1.5)).gross_j == pytest.approx(5 + 15)


@given(st.sets(st.integers(1, 78), max_size=30))
def test_a_missing_reading_never_lowers_the_energy(missing):
    """A failed read counts for nothing, not for 0 W."""
    t_s = np.arange(0, 4, 0.05)
    power = np.full(len(t_s), 80.0)
    power[list(missing)] = np.nan
    assert one(GAUGE, sampled(t_s, power), Window.loose("load", 0.5, 3.0)).gross_j == pytest.approx(200)


def test_idle_power_is_subtracted_for_the_net_energy():
    """Net = gross - idle x time; without an idle phase there is no net."""
    sample = staircase(step(20, 100, 1.5))
    windows = [window("idle", 0.1, 0.4, 1.1, 1.4), steady(2.0, 3.5)]
    found = joules.measure(Trace({"package": COUNTER}, {"package": sample}), windows, evenly())[1]
    assert found.idle_w == pytest.approx(20, rel=0.01)
    assert found.net_j == pytest.approx(80 * (found.end_s - found.start_s), rel=0.01)
    assert one(COUNTER, sample, steady(2.0, 3.5), evenly()).net_j is None


def test_the_waits_of_a_shifted_load_are_paid_at_idle():
    """Energy of the load alone, and inferences of the load alone."""
    part_time = GAUGE.model_copy(update={"part_time": True})
    t_s = np.arange(0, 10, 0.01)
    busy = (t_s > 2) & ((t_s % 0.3) < 0.25)
    progress = CompletionCurve.of(*_groups(), batch_size=1, shifted=True)
    sample = sampled(t_s, np.where(busy, 200.0, 50.0))
    windows = [Window.loose("idle", 0.2, 1.8), Window.loose("steady", 3.0, 9.0)]
    found = joules.measure(Trace({"gpu:0": part_time}, {"gpu:0": sample}), windows, progress)[1]
    assert found.gross_j == pytest.approx(200 * 6 * 0.25 / 0.3, rel=0.01)
    assert progress.waited_s(3.0, 9.0) == pytest.approx(6 * 0.05 / 0.3, rel=0.01)


def _groups():
    """Queries of 1 ms in groups of 0.25 s, each group 0.3 s after the one before, from 2.1 s on."""
    starts = np.concatenate([2.1 + 0.3 * g + np.arange(250) * 0.001 for g in range(25)])
    return (starts * 1e9).astype(np.int64), ((starts + 0.001) * 1e9).astype(np.int64), np.ones(len(starts), dtype=np.int64)
