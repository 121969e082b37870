"""Selection of a case of a stored run."""

from __future__ import annotations

import pytest

from harness.decide.select import Weights
from harness.errors import HarnessError
from harness.report.selection import selection_lines
from tests.decide.selected import found, pair
from tests.factories import COUNTERS, INVALID, case, record, stored


def test_the_cheapest_case_that_satisfies_the_constraints_is_chosen():
    """Half of both costs: score 0.5, separated, best at every weight."""
    (selection,) = found(pair())
    assert selection.best["variant"] == "int8"
    assert selection.choice.scores[selection.choice.best] == pytest.approx(0.5, rel=1e-3)
    text = "\n".join(selection_lines(selection))
    assert "separated from every other" in text and "NOT SEPARATED" not in text
    assert "best at every weight" in text


def test_a_single_launch_separates_nothing():
    """There is a choice, whose lead is not separated."""
    (selection,) = found(pair(launches=1))
    assert selection.best["variant"] == "int8"
    assert any("NOT SEPARATED" in line for line in selection_lines(selection))


def test_invalid_and_failed_cases_are_never_chosen():
    """They are listed with the reason, even if their figures are the best."""
    for changes, why in (({"warnings": (INVALID,)}, "invalid: sensor_gap"), ({"status": "oom", "reason": "too big"}, "oom: too big")):
        (selection,) = found(pair(**changes))
        assert selection.best["variant"] == "dense"
        assert any("int8" in line and why in line for line in selection_lines(selection))


def test_measured_and_modelled_cases_have_separate_choices():
    """A group for each."""
    cells = [case(), case("int8")]
    records = [record(c, found=COUNTERS, repetition=k) for c in cells for k in range(3)]
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "modelled"}) for m in r.measurements)})
        if r.case_id == cells[1].case_id
        else r
        for r in records
    ]
    assert [{row["energy_kind"] for row in each.rows} for each in found(stored(cells, records, COUNTERS))] == [{"counter"}, {"modelled"}]


def test_a_lead_includes_the_gains_that_do_not_cancel():
    """In the same proportion of two sensors they cancel; with the energy on one sensor each, both gains of 5 % remain."""
    cells = [case(), case("int8")]

    def lead(*energies):
        records = [
            record(c, {d.name: j * (1 + 1e-4 * k) for d, j in zip(COUNTERS[:2], own, strict=True)}, repetition=k, found=COUNTERS[:2])
            for c, own in zip(cells, energies, strict=True)
            for k in range(3)
        ]
        (selection,) = found(stored(cells, records, COUNTERS[:2]), weights=Weights(0, 1))
        return selection.leads[0]

    alike, apart = lead((8e-4, 2e-4), (4e-4, 1e-4)), lead((1e-3, 1e-9), (1e-9, 5e-4))
    assert alike.value == pytest.approx(0.5) and alike.high - alike.value < 2e-3
    assert apart.value == pytest.approx(0.5, rel=1e-4) and apart.high - apart.value == pytest.approx(1.96 * 0.05 * 0.5 * 2**0.5, rel=0.02)


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (float("nan"), 1)])
def test_invalid_weights_are_an_error(weights):
    """Negative, all 0, or NaN."""
    with pytest.raises(HarnessError, match="not valid"):
        found(pair(), weights=Weights(*weights))


@pytest.mark.parametrize("timed", [{"copies": "inside"}, {"in_flight": 4}])
def test_cases_timed_in_different_ways_have_separate_choices(timed):
    """With or without copies, alone or in a queue: each is chosen among its own, and the text names how it was timed."""
    cells = [case(), case("int8")]
    cells[1] = cells[1].model_copy(update=timed)
    run = stored(cells, [record(c, found=COUNTERS, repetition=k) for c in cells for k in range(3)], COUNTERS)
    selections = found(run)
    assert [{row["variant"] for row in each.rows} for each in selections] == [{"dense"}, {"int8"}]
    assert cells[1].timing in selection_lines(selections[1])[0]
    assert cells[1].timing not in selection_lines(selections[0])[0]
