"""Findings on a case as a whole, which no record stores: they are recomputed from its row."""

from __future__ import annotations

from harness.analysis.uncertainty import EDGES_DOMINATE
from harness.frame.quality import DIFFERS, reference_finding
from harness.frame.rows import Row
from harness.schema import Finding


def case_findings(row: Row) -> list[Finding]:
    """Findings of a row of `cases` that its warnings name."""
    codes = (row["warnings"] or "").split(";")
    edges = [EDGES_DOMINATE] if EDGES_DOMINATE.code in codes else []
    return edges + ([reference_finding(row)] if DIFFERS in codes else [])
