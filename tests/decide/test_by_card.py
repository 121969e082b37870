"""The cards of one run, compared like machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.decide.by_card import by_card, split_cards
from harness.decide.compare import compare
from harness.decide.differences import differences
from tests.factories import CARD, COUNTERS, case, measurement, record, stored

SECOND = CARD[0].model_copy(update={"name": "gpu:1", "device": "gpu:1", "detail": {"name": "NVIDIA GeForce RTX 4090", "uuid": "GPU-B"}})


def on_two_cards(second_j=9.0, cards=("GPU-4090", "GPU-B")):
    """A case on each of two cards of one box, and one on the CPU."""
    plain = case(device="gpu")
    cases = [
        plain.model_copy(update={"case_id": f"m/dense/e/gpu:{card}/b1", "baseline_case_id": f"m/dense/e/gpu:{card}/b1", "card": card})
        for card in cards
    ]
    records = []
    for of, domain, joules in zip(cases, (CARD[0], SECOND), (6.0, second_j), strict=False):
        gpu = domain.model_copy(update={"device": "gpu"})
        records += [record(of, {}, repetition=k, measurements=(measurement(gpu, joules * (1 + 0.001 * k), 60_000.0),)) for k in range(4)]
    cpu = case()
    run = stored([*cases, cpu], [*records, record(cpu, {"package": 1.0}, found=COUNTERS)], (CARD[0], SECOND, COUNTERS[0]))
    devices = [{"domain": name, "name": "NVIDIA GeForce RTX 4090", "power_limit_w": w} for name, w in (("gpu:0", 450.0), ("gpu:1", 450.0))]
    environment = run.header.environments[0].model_copy(update={"devices": tuple(devices)})
    return replace(run, header=run.header.model_copy(update={"environments": (environment,)}))


def test_a_run_on_two_cards_is_two_runs():
    """With equal ids of the cases, the card as device gpu, and its own records only."""
    first, second = split_cards([on_two_cards()])
    assert [run.header.run_id.rpartition(" ")[2] for run in (first, second)] == ["GPU-4090", "GPU-B"]
    assert first.header.suite.cases[0].case_id == second.header.suite.cases[0].case_id == "m/dense/e/gpu/b1"
    assert {d.device for d in second.header.domains if d.name == "gpu:1"} == {"gpu"} and len(second.records) == 4


def test_the_cards_are_compared_with_both_gains():
    """1.5 times the energy; two sensors of 7 % each do not cancel."""
    runs = by_card(on_two_cards())
    energy = next(each for each in compare(runs) if each.quantity == "energy")
    assert energy.ratio.value == pytest.approx(1.5, rel=0.01)
    assert energy.ratio.high / energy.ratio.value > 1.15
    assert not [each.name for each in differences(runs) if each.prevents]


def test_one_card_is_one_run():
    """As is a run that chose none."""
    run = on_two_cards(cards=("GPU-B",))
    assert by_card(run) == [run]
    assert split_cards([run, run]) == [run, run]


def test_a_card_that_is_chosen_twice_is_compared_once():
    """As `gpu`, which is the first card, and by its UUID: the two cases are one."""
    run = on_two_cards()
    plain = case(device="gpu").model_copy(update={"case_id": "m/dense/e/gpu/b1", "baseline_case_id": "m/dense/e/gpu/b1"})
    cases = (plain, *run.header.suite.cases)
    suite = run.header.suite.model_copy(update={"cases": cases})
    first, _ = by_card(replace(run, header=run.header.model_copy(update={"suite": suite})))
    assert [(each.case_id, len(first.records)) for each in first.header.suite.cases] == [("m/dense/e/gpu/b1", 4)]
