"""The probe of a card on a virtual clock, where the truth is known."""

from __future__ import annotations

import os

import pytest

from tests.probed import HIGH_W, LOW_W, VirtualCard, VirtualLoad, probed


@pytest.fixture(scope="module")
def healthy():
    """A counter that sees everything, with a load whose on-time varies."""
    return probed(VirtualCard(jitter=0.05))


@pytest.fixture(scope="module")
def part_time():
    """A counter made from readings that see 25 of each 100 ms."""
    return probed(VirtualCard(seen_s=0.025))


def test_a_healthy_counter_sees_all_of_a_periodic_load(healthy):
    """At every period and phase, within 1 %."""
    assert healthy.sees_all["counter"] is True and healthy.spreads["counter"] < 0.01
    assert len(healthy.squares) == 11 and {round(s.period_s, 2) for s in healthy.squares} == {1.0, 0.5, 0.2, 0.11, 0.1, 0.09, 0.05, 0.02}
    assert all(s.counter_w == pytest.approx((LOW_W + HIGH_W) / 2, rel=0.01) for s in healthy.squares), "corrected to an on-time of one half"
    assert healthy.has_verdict and healthy.unavailable == {}


def test_a_counter_of_part_time_readings_is_found_out(part_time):
    """So is the instantaneous power; the mean of a second sees all."""
    assert part_time.sees_all == {"counter": False, "instant": False, "average": True}
    assert part_time.spreads["counter"] > 0.3


def test_a_load_that_its_host_delays_does_not_accuse_a_healthy_counter():
    """Differences that the rate of the engine's calls explains show nothing; larger ones still do."""
    probe = probed(VirtualCard(delayed=0.3))
    assert probe.spreads["counter"] > 0.03 and probe.sees_all["counter"] is None
    assert "delayed the load" in probe.unavailable["periodic load"]
    assert probed(VirtualCard(delayed=0.3, seen_s=0.025)).sees_all["counter"] is False


@pytest.mark.parametrize(("period_s", "seen_s"), [(0.1, 0.05), (0.05, 0.0125), (0.2, 0.05)])
def test_other_part_time_counters_are_found_out(period_s, seen_s):
    """The phases are those of the counter's own period."""
    probe = probed(VirtualCard(seen_s=seen_s, period_s=period_s))
    assert probe.tick_period_s == pytest.approx(period_s, rel=0.02)
    assert probe.sees_all["counter"] is False


def test_a_fast_counter_is_healthy():
    """One that ticks each 20 ms."""
    assert probed(VirtualCard(period_s=0.02, jitter=0.05)).sees_all["counter"] is True


def test_periods_of_the_readings(healthy):
    """Tick period, and update periods of the power fields."""
    assert healthy.tick_period_s == pytest.approx(0.1, rel=0.02)
    assert healthy.update_periods_s["instant"] == pytest.approx(0.1, rel=0.05)


def test_counter_against_power_at_three_levels(healthy):
    """Each is the true mean power of the level."""
    assert [level.share for level in healthy.levels] == [1.0, 0.6, 0.3]
    for level in healthy.levels:
        true_w = LOW_W + level.share * (HIGH_W - LOW_W)
        assert level.counter_w == pytest.approx(true_w, rel=0.05)
        assert level.average_w == pytest.approx(true_w, rel=0.08)


def test_a_counter_with_a_gain_disagrees_with_power():
    """It reports 10 % more at each level, and still sees all of a load."""
    probe = probed(VirtualCard(counter_gain=1.1))
    assert all(level.counter_w == pytest.approx(1.1 * level.instant_w, rel=0.03) for level in probe.levels)
    assert probe.sees_all["counter"] is True


def test_idle_powers_and_call_times(healthy):
    """Without a context, with one, and after the load."""
    assert healthy.idle_w == {name: pytest.approx(LOW_W, rel=0.02) for name in ("without_context", "with_context", "after_load")}
    assert healthy.calls["idle"]["counter"].p50_s == pytest.approx(0.0003, rel=0.1)
    assert set(healthy.calls) == {"idle", "loaded"}


def test_without_an_engine_the_rest_is_not_available():
    """Call times, tick period and idle power are there; verdicts are unknown, with the next step."""
    probe = probed(VirtualCard(), why="no engine here can load the card\ninstall PyTorch")
    assert probe.tick_period_s == pytest.approx(0.1, rel=0.02) and probe.idle_w == {"without_context": pytest.approx(LOW_W, rel=0.02)}
    assert probe.sees_all == {"counter": None, "instant": None, "average": None}
    assert not probe.has_verdict and "install PyTorch" in probe.unavailable["load"] and probe.engine is None


def test_a_load_that_does_not_change_the_power_shows_nothing():
    """An engine that fell back to the CPU: a constant power would pass any test."""
    probe = probed(VirtualCard(high_w=LOW_W + 5))
    assert not probe.has_verdict and "hardly changed the power" in probe.unavailable["periodic load"]


def test_a_card_without_a_counter():
    """Its power readings are probed."""
    probe = probed(VirtualCard(seen_s=0.025, without=("counter",)))
    assert probe.tick_period_s is None and probe.sees_all == {"counter": None, "instant": False, "average": True}
    assert probe.calls["idle"]["counter"] is None
    assert all(level.counter_w is None for level in probe.levels)


def test_a_load_that_dies_leaves_what_was_measured():
    """The reason is kept, and the load is ended."""
    card = VirtualCard()
    load = VirtualLoad(card, fails_after=2)
    probe = probed(card, load)
    assert load.ended and "out of memory" in probe.unavailable["load"] and len(probe.levels) == 2
    assert not probe.has_verdict


def test_a_card_in_use_is_not_loaded():
    """Its figures would be those of the other process."""
    probe = probed(VirtualCard(busy=40.0))
    assert "40 % busy" in probe.unavailable["load"] and probe.engine is None and not probe.levels


@pytest.mark.parametrize(("listed", "pids"), [((4242,), "visible"), ((4194305,), "hidden"), ((), "not listed")])
def test_process_ids_of_the_load(listed, pids):
    """Its own id, one of another namespace, or none."""
    assert probed(VirtualCard(listed=listed), scale=0.2).pids == pids


def test_a_foreign_process_is_named():
    """An id of this system before the load."""
    card = VirtualCard(listed=(os.getpid(),))
    card.pids = lambda: [os.getpid()]
    assert "1 processes of this system" in probed(card).unavailable["load"]
