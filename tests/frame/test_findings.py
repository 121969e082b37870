"""Findings on a case as a whole."""

from __future__ import annotations

from harness.analysis.uncertainty import EDGES_DOMINATE
from harness.frame.findings import case_findings


def test_the_findings_of_a_row_are_those_that_its_warnings_name():
    """Findings of its records are not repeated."""
    assert case_findings({"warnings": None}) == []
    assert case_findings({"warnings": "foreign_load;edges_dominate"}) == [EDGES_DOMINATE]
    row = {"reference_case_id": "net/dense/torch", "reference_agreement": 0.5, "reference_relative_diff": 0.9, "reference_samples": 64}
    (found,) = case_findings({"warnings": "differs_from_reference", **row})
    assert "net/dense/torch: they agree on 50.0% of 64 samples" in found.sentence and found.remedy
