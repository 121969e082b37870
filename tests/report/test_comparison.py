"""Ratios between machines as text."""

from __future__ import annotations

import pytest

from harness.decide.offers import Offer
from harness.report.comparison import letter, ratio_lines
from harness.report.costs import cost_lines
from tests import factories, generating
from tests.decide.machines import OFFERS, machine
from tests.factories import MODELLED


def test_a_missing_verdict_has_its_reason_in_the_cell_and_below():
    """Not below if every ratio has a verdict."""
    assert not any("none = no verdict" in line for line in ratio_lines([machine(), machine("box-2")]))
    modelled = list(ratio_lines([machine(found=MODELLED), machine("box-2", found=MODELLED)]))
    assert any("none: modelled" in line for line in modelled) and any(line.startswith("none = no verdict") for line in modelled)


def test_no_row_is_wider_than_a_terminal():
    """Three machines, one of them expensive, or all modelled: at most 80 characters. Sentences are folded when printed."""
    measured = [machine(), machine("box-2", seed=1), machine("box-3", 2e-3, seed=2)]
    modelled = [machine(found=MODELLED), machine("box-2", found=MODELLED), machine("box-3", found=MODELLED)]
    offers = OFFERS.model_copy(update={"offers": [*OFFERS.offers, Offer(machine="box-3", capital_cost=1.5e6, lifetime_years=4.0)]})
    rows = [
        line
        for runs in (measured, modelled)
        for line in (*ratio_lines(runs), *cost_lines(runs, offers))
        if line.startswith("  ") and ": " not in line.replace("none: ", "")
    ]
    assert len(rows) > 20 and max(map(len, rows)) <= 80, max(rows, key=len)


def test_a_ratio_that_is_not_separated_is_ns_with_a_footnote():
    """In the cell of the verdict; the term is defined below."""
    lines = list(ratio_lines([machine(), machine("box-2", seed=1)]))
    assert any(line.split()[0] == "B/A" and "n.s." in line for line in lines)
    assert sum("n.s. = not separated: not significantly different at 95 %" in line for line in lines) == 1


def test_runs_without_a_common_case():
    """A sentence instead of a table."""
    other = factories.stored([factories.case("other")], [factories.record(factories.case("other"))])
    assert list(ratio_lines([machine(), other])) == ["no case was measured on the base and on another machine"]


@pytest.mark.parametrize(("k", "name"), [(0, "A"), (25, "Z"), (26, "machine 27")])
def test_machines_have_letters(k, name):
    """Beyond Z a number."""
    assert letter(k) == name


def test_machines_are_compared_per_output_token_with_the_measured_loads():
    """J/token and TPOT; lengths and concurrency as measured on each."""
    text = "\n".join(ratio_lines([generating.sweep(), generating.other(1.3)]))
    assert "B/A      J/token   1.30" in text and "B/A      TPOT      1.00" in text
    assert "Loads of generated text as measured" in text
    assert "  B        16.0   48.0    0.990        0.596" in text
    assert not any(" energy " in line or " latency " in line for line in text.splitlines() if "B/A" in line)
