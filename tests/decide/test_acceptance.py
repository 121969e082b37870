"""Acceptance rules of a suite, checked for runs whose conditions are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.decide.acceptance import check_acceptance
from harness.schema import Acceptance, Domain, Finding
from tests.decide.machines import machine, on_a_gpu

GOOD = {"gpu:0 temperature": 60.0, "gpu:0 memory_used": 1e8, "foreign_load": 0.02}
CARD = {"power_limit_w": 700.0, "power_limit_default_w": 700.0}
THERMOMETERS = tuple(
    Domain(name=name, sensor="nvml", quantity="temperature", unit="degC", device=device)
    for name, device in (("gpu:0 temperature", "gpu"), ("gpu:0 memory_temperature", "gpu"), ("cpu_temperature", "cpu"))
)
RULES = Acceptance(
    max_temperature_degc=85.0, max_temperature_range_k=5.0, max_foreign_cores=0.1, exclusive_card=True, default_power_cap=True
)


def ruled(run, rules=RULES):
    """The run with these rules and the thermometers of a card and a processor."""
    suite = run.header.suite.model_copy(update={"acceptance": rules})
    return replace(run, header=run.header.model_copy(update={"suite": suite, "domains": (*run.header.domains, *THERMOMETERS)}))


def checked(conditions=GOOD, card=CARD, launches=(), **changes):
    """Rule checks by name; `launches` are conditions or fields of single launches."""
    run = ruled(on_a_gpu(conditions=conditions, card=card), **changes)
    records = list(run.records)
    for k, update in enumerate(launches):
        own = dict(update)
        records[k] = records[k].model_copy(update={"conditions": {**records[k].conditions, **own.pop("conditions", {})}, **own})
    return {check.rule: check for check in check_acceptance(replace(run, records=tuple(records)))}


def test_a_run_that_keeps_all_rules_passes():
    """Each rule with what was found."""
    checks = checked()
    assert {check.outcome for check in checks.values()} == {"passed"} and len(checks) == 5
    assert (checks["max_temperature_degc"].worst, checks["max_foreign_cores"].worst) == (60.0, 0.02)


@pytest.mark.parametrize(
    ("rule", "launch", "worst"),
    [
        ("max_temperature_degc", {"conditions": {"gpu:0 temperature": 86.0}}, 86.0),
        ("max_temperature_range_k", {"conditions": {"gpu:0 temperature": 66.0}}, 6.0),
        ("max_foreign_cores", {"conditions": {"foreign_load": 0.5}}, 0.5),
        ("exclusive_card", {"warnings": (Finding(code="card_shared", sentence="gpu:0 was shared", remedy="stop it"),)}, 1.0),
        ("exclusive_card", {"warnings": (Finding(code="mig_shared", sentence="gpu:0 is partitioned", remedy="-", invalid=True),)}, 1.0),
    ],
)
def test_one_launch_breaks_a_rule(rule, launch, worst):
    """Whatever the others are; the case is named."""
    check = checked(launches=[{}, launch])[rule]
    assert (check.outcome, check.worst, check.cases, len(check.case_ids)) == ("failed", worst, 1, 1)
    assert bool(check.detail) == (rule == "exclusive_card")


def test_a_rule_at_its_limit_is_kept():
    """Limits are the largest allowed values."""
    edge = {"gpu:0 temperature": 85.0, "foreign_load": 0.1}
    assert {check.outcome for check in checked({**GOOD, **edge}).values()} == {"passed"}


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("max_temperature_degc", "gpu:0 temperature"),
        ("max_temperature_range_k", "gpu:0 temperature"),
        ("max_foreign_cores", "foreign_load"),
        ("exclusive_card", "gpu:0 memory_used"),
    ],
)
def test_what_was_not_read_is_inconclusive(rule, missing):
    """Not passed, even if it was read in the other launches; None is not 0."""
    check = checked(launches=[{"conditions": {missing: None}}])[rule]
    assert check.outcome == "inconclusive" and len(check.case_ids) == 1
    assert checked(dict(GOOD, **{missing: None}))[rule].outcome == "inconclusive"


@pytest.mark.parametrize(
    ("limit_w", "default_w", "outcome"),
    [(700.0, 700.0, "passed"), (699.0, 700.0, "passed"), (500.0, 700.0, "failed"), (800.0, 700.0, "failed"), (700.0, None, "inconclusive")],
)
def test_the_power_limit_is_the_default(limit_w, default_w, outcome):
    """Within rounding; unknown is inconclusive."""
    check = checked(card={"power_limit_w": limit_w, "power_limit_default_w": default_w})["default_power_cap"]
    assert check.outcome == outcome


@pytest.mark.parametrize(("chosen", "broken"), [("GPU-B", True), ("GPU-4090", False)])
def test_the_rules_apply_to_the_card_that_a_case_chose(chosen, broken):
    """Not to the first card that CUDA programs see; readings of the first one are not those of the chosen one."""
    run = ruled(on_a_gpu(conditions={**GOOD, "gpu:1 temperature": 91.0}, card=CARD))
    second = [
        d.model_copy(update={"name": d.name.replace("gpu:0", "gpu:1"), "device": "gpu:1", "detail": {**d.detail, "uuid": "GPU-B"}})
        for d in run.header.domains
        if d.name in ("gpu:0", "gpu:0 temperature")
    ]
    second[1] = second[1].model_copy(update={"detail": {}})
    here = run.header.environments[0]
    capped = {"domain": "gpu:1", "name": "H100", "uuid": "GPU-B", "power_limit_w": 500.0, "power_limit_default_w": 700.0}
    cases = tuple(case.model_copy(update={"card": chosen}) for case in run.header.suite.cases)
    changes = {
        "domains": (*run.header.domains, *second),
        "environments": (here.model_copy(update={"devices": (*here.devices, capped)}),),
        "suite": run.header.suite.model_copy(update={"cases": cases}),
    }
    checks = {check.rule: check for check in check_acceptance(replace(run, header=run.header.model_copy(update=changes)))}
    assert checks["max_temperature_degc"].worst == (91.0 if broken else 60.0)
    assert checks["default_power_cap"].outcome == ("failed" if broken else "passed")
    assert checks["exclusive_card"].outcome == ("inconclusive" if broken else "passed")


def test_the_memory_may_be_hotter_than_the_card():
    """Its limit is another one."""
    assert checked({**GOOD, "gpu:0 memory_temperature": 95.0})["max_temperature_degc"].outcome == "passed"


def test_rules_about_cards_do_not_apply_to_cases_on_the_cpu():
    """The others do."""
    names = [check.rule for check in check_acceptance(ruled(machine()))]
    assert names == ["max_temperature_degc", "max_temperature_range_k", "max_foreign_cores"]


def test_a_suite_without_rules_has_nothing_to_check():
    """A rule that is not written is not required."""
    assert check_acceptance(on_a_gpu()) == []
    assert check_acceptance(ruled(on_a_gpu(), Acceptance())) == []
