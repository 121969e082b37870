"""Whether the machine has settled."""

from __future__ import annotations

import numpy as np

from harness.energy.steady_state import is_steady
from harness.schema import Domain, Trace
from tests.energy.traces import COUNTER, GAUGE, MEAN, sampled, staircase


def test_a_steady_machine_and_a_warming_one():
    """0.5 K and 0.5 % a minute, beyond their noise; a model is ignored."""
    t_s = np.arange(0, 30, 0.5)
    warm = Domain(name="t", sensor="s", quantity="temperature", unit="degC", device="gpu")
    noise = np.random.default_rng(0).normal(0, 0.05, len(t_s))

    def level(domain, values):
        return is_steady(Trace({domain.name: domain}, {domain.name: sampled(t_s, values)}), 0, 30)

    assert level(warm, 60 + noise)
    assert not level(warm, 60 + 2 * t_s / 60 + noise)
    assert level(GAUGE, 200 + noise)
    assert not level(GAUGE, 200 * (1 + 0.02 * t_s / 60) + noise)
    assert level(MEAN, 20 + t_s)


def test_the_power_of_a_counter_must_be_level():
    """Between its ticks; with a single tick nothing is known to drift."""

    def level(true_j):
        return is_steady(Trace({"package": COUNTER}, {"package": staircase(true_j, until_s=30.0, step_s=0.02)}), 0, 30)

    assert level(lambda t: 100 * t)
    assert not level(lambda t: 100 * t + 0.5 * t**2)
