"""Fronts of what is asked for, with a hypervolume whose reference stays."""

from __future__ import annotations

import pytest

from harness import frame
from harness.decide.fronts import fronts
from harness.errors import HarnessError
from harness.frame.objectives import parse
from harness.report.fronts import lines
from harness.schema import OBJECTIVES, References
from harness.store import read_references, write_references
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


def test_the_reference_stays(tmp_path):
    """Kept beside the run, a second drawing counts from the same point; a new column is added, an old one not moved."""
    table = frame.cases([digits()])
    first, kept = fronts(table, OBJECTIVES, References())
    write_references(tmp_path, kept)
    again, same = fronts(table, OBJECTIVES, read_references(tmp_path))
    assert same == kept and [f.hypervolume for f in again] == [f.hypervolume for f in first]
    worse = table.copy()
    worse["energy_j"] *= 0.9
    better, still = fronts(worse, OBJECTIVES, kept)
    assert still == kept and better[0].hypervolume > first[0].hypervolume
    assert any("hypervolume" in line for line in lines(first[0], OBJECTIVES))
