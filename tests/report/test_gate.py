"""Checks of the gate as text, JUnit XML and Markdown."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from harness.decide.gate import Caveat, Check, gate, undetected
from harness.decide.thresholds import Thresholds
from harness.report.gate import SENTENCES, caveat_texts, headline, junit, sentence, summary, undetected_text
from tests import generating
from tests.decide.gated import CELLS, run


def test_the_detected_increase_grows_with_the_scatter():
    """It is never less than the threshold allows."""
    shares = undetected(gate(run(1), run(2), Thresholds(energy=0.0, latency=0.3, quality=None, memory=None)))
    assert shares["latency"] == 0.3 and 0.01 < shares["energy"] < 0.04
    (text,) = undetected_text(shares)
    assert "% in energy, 30 % in latency" in text
    noisy = [Check("a case", "energy", "passed", "tested", {}, 0.5, share) for share in (0.1, 1e300, 1e300)]
    assert undetected_text(undetected(noisy)) == ["smallest increase that is detected in the median case: over 1,000 % in energy"]
    assert undetected_text(undetected([])) == []


def test_names_cannot_break_out_of_the_files():
    """Markup in a case's name or a reason is text in XML and in Markdown."""
    evil = '"/><failure>|\n# <b>'
    checks = gate(run(2, CELLS[:-1]), run(1), Thresholds())
    checks = [c._replace(case_id=evil, reason="invalid", values={"codes": evil}) for c in checks]
    tree = ElementTree.fromstring(junit(checks, [evil], evil))
    assert {node.text for node in tree.findall("testcase/failure")} == {node.get("message") for node in tree.findall("testcase/failure")}
    assert tree.get("failures") == str(len(tree.findall("testcase/failure"))) == "1"
    assert "<b>" not in summary(checks, [evil], evil)
    assert "\n# " not in summary(checks, [evil], evil)


VALUES = {
    "base_not_ok": {"status": "oom"},
    "not_ok": {"status": "failed", "cause": "no memory"},
    "invalid": {"codes": "sensor_gap"},
    "few_launches": {"increase": 0.08},
    "tested": {"increase": 0.08, "alpha": 0.002, "threshold": 0.02},
    **{name: {"before": "rise", "now": "process"} for name in ("other_energy", "other_source", "other_metric")},
    **{f"quality_{name}": {"before": 0.97, "now": 0.95, "threshold": 0.01} for name in ("paired", "intervals", "unknown")},
}


@pytest.mark.parametrize("reason", SENTENCES)
def test_every_reason_has_a_sentence(reason):
    """With all its values, without a placeholder."""
    text = sentence(Check("c", "device_memory", "failed", reason, VALUES.get(reason, {}), 0.001))
    assert text and not set("{}") & set(text)


def test_a_tested_increase_has_its_p_value_and_threshold():
    """The numbers that decide."""
    check = Check("c", "energy", "failed", "tested", VALUES["tested"], 0.0012)
    assert sentence(check) == "energy +8.0% (p = 0.0012, significant below 0.002; up to 2% allowed)"


def test_the_headline_counts_the_outcomes():
    """Failed if a check is; inconclusive ones do not fail it."""
    passed, inconclusive = Check("c", "energy", "passed", "tested"), Check("c", "case", "inconclusive", "new")
    assert headline([passed, inconclusive]) == "gate: passed, 0 of 2 checks failed, 1 inconclusive"
    assert headline([passed, passed._replace(outcome="failed")]).startswith("gate: failed, 1 of 2")


def test_every_caveat_has_a_sentence():
    """With the values of both runs."""
    text = caveat_texts([Caveat("profiles", "quick", "standard"), Caveat("modelled")])
    assert text == ["the profiles differ: standard, was quick", "energy is modelled in some cases, not measured"]


def test_inconclusive_checks_are_skipped_in_junit():
    """As a test that was not performed, with its reason."""
    tree = ElementTree.fromstring(junit([Check("c", "case", "inconclusive", "new")], [], "a against b"))
    assert (tree.get("skipped"), tree.get("failures")) == ("1", "0")
    assert tree.find("testcase/skipped").text == "not in the base run"
    assert "### Inconclusive" in summary([Check("c", "case", "inconclusive", "new")], [], "a against b")


def test_a_check_of_generated_text_names_its_quantities():
    """`energy` and `latency` of text are per output token."""
    checks = gate(generating.other(1.3), generating.sweep(), Thresholds())
    texts = {check.metric: sentence(check) for check in checks if check.case_id.endswith("c4/in16/out48")}
    assert texts["energy"].startswith("energy per output token +30.0%") and texts["latency"].startswith("TPOT +0.0%")
