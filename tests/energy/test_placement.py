"""Findings on operators that ran elsewhere than the case asks for."""

from __future__ import annotations

import pytest

from harness.energy.placement import examine_placement, examine_prepared, share_elsewhere

FACTS = {"placement": {"asked": "CUDA", "operators": {"CUDA": 9, "CPU": 3}, "elsewhere": {"Shape": 2, "NonZero": 1}}}
WHOLE = {"placement": {"asked": "CUDA", "operators": {"CUDA": 9}, "elsewhere": {}}}


def test_the_share_and_the_kinds_are_a_finding():
    """With values; the energy is still that of what ran."""
    (found,) = examine_placement("gpu", FACTS)
    assert (found.code, found.invalid, found.values["share"], found.values["count"]) == ("operators_elsewhere", False, 0.25, 3)
    assert found.sentence == "3 of 12 operators (25%) ran on CPU instead of CUDA: 2 Shape, NonZero"


@pytest.mark.parametrize(("device", "facts"), [("gpu", WHOLE), ("gpu", {}), ("cpu", FACTS)])
def test_nothing_is_found_otherwise(device, facts):
    """All operators on the card; an engine that reports none, whose device is checked in another way; a case on the CPU."""
    assert examine_placement(device, facts) == []


@pytest.mark.parametrize(("facts", "share"), [(FACTS, 0.25), (WHOLE, 0.0), ({}, None), ({"placement": None}, None)])
def test_the_share_is_unknown_without_a_report(facts, share):
    """Never 0 in its place."""
    assert share_elsewhere(facts) == share


@pytest.mark.parametrize(("state", "codes"), [("compiled again", ["compiled_again"]), ("built", []), ("compiled", []), (None, [])])
def test_an_engine_that_was_compiled_again_is_found(state, codes):
    """Its energy is used: the compilation is outside the window."""
    found = examine_prepared({"tensorrt_engine": state})
    assert [finding.code for finding in found] == codes and not any(finding.invalid for finding in found)
