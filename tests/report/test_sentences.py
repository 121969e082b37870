"""Findings as sentences: only what the table supports, with its numbers."""

from __future__ import annotations

import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import sentences
from tests.factories import case, digits, record, stored


def findings_of(variant, times, dense=(1.0, 1.0, 1.0), changes=None, columns=None, quality=None):
    """Findings of a run of dense and one variant with these launches in microseconds."""
    cells = (case("dense"), case(variant))
    records = [
        record(c, None, t * 1e-6, quality, k, **(changes if c is cells[1] and changes else {}))
        for c, each in zip(cells, (dense, times), strict=True)
        for k, t in enumerate(each)
    ]
    rows = rows_of(frame.cases([stored(cells, records)]))
    return sentences([{**row, "kernels": None, "int8_share": None, **(columns or {})} for row in rows])


NEAR, WIDE = (1.0, 1.01, 1.02), (0.7, 1.0, 1.4)


def zeros(share):
    """An artifact with this share of zeros."""
    artifact = record(case()).artifact
    facts = artifact.facts.model_copy(update={"nonzero_parameters": round(24_000 * (1 - share))})
    return {"artifact": artifact.model_copy(update={"facts": facts})}


@pytest.mark.parametrize(
    ("times", "columns", "words"),
    [
        (NEAR, {"kernels": "Conv2D float32"}, ["pruned to 90 % zeros; no kernel used the zeros: no time was saved (p50 ratio 1.01 [0.98"]),
        (NEAR, {"kernels": "sparse_fully_connected"}, ["pruned to 90 % zeros: no time was saved"]),
        (NEAR, None, ["pruned to 90 % zeros: no time was saved (p50 ratio 1.01 [0.98"]),
        (WIDE, None, ["pruned to 90 % zeros; its time is not separated from dense's (p50 ratio"]),
        ((0.5, 0.51, 0.52), None, ["pruned to 90 % zeros, and was faster than dense on this CPU (0.508 x [0.4"]),
        ((1.5, 1.51, 1.52), None, ["pruned to 90 % zeros: no time was saved (p50 ratio 1.50 [1.4"]),
        ((1.0,), None, []),
    ],
)
def test_zeros_that_saved_no_time(times, columns, words):
    """With ratio and interval; whether a kernel used them if the kernels are known; nothing without an interval."""
    found = findings_of("prune(final_sparsity=0.9)", times, (1.0, 1.0, 1.01), zeros(0.9), columns)
    for sentence, start in zip(found, words, strict=True):
        assert sentence.startswith("prune(final_sparsity=0.9) on litert: ")
        assert f": {start}" in sentence


def test_few_zeros_are_not_pruning():
    """Nor are those that dense has too."""
    assert findings_of("prune(final_sparsity=0.9)", NEAR, changes=zeros(0.1)) == []


@pytest.mark.parametrize(
    ("variant", "ran", "times", "columns", "words"),
    [
        ("int8", "int8", (1.5, 1.51, 1.49), None, "int8 ran, and was slower than float32 on this CPU (1.50 x [1.4"),
        ("int8", "int8", (0.5, 0.51, 0.49), None, "int8 ran, and was faster than float32 on this CPU (0.498 x [0.4"),
        ("int8", "int8", WIDE, None, "int8 ran; its time is not separated from float32's (p50 ratio"),
        (
            "int8",
            "int8",
            (0.5, 0.51, 0.49),
            {"int8_share": 0.62},
            "int8 ran, 62 % of the time in int8 kernels, and was faster than float32",
        ),
        ("int8", "int8", NEAR, {"int8_share": 0.0}, "int8 was requested, but no int8 kernel ran"),
        ("int8", "float32", NEAR, None, "int8 was requested, but float32 ran"),
        ("prune(final_sparsity=0.9)+int8", "float32", NEAR, None, "int8 was requested, but float32 ran"),
        ("dynamic_int8", "int8 weights", (1.5, 1.51, 1.49), None, "int8 weights ran, and was slower than float32"),
        ("int16x8", "int16x8", (9.0, 9.1, 9.2), None, "int16x8 ran, and was slower"),
        ("float16", "float32", NEAR, None, "float16 was requested, but float32 ran"),
        ("weight_int8", "float32", (1.5, 1.51, 1.49), None, "weights in int8, float32 ran, and was slower than dense"),
        ("int8_weight_only+compile", "float32", (1.5, 1.51, 1.49), None, "weights in int8, float32 ran, and was slower than dense"),
        ("int8_dynamic", "float32", (1.5, 1.51, 1.49), None, "int8 was requested, but float32 ran, and was slower than dense"),
        ("fp8", "float8", (0.5, 0.51, 0.49), None, "float8 ran, and was faster than float32"),
        ("quantization_aware", "float32", NEAR, None, "int8 was requested, but float32 ran"),
        (
            "int8",
            "int8 weights",
            (0.5, 0.51, 0.49),
            {"warnings": "foreign_load;optimisation_not_confirmed"},
            "int8 was requested, but nothing confirms that it ran (the engine reports int8 weights), and was faster than dense",
        ),
        (
            "int8",
            None,
            WIDE,
            {"warnings": "optimisation_not_confirmed"},
            "int8 was requested, but nothing confirms that it ran; its time is not",
        ),
    ],
)
def test_the_precision_that_ran_and_the_requested_one(variant, ran, times, columns, words):
    """Slower or faster only if separated."""
    (found,) = findings_of(variant, times, (1.0, 1.0, 1.01), {"precision_ran": ran, **zeros(0.9 if "prune" in variant else 0.0)}, columns)
    assert f": {words}" in found


@pytest.mark.parametrize("variant", ["custom(kind=int8)", "cluster"])
def test_a_precision_that_was_not_requested_is_no_finding(variant):
    """A word in a parameter is not a precision; nor is there one if the engine reports none."""
    assert findings_of(variant, (1.5, 1.51, 1.49)) == []
    assert findings_of("int8", (1.5, 1.51, 1.49), changes={"precision_ran": None}) == []


def test_an_undecided_quality_has_the_samples_needed():
    """One sentence per case, with the columns in which cases differ."""
    rows = rows_of(frame.cases([digits()]))
    lines = sentences(rows)
    assert any("int8 on litert, batch 1" in each or "int8 on litert, cpu, batch 1" in each for each in lines)
    short = [each for each in lines if "may be worse than dense by more than the margin" in each]
    assert short and all("test samples would be needed" in each for each in short)
