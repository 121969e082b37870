"""The test of an order effect: seeded simulations of its false alarms, and effects that it finds."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.order_effect import order_effect

RUNS = 600


def launches(random, cases, blocks, shared=0.0, drift=0.0, per_kelvin=0.0, scale=None):
    """Energies and start temperatures: scatter of 0.2 to 3 %, by case, and a disturbance that the launches of a block share."""
    sigma = random.uniform(0.002, 0.03, (cases, 1)) if scale is None else scale
    degc = 45 + random.normal(0, 4, (cases, blocks)) + np.linspace(0, 5, blocks)
    logs = random.normal(0, 1, (cases, 1)) + sigma * random.normal(size=(cases, blocks)) + shared * random.normal(size=(1, blocks))
    logs += drift * np.linspace(0, 1, blocks) + per_kelvin * degc
    return np.exp(logs).tolist(), degc.tolist()


@pytest.mark.parametrize("shared", [0.0, 0.02])
@pytest.mark.parametrize(("cases", "blocks"), [(1, 3), (1, 10), (2, 5), (6, 3), (12, 3), (12, 8), (30, 5)])
def test_false_alarms_are_at_most_5_percent(cases, blocks, shared):
    """Of both tests together, with unequal scatter, and with blocks that share a disturbance."""
    random = np.random.default_rng(7)
    alarms = sum(order_effect(*launches(random, cases, blocks, shared)) is not None for _ in range(RUNS))
    assert alarms / RUNS <= 0.06, alarms / RUNS


def test_a_drift_over_the_run_is_found():
    """2 % from the first to the last of five launches of ten cases with a scatter of 1 %."""
    random = np.random.default_rng(1)
    found = [order_effect(*launches(random, 10, 5, drift=0.02, scale=0.01)) for _ in range(200)]
    assert sum(effect is not None and effect.by == "order" for effect in found) / 200 > 0.6
    effects = [effect.change for effect in found if effect and effect.by == "order"]
    assert np.mean(effects) == pytest.approx(0.02, rel=0.3)


def test_warmer_starts_are_found():
    """0.3 % per kelvin; a drift of the room alone is not the start temperature's."""
    random = np.random.default_rng(2)
    found = [order_effect(*launches(random, 10, 5, per_kelvin=0.003, scale=0.01)) for _ in range(100)]
    assert sum(effect is not None for effect in found) > 90
    by_heat = [effect.change for effect in found if effect and effect.by == "start temperature"]
    assert np.mean(by_heat) == pytest.approx(0.003, rel=0.25)


def test_without_temperatures_the_order_is_tested():
    """Older runs, or cards that do not report one."""
    energies = [[1.0, 1.02 + 1e-4 * k, 1.04, 1.06 - 1e-4 * k] for k in range(4)]
    assert order_effect(energies).by == "order"
    assert order_effect(energies, [[None] * 4] * 4).by == "order"


@pytest.mark.parametrize("energies", [[], [[1.0, 1.1]], [[1.0], [1.0, 1.0]], [[2.0, 2.0, 2.0]] * 3])
def test_too_few_launches_or_no_scatter_show_nothing(energies):
    """No result, rather than one without a basis."""
    assert order_effect(energies) is None


def test_cases_with_more_launches_are_cut_and_those_with_fewer_left_out():
    """The stopping rule gives each case its own number; the first launches are compared."""
    rising = [[1.0, 1.02, 1.04 + 1e-4 * k, 1.06] for k in range(6)]
    effect = order_effect([*rising, [1.0, 2.0], [*rising[0], 5.0]])
    assert (effect.cases, effect.blocks) == (7, 4)
