"""Costs in service, break-even and sensitivity of offered machines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.decide.buyer import break_even_point, sensitivity, service_costs
from harness.report.costs import cost_lines
from tests.decide.machines import OFFERS, machine


def test_embodied_carbon_counts_for_every_machine_or_for_none():
    """A machine without a figure has no advantage."""
    without, given = OFFERS.offers[0], OFFERS.offers[1].model_copy(update={"embodied_kg_co2e": 1000.0})
    runs = [machine(), machine("box-2")]
    rows = service_costs(runs, OFFERS.model_copy(update={"offers": [without, given]}))
    assert {each.service.embodied_g for each in rows} == {None}
    both = service_costs(runs, OFFERS.model_copy(update={"offers": [without.model_copy(update={"embodied_kg_co2e": 500.0}), given]}))
    assert {each.service.embodied_g for each in both} == {500e3, 1000e3}
    assert "not given for every machine" in "\n".join(cost_lines(runs, OFFERS.model_copy(update={"offers": [without, given]})))


def test_electricity_and_break_even_by_hand():
    """B saves 1 J of 2 at 40,000/s: 1e6 J = 0.27778 kWh, x 1.2 x 0.3 = 0.1 EUR a million, so 1000 EUR are paid back after 1e10."""
    a, b = machine(joules=2.0), machine("box-2", joules=1.0, seed=1)
    rows = service_costs([a, b], OFFERS)
    first, second = (next(each for each in rows if each.run == k) for k in (0, 1))
    assert first.service.electricity_per_million == pytest.approx(0.2, rel=0.01)
    dear, point = break_even_point(first, second)
    assert dear == 1
    assert point.inferences == pytest.approx(1e10, rel=0.02)
    assert point.low < 1e10 < point.high


def test_the_input_that_changes_the_ranking():
    """B saves 2 mJ of 4: 6.667e-4 kWh a million with PUE, over 5.049e12 inferences 1000 EUR at 0.297 EUR/kWh, now 0.30."""
    a, b = machine(joules=4e-3), machine("box-2", joules=2e-3, seed=1)
    first, second = (next(each for each in service_costs([a, b], OFFERS) if each.run == k) for k in (0, 1))
    by_money = {(f.name, f.owner): f for f in sensitivity(first, second) if f.ranking == "money"}
    assert by_money["price_per_kwh", None].at == pytest.approx(0.297, rel=0.02)
    assert by_money["price_per_kwh", None].low == 0.02
    by_carbon = {(f.name, f.owner): f for f in sensitivity(first, second) if f.ranking == "carbon"}
    assert by_carbon["g_per_kwh", None].at is None


def test_a_price_of_0_may_change_the_ranking_too():
    """As above with free electricity: B, more expensive to buy, is ahead from 0.297 EUR/kWh on."""
    free = OFFERS.model_copy(update={"electricity_price_per_kwh": 0.0})
    a, b = machine(joules=4e-3), machine("box-2", joules=2e-3, seed=1)
    first, second = (next(each for each in service_costs([a, b], free) if each.run == k) for k in (0, 1))
    (price,) = (f for f in sensitivity(first, second) if f.name == "price_per_kwh")
    assert (price.now, price.low) == (0.0, 0.02) and price.at == pytest.approx(0.297, rel=0.02)


def test_a_machine_is_slowest_at_its_most_expensive_and_fastest_at_its_cheapest():
    """By hand: the bounds of five throughputs by t(.975, 4); the capital is shared by the inferences of its lifetime."""
    run = machine()
    rates = 40_000.0 * (1 + 0.01 * (np.arange(5) - 2))
    spread = tuple(r.model_copy(update={"throughput_per_s": float(rates[r.repetition])}) for r in run.records)
    first = service_costs([replace(run, records=spread), machine("box-2")], OFFERS)[0]
    half = 2.7764 * rates.std(ddof=1) / 5**0.5
    assert first.low.throughput_per_s == pytest.approx(40_000.0 + half, rel=1e-5)
    assert first.high.throughput_per_s == pytest.approx(40_000.0 - half, rel=1e-5)
    capital = 1000.0 / (4 * 8766 * 3600 * OFFERS.duty_cycle) * 1e6
    assert first.high.money_per_million - first.high.electricity_per_million == pytest.approx(capital / (40_000.0 - half), rel=1e-5)
