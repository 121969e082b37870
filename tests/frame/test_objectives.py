"""Objectives of a front, parsed from text."""

from __future__ import annotations

import pytest

from harness import frame
from harness.errors import HarnessError
from harness.frame.objectives import parse, read, to_cell
from harness.schema import OBJECTIVES, Objective
from tests.factories import digits


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["energy", "macs"], "needs a direction"),
        (["energy", "enrgy"], "no column"),
        (["energy", "host:min"], "not numeric"),
        (["energy:max", "latency"], "is fixed"),
        (["energy", "macs:up"], "unknown direction"),
        (["energy"], "two to"),
        (["energy", "energy_j:min"], "two to"),
    ],
)
def test_an_invalid_objective_is_an_error(texts, words):
    """Unknown or textual columns, missing or wrong directions, too few or duplicate objectives."""
    with pytest.raises(HarnessError, match=words):
        parse(texts)


def test_the_usual_three_and_any_column():
    """Energy, quality and latency by default."""
    assert parse([]) == OBJECTIVES
    assert [each.direction for each in parse(["memory", "throughput_per_s:max"])] == ["min", "max"]


def test_the_table_names_the_objectives_of_its_front():
    """As text that --objective takes, from which the report can be redrawn."""
    assert to_cell(OBJECTIVES) == "energy;quality;latency"
    for texts in ([], ["memory", "throughput_per_s:max"], ["energy", "macs:min", "quality"]):
        table = frame.cases([digits()], parse(texts))
        assert read(table["front_objectives"].iloc[0]) == parse(texts)
    assert to_cell([Objective(name="macs", column="macs", direction="min")]) == "macs:min"
    with pytest.raises(HarnessError, match="no column"):
        read("")
