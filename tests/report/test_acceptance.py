"""Acceptance as text."""

from __future__ import annotations

from harness.report.acceptance import RULES as TEXTS
from harness.report.acceptance import acceptance_lines
from harness.schema import Acceptance
from tests.decide.machines import on_a_gpu
from tests.decide.test_acceptance import CARD, GOOD, RULES, ruled


def lines(conditions=GOOD, card=CARD):
    return list(acceptance_lines(ruled(on_a_gpu("box-2", conditions=conditions, card=card))))


def test_every_rule_has_a_text():
    """And every text belongs to a rule."""
    assert set(TEXTS) == set(Acceptance.model_fields)


def test_the_first_line_names_the_run_its_machine_and_the_verdict():
    """Accepted only if every rule was checked."""
    first, *rest = lines()
    assert first == "acceptance of run-box-2 on box-2: accepted" and len(rest) == 5
    assert all(line.startswith("  passed ") for line in rest)
    assert lines({**GOOD, "foreign_load": 0.5})[0].endswith("NOT ACCEPTED, 1 of 5 rules broken")
    assert lines({**GOOD, "foreign_load": None})[0].endswith("inconclusive, 1 of 5 rules could not be checked")


def test_a_broken_rule_has_its_value_its_limit_its_case_and_the_remedy():
    """In one sentence."""
    (line,) = [line for line in lines({**GOOD, "foreign_load": 0.5}) if "max_foreign_cores" in line]
    assert "failed" in line and "up to 0.50 cores (limit 0.1); 1 of 1 cases, such as digits-cnn dense" in line and "stop them" in line
    (line,) = [line for line in lines(card={**CARD, "power_limit_w": 500.0}) if "default_power_cap" in line]
    assert "was not its default" in line


def test_without_rules_nothing_is_printed():
    """As before."""
    assert list(acceptance_lines(on_a_gpu())) == []
    assert RULES.exclusive_card
