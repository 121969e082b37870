"""Ratios between machines whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.decide.buyer import service_costs
from harness.decide.compare import compare
from harness.decide.differences import differences
from harness.report.differences import difference_lines
from tests import factories
from tests.decide.machines import OFFERS, machine
from tests.factories import COUNTERS, MODELLED


def verdicts(runs, quantity="energy"):
    """Verdicts of one quantity."""
    return [each.verdict for each in compare(runs) if each.quantity == quantity]


def test_a_known_ratio_is_found_and_its_interval_includes_both_gains():
    """Twice the energy: worse; 5 % of gain on two domains of each machine is 5 % of the ratio, 95 % of which is 10 %."""
    a, b = machine(), machine("box-2", 2e-3, seed=1)
    first = compare([a, b])[0]
    assert first.ratio.value == pytest.approx(2.0, rel=0.01)
    assert np.log(first.ratio.high / first.ratio.low) / 2 == pytest.approx(1.96 * 0.05, rel=0.05)
    assert verdicts([a, b]) == ["worse", "worse"]
    assert verdicts([b, a]) == ["better", "better"]


def test_equal_machines_with_sensors_drawn_by_their_gain_are_not_separated():
    """Of 100 pairs that differ only in their sensors about 5 get a winner (8 or fewer in 94 % of such draws); a difference by half is always found."""
    rng = np.random.default_rng(3)
    g = 0.05 / np.sqrt(2)
    pairs = [(machine(gain=1 + rng.normal(0, g), seed=k), 1 + rng.normal(0, g)) for k in range(100)]
    same = [verdicts([a, machine("box-2", gain=gain, seed=900 + k)]) for k, (a, gain) in enumerate(pairs)]
    assert sum("better" in each or "worse" in each for each in same) <= 8
    other = [verdicts([a, machine("box-2", 1.5e-3, gain, 900 + k)]) for k, (a, gain) in enumerate(pairs[:20])]
    assert other == [["worse", "worse"]] * 20


def test_modelled_energies_get_no_verdict_between_machines():
    """A model has no gain, so no interval either; latency has both."""
    a, b = machine(found=MODELLED), machine("box-2", 3e-3, found=MODELLED)
    energy = [each for each in compare([a, b]) if each.quantity == "energy"]
    assert [each.verdict for each in energy] == [None, None]
    assert all(np.isnan(each.ratio.low) and "modelled" in each.why_not for each in energy)
    assert None not in verdicts([a, b], "latency")


def test_machines_that_read_different_rails_are_compared_over_those_they_share():
    """A run as root and a run as a user, two sockets and one: over the widest common scope, which is a difference."""
    root, user = machine(joules=2e-3), machine("box-2", joules=2e-3, found=COUNTERS[:1], seed=1)
    (found,) = [each for each in differences([root, user]) if each.name.startswith("energy scope")]
    assert (found.values, found.prevents) == (("package+dram", "package"), False)
    assert (found.reason, found.detail) == ("common_scope", "package")
    energies = [each for each in compare([root, user]) if each.quantity == "energy"]
    assert [each.ratio.value for each in energies] == pytest.approx([1.0, 1.0], rel=0.02)
    rows = service_costs([root, user], OFFERS)
    assert {each.scope for each in rows} == {"package"}
    sockets = [COUNTERS[0].model_copy(update={"name": f"package:{k}"}) for k in range(2)]
    two = machine("box-2", joules=2e-3, found=sockets, seed=1)
    assert [each.prevents for each in differences([user, two]) if each.name.startswith("energy scope")] == []
    assert [each.ratio.value for each in compare([user, two]) if each.quantity == "energy"] == pytest.approx([2.0, 2.0], rel=0.02)


def test_a_test_double_is_simulated():
    """The kind of its latency, and a line about its energy."""
    cell = factories.case(engine="null")
    runs = [
        factories.stored([cell], [factories.record(cell, found=COUNTERS[:1], repetition=k) for k in range(3)], COUNTERS[:1])
        for _ in range(2)
    ]
    assert {each.kind for each in compare(runs) if each.quantity == "latency"} == {"simulated"}
    assert {each.kind for each in compare([machine(), machine("box-2")]) if each.quantity == "latency"} == {"measured"}
    fake = [d.model_copy(update={"kind": "simulated"}) for d in COUNTERS[:1]]
    found = [machine(found=fake), machine("box-2", found=fake)]
    assert "energy is SIMULATED" in "\n".join(difference_lines(found, differences(found)))
