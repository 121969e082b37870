"""Fronts of the objectives asked for, with a hypervolume that follows from the run."""

from __future__ import annotations

import pytest

from harness import frame
from harness.decide.fronts import fronts
from harness.errors import HarnessError
from harness.frame.objectives import parse, read, written
from harness.report.fronts import lines
from harness.schema import OBJECTIVES, Objective
from tests.factories import COUNTERS, case, digits, record, stored


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["energy", "macs"], "no direction"),
        (["energy", "enrgy"], "no column"),
        (["energy", "host:min"], "no numbers"),
        (["energy:max", "latency"], "not for choosing"),
        (["energy", "macs:up"], "no direction"),
        (["energy"], "two to"),
        (["energy", "energy_j:min"], "two to"),
    ],
)
def test_an_objective_that_is_none_is_refused(texts, words):
    """A column without a direction gets no front; each with a sentence."""
    with pytest.raises(HarnessError, match=words):
        parse(texts)


def test_the_usual_three_and_any_column():
    """Nothing said: energy, quality, latency."""
    assert parse([]) == OBJECTIVES
    assert [each.direction for each in parse(["memory", "throughput_per_s:max"])] == ["min", "max"]


def test_another_column_changes_who_is_dominated():
    """Worse in energy and latency, a case is dominated; with the smaller memory it is not."""
    cells = [case(), case("int8")]
    records = [
        record(c, latency_s=s, repetition=k, found=COUNTERS, peak_memory_bytes=m)
        for c, s, m in zip(cells, (20e-6, 10e-6), (1_000_000, 2_000_000), strict=True)
        for k in range(3)
    ]
    run = stored(cells, records, COUNTERS)
    for texts, lost in ((["energy", "latency"], True), (["energy", "latency", "memory"], False)):
        assert bool(frame.cases([run], parse(texts))["dominated"][0]) is lost


def test_the_hypervolume_follows_from_the_table_alone():
    """A redraw gives the same number; so does a run in other units, for the box is the run's own; another case moves it."""
    table = frame.cases([digits()])
    (first,) = fronts(table, OBJECTIVES)
    assert fronts(table, OBJECTIVES) == [first]
    scaled = table.copy()
    scaled["energy_j"] *= 0.5
    assert fronts(scaled, OBJECTIVES)[0].hypervolume == pytest.approx(first.hypervolume)
    worse = table.copy()
    worse.loc[worse["energy_j"].idxmax(), "energy_j"] *= 3
    assert fronts(worse, OBJECTIVES)[0].hypervolume > first.hypervolume
    assert any("hypervolume" in line for line in lines(first, OBJECTIVES))


def test_the_box_reaches_from_the_best_case_to_a_tenth_beyond_the_worst():
    """Two cases, each best in one objective: 1 less the corner that neither covers; all alike: the whole box."""
    table = frame.cases([digits()]).iloc[:2].copy()
    table["p_front"] = 0.5
    objectives = (OBJECTIVES[0], OBJECTIVES[1])
    table["energy_j"], table["quality"] = [1.0, 2.0], [0.8, 0.9]
    assert fronts(table, objectives)[0].hypervolume == pytest.approx((1.1 * 0.1 + 0.1 * 1.0) / 1.1**2)
    table["energy_j"], table["quality"] = [1.0, 1.0], [0.8, 0.8]
    assert fronts(table, objectives)[0].hypervolume == pytest.approx(1)


def test_the_table_names_the_objectives_of_its_front():
    """As text that the command takes, from which the report can be drawn again."""
    assert written(OBJECTIVES) == "energy;quality;latency"
    for texts in ([], ["memory", "throughput_per_s:max"], ["energy", "macs:min", "quality"]):
        table = frame.cases([digits()], parse(texts))
        assert read(table["front_objectives"].iloc[0]) == parse(texts)
    assert written([Objective(name="macs", column="macs", direction="min")]) == "macs:min"
    with pytest.raises(HarnessError, match="no column"):
        read("")
