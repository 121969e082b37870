"""Hypervolume of a front, which follows from its run alone."""

from __future__ import annotations

import pytest

from harness import frame
from harness.decide.fronts import fronts
from harness.report.fronts import front_lines
from harness.schema import OBJECTIVES
from tests.factories import COUNTERS, case, digits, record, stored


def test_the_hypervolume_follows_from_the_table_alone():
    """A redrawn report has the same number, as has a run in other units; another worst case changes it."""
    table = frame.cases([digits()])
    (first,) = fronts(table, OBJECTIVES)
    assert fronts(table, OBJECTIVES) == [first]
    scaled = table.copy()
    scaled["energy_j"] *= 0.5
    assert fronts(scaled, OBJECTIVES)[0].hypervolume == pytest.approx(first.hypervolume)
    worse = table.copy()
    worse.loc[worse["energy_j"].idxmax(), "energy_j"] *= 3
    assert fronts(worse, OBJECTIVES)[0].hypervolume > first.hypervolume
    assert any("hypervolume" in line for line in front_lines(first, OBJECTIVES))


def test_the_box_reaches_from_the_best_case_to_a_tenth_beyond_the_worst():
    """Two cases, each best in one objective: 1 minus the corner that neither covers; equal cases: the whole box."""
    table = frame.cases([digits()]).iloc[:2].copy()
    table["p_front"] = 0.5
    objectives = (OBJECTIVES[0], OBJECTIVES[1])
    table["energy_j"], table["quality"] = [1.0, 2.0], [0.8, 0.9]
    assert fronts(table, objectives)[0].hypervolume == pytest.approx((1.1 * 0.1 + 0.1 * 1.0) / 1.1**2)
    table["energy_j"], table["quality"] = [1.0, 1.0], [0.8, 0.8]
    assert fronts(table, objectives)[0].hypervolume == pytest.approx(1)


def test_cases_timed_in_different_ways_are_on_different_fronts():
    """A latency without copies is no better than one with them; a CPU, which copies nothing, and a card with its defaults share a front."""
    cells = [case(), case("int8").model_copy(update={"copies": "inside"}), case("float16").model_copy(update={"in_flight": 4})]
    run = stored(cells, [record(c, found=COUNTERS, repetition=k) for c in cells for k in range(3)], COUNTERS)
    table = frame.cases([run])
    assert [len(each.rows) for each in fronts(table, OBJECTIVES)] == [1, 1, 1]
    assert list(table["p_front"]) == [1.0] * 3
    assert [each.name.rpartition(", ")[2] for each in fronts(table, OBJECTIVES)][1:] == ["copies inside", "4 in flight"]
    assert case(device="gpu").copies == "inside" and case(device="gpu").timing == case().timing == ""
