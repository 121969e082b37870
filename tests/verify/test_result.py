"""How values are compared, and how the result reads."""

from __future__ import annotations

import pytest

from harness.schema import Latency
from harness.verify import Verification

LATENCY = Latency(queries=10, mean_s=1e-3, p50_s=1e-3, p90_s=None, p95_s=None, p99_s=None)


@pytest.mark.parametrize(
    ("stored", "computed", "problem"),
    [
        (1.0, 1.0 + 1e-12, None),
        (1, 1.0, None),
        ("a", "a", None),
        (None, None, None),
        (0.9, 1.0, "is stored as 0.9, recomputed as 1 (-0.1 relative)"),
        (1.0, 0.0, "is stored as 1, recomputed as 0"),
        (None, 2.0, "is stored as missing, recomputed as 2"),
        (True, 1.5, "is stored as True, recomputed as 1.5"),
        ("low", "high", "is stored as 'low', recomputed as 'high'"),
    ],
)
def test_numbers_agree_within_rounding_and_the_rest_exactly(stored, computed, problem):
    """A problem gives both values, and of two numbers the relative difference."""
    result = Verification()
    result.compare("energy", "row", "gross_j", stored, computed)
    assert result.problems == ([f"row: gross_j {problem}"] if problem else [])
    assert result.recomputed == {"energy": 1}


def test_models_are_compared_field_by_field():
    """One that is missing differs in each field that the other has; two that are missing are one figure."""
    result = Verification()
    result.compare_fields("latency", "row", None, None)
    result.compare_fields("latency", "row", LATENCY, LATENCY.model_copy(update={"queries": 11}), "latency ")
    assert result.problems == ["row: latency queries is stored as 10, recomputed as 11 (-0.0909 relative)"]
    assert result.recomputed["latency"] == 1 + len(Latency.model_fields)
    result.compare_fields("latency", "row", None, LATENCY)
    assert "row: mean_s is stored as missing, recomputed as 0.001" in result.problems


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        (Verification(), ["verify: passed (no file checked, 0 figures recomputed)"]),
        (
            Verification(["it differs"], ["not checked"], files=3),
            ["problem  it differs", "note     not checked", "verify: FAILED: 1 problem (3 files checked, 0 figures recomputed)"],
        ),
    ],
)
def test_the_last_line_is_the_verdict(result, lines):
    """Problems come first."""
    assert list(result.lines()) == lines


def test_figures_are_counted_by_kind():
    """And in all."""
    result = Verification(["a", "b"])
    result.recomputed.update({"energy": 2, "quality": 1})
    assert list(result.lines())[-2:] == [
        "recomputed: energy 2, quality 1",
        "verify: FAILED: 2 problems (no file checked, 3 figures recomputed)",
    ]
