"""The cost of a machine in service, against figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.cost import Service, break_even, sign_change

# 0.5 J and 100/s, idle at 20 W, busy a quarter of the hours: 3 s of idle for each busy second, so 0.03 s and 0.6 J an inference: 1.1 J.
# 1.1e6 J = 0.305556 kWh; x 1.2 / 0.9 = 0.407407 kWh; x 0.30 = 0.122222 EUR; x 400 g = 162.963 g.
# In 2 years of 8766 h it infers 2 x 8766 x 3600 x 100 x 0.25 = 1.577880e9: 3000 EUR are 1.901285 EUR, 600 kg 380.257 g a million.
HAND = Service(
    energy_j=0.5, throughput_per_s=100.0, idle_w=20.0, duty_cycle=0.25, price_per_kwh=0.30, pue=1.2, psu_efficiency=0.9, lifetime_years=2.0,
    capital=3000.0, g_per_kwh=400.0, embodied_g=600e3,
)  # fmt: skip


def test_an_example_worked_out_by_hand():
    """Idle hours, PUE, power supply, capital and embodied carbon each enter once."""
    assert HAND.throughput_per_w == 2.0
    assert HAND.total_j == pytest.approx(1.1)
    assert HAND.kwh_per_million == pytest.approx(0.4074074)
    assert HAND.electricity_per_million == pytest.approx(0.1222222)
    assert HAND.money_per_million == pytest.approx(0.1222222 + 1.901285, rel=1e-6)
    assert HAND.carbon_per_million_g == pytest.approx(162.963 + 380.257, rel=1e-5)


def test_an_idle_power_that_nobody_measured_is_not_zero():
    """Null where it counts; where the machine never waits it does not."""
    unknown = replace(HAND, idle_w=None)
    assert (unknown.total_j, unknown.money_per_million, unknown.carbon_per_million_g) == (None, None, None)
    assert replace(unknown, duty_cycle=1.0).total_j == 0.5


def test_break_even_with_and_without_a_saving():
    """N* = d capital / saving; a saving whose bound is below 0 has no upper bound of N, and none at all means never."""
    both = break_even(100.0, 1e-6, (0.5e-6, 2e-6))
    assert (both.inferences, both.low, both.high) == pytest.approx((1e8, 5e7, 2e8))
    point = break_even(100.0, 1e-6, (-0.5e-6, 2e-6))
    assert (point.low, point.high) == (pytest.approx(5e7), None)
    assert break_even(100.0, -1e-6).inferences is None


def test_where_the_ranking_turns():
    """The root nearest to the present value; null where there is none in the range."""
    assert sign_change(lambda x: x - 3.0, 1.0, 10.0, 2.0) == pytest.approx(3.0)
    assert sign_change(lambda x: x - 30.0, 1.0, 10.0, 2.0) is None
    assert sign_change(lambda x: x - 0.5, 1.0, 10.0, 0.0) == pytest.approx(0.5)
    assert sign_change(lambda x: (x - 3.0) * (x - 7.0), 1.0, 10.0, 0.0) == pytest.approx(3.0)
