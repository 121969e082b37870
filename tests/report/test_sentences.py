"""What the report says happened: only what the table shows, with its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import page, sentences
from harness.schema import Model
from tests.factories import case, digits, record, stored


def told(variant, times, dense=(1.0, 1.0, 1.0), changes=None, columns=None, quality=None):
    """The sentences of a run of dense and one variant, launches of these microseconds."""
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
    """An artifact with that share of zeros."""
    artifact = record(case()).artifact
    facts = artifact.facts.model_copy(update={"nonzero_parameters": round(24_000 * (1 - share))})
    return {"artifact": artifact.model_copy(update={"facts": facts})}


@pytest.mark.parametrize(
    ("times", "columns", "said"),
    [
        (NEAR, {"kernels": "Conv2D float32"}, ["pruned to 90 % zeros, no kernel used them: no time saved (p50 ratio 1.01 [0.98"]),
        (NEAR, {"kernels": "sparse_fully_connected"}, ["pruned to 90 % zeros: no time saved"]),
        (NEAR, None, ["pruned to 90 % zeros: no time saved (p50 ratio 1.01 [0.98"]),
        (WIDE, None, ["pruned to 90 % zeros; its time is not separated from dense's (p50 ratio"]),
        ((0.5, 0.51, 0.52), None, ["pruned to 90 % zeros, and was faster than dense on this CPU (0.508 x [0.4"]),
        ((1.5, 1.51, 1.52), None, ["pruned to 90 % zeros: no time saved (p50 ratio 1.50 [1.4"]),
        ((1.0,), None, []),
    ],
)
def test_zeros_that_saved_nothing_are_said(times, columns, said):
    """With the ratio and its interval; that no kernel used them only where the kernels are known; nothing without an interval."""
    found = told("prune(final_sparsity=0.9)", times, (1.0, 1.0, 1.01), zeros(0.9), columns)
    assert len(found) == len(said)
    for sentence, start in zip(found, said, strict=True):
        assert sentence.startswith("prune(final_sparsity=0.9) on litert: ")
        assert f": {start}" in sentence


def test_few_zeros_are_not_pruning():
    """Nor are those that dense has too."""
    assert told("prune(final_sparsity=0.9)", NEAR, changes=zeros(0.1)) == []


@pytest.mark.parametrize(
    ("variant", "ran", "times", "columns", "said"),
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
def test_what_ran_is_said_beside_what_was_asked_for(variant, ran, times, columns, said):
    """And whether it was slower or faster only where that is separated."""
    (found,) = told(variant, times, (1.0, 1.0, 1.01), {"precision_ran": ran, **zeros(0.9 if "prune" in variant else 0.0)}, columns)
    assert f": {said}" in found


@pytest.mark.parametrize("variant", ["custom(kind=int8)", "cluster"])
def test_what_was_not_asked_for_is_not_said(variant):
    """A word in a parameter is no precision; an engine that does not tell is not quoted."""
    assert told(variant, (1.5, 1.51, 1.49)) == []
    assert told("int8", (1.5, 1.51, 1.49), changes={"precision_ran": None}) == []


def test_quality_that_is_not_shown_tells_the_samples_it_takes():
    """One sentence a case; what tells a case from the others stands before it."""
    rows = rows_of(frame.cases([digits()]))
    said = sentences(rows)
    assert any("int8 on litert, batch 1" in each or "int8 on litert, cpu, batch 1" in each for each in said)
    short = [each for each in said if "not shown to be non-inferior to dense" in each]
    assert short and all("test samples would decide it" in each for each in short)


def test_the_method_says_what_agreement_is_and_where_it_is_on_noise():
    """Only where the table has it."""
    table = digits()
    assert not any("Agreement is" in each or "noise" in each for each in page.method(table.header, rows_of(frame.cases([table]))))
    rows = [{**row, "quality_metric": "agreement"} for row in rows_of(frame.cases([table]))]
    model = Model(name="digits-cnn", format="onnx", sha256="0" * 64, metric=None)
    suite = table.header.suite.model_copy(update={"models": (model,)})
    said = page.method(table.header.model_copy(update={"suite": suite}), rows)
    assert any("Agreement is the share of samples" in each for each in said)
    assert any("seeded noise" in each and "digits-cnn" in each for each in said)


def test_the_page_has_them(tmp_path):
    """In a section of their own, with what the verdict means."""
    run = digits()
    frames = frame.tables([run])
    html = page.render(run, frames, "<svg></svg>")
    assert "Findings" in html and "not shown to be non-inferior" in html
    assert "non-inferior within 0.01" in html
    assert not np.any([sentence not in html.replace("&#39;", "'").replace("&gt;", ">") for sentence in sentences(rows_of(frames["cases"]))])


def test_a_modelled_power_is_called_a_guess_with_its_bounds():
    """In the method notes, where the energy is modelled; a model without bounds, as in older runs, has no such sentence."""
    run = digits()
    rows = rows_of(frame.cases([run]))
    assert not any("a guess" in each for each in page.method(run.header, rows))
    detail = {"tdp_w": 64.0, "low_w": 8.0, "high_w": 150.0, "tdp_source": "KVM: its share is not known"}
    domains = (run.header.domains[0].model_copy(update={"detail": detail}), *run.header.domains[1:])
    (sentence,) = [each for each in page.method(run.header.model_copy(update={"domains": domains}), rows) if "a guess" in each]
    assert sentence.startswith("The power of package is modelled, a guess: 64 W at full load, between 8 and 150 W (KVM")
