"""Effects of variants whose truth is known: the answer, or the reason why there is none."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness import frame
from harness.decide.effects import as_data, effects, requested_precision, verdict_count
from harness.frame.rows import rows_of
from tests.effects import (
    CLOSE,
    DENSE_J,
    EQUAL_J,
    FAILED,
    HALF,
    INVALID_ENERGY,
    LOADED,
    NOT_CONFIRMED,
    NOT_RUN,
    SIMULATED,
    TWICE,
    effect,
    launches,
    run_of,
    with_agreement,
    without_dense,
)
from tests.factories import COUNTERS, MODELLED, case, digits, stored


@pytest.mark.parametrize(
    ("energies", "dense", "answer", "ratio"),
    [
        (HALF, DENSE_J, "cheaper", 0.5),
        (TWICE, DENSE_J, "more_expensive", 2.0),
        (CLOSE, DENSE_J, "not_separated", 1.0),
        (EQUAL_J, EQUAL_J, "same", 1.0),
    ],
)
def test_the_answer_is_that_of_the_ratio_to_dense(energies, dense, answer, ratio):
    """Half the energy is cheaper, twice as much more expensive; the data are the columns of the table."""
    run = run_of(energies, dense=dense)
    found = effect(run)
    assert (found.answer, found.why_not) == (answer, "")
    assert found.energy.value == pytest.approx(ratio, rel=0.01)
    assert found.energy.low < ratio * 1.005 and found.energy.high > ratio * 0.995
    row = frame.cases([run]).iloc[1]
    assert (found.energy.value, found.energy.low, found.energy.high, found.energy.verdict) == (
        row.energy_vs_baseline, row.energy_vs_baseline_low, row.energy_vs_baseline_high, row.energy_verdict,
    )  # fmt: skip
    assert found.latency.value == row.latency_vs_baseline


@pytest.mark.parametrize(
    ("run", "why_not"),
    [
        (without_dense(HALF), "no_dense"),
        (run_of(HALF, dense=()), "dense_not_run"),
        (run_of(HALF, dense_changes=FAILED), "dense_failed"),
        (run_of(HALF, **FAILED), "failed"),
        (run_of(HALF, **INVALID_ENERGY), "invalid"),
        (run_of(HALF, dense_changes=INVALID_ENERGY), "dense_invalid"),
        (run_of((None,) * 3), "absent"),
        (run_of(HALF, dense=(None,) * 3), "dense_absent"),
        (run_of(HALF, environment_id="other"), "other_environment"),
        (run_of((0.0, 0.5e-3, 0.5e-3)), "not_positive"),
        (run_of(HALF, precision_ran="float32"), "not_run"),
        (run_of(HALF, warnings=(NOT_RUN,)), "not_run"),
        (run_of(HALF, warnings=(NOT_CONFIRMED,)), "not_confirmed"),
        (run_of(HALF[:1]), "one_launch"),
        (run_of(HALF, dense=DENSE_J[:1]), "one_launch"),
        (run_of((5e-4,) * 2, dense=(1e-3,) * 2), "no_scatter"),
    ],
)
def test_a_ratio_that_answers_nothing_gives_no_answer(run, why_not):
    """With the reason; never a guess from the point estimate."""
    found = effect(run)
    assert (found.answer, found.why_not) == (None, why_not)
    json.dumps(as_data(found))


def test_other_domains_and_kinds_have_no_ratio():
    """Package and DRAM against package alone, and a counter against a model."""
    cells = case(), case("int8")
    both = [r for c in cells for r in launches(c.variant, DENSE_J)]
    wider = [
        r if r.case_id == cells[0].case_id else r.model_copy(
            update={"measurements": (*r.measurements, r.measurements[0].model_copy(update={"domain": "dram"}))}
        )
        for r in both
    ]  # fmt: skip
    assert effect(stored(cells, wider, COUNTERS)).why_not == "other_domains"
    modelled = [
        r if r.case_id == cells[0].case_id else r.model_copy(
            update={"measurements": tuple(m.model_copy(update={"kind": "modelled"}) for m in r.measurements)}
        )
        for r in both
    ]  # fmt: skip
    assert effect(stored(cells, modelled, COUNTERS)).why_not == "other_kind"


@pytest.mark.parametrize(("found", "kind"), [(MODELLED[:1], "modelled"), (SIMULATED, "simulated"), (COUNTERS[:1], "counter")])
def test_the_kind_of_the_energy_is_part_of_the_ratio(found, kind):
    """So that no reader takes a model for a measurement."""
    assert effect(run_of(HALF, found=found)).energy.kind == kind


def test_the_latency_of_a_test_double_is_simulated():
    """Although its clock is real."""
    cells = case(engine="null"), case("int8", "null")
    records = [r for c in cells for r in launches(c.variant, HALF, engine="null", precision_ran=None)]
    assert effect(stored(cells, records, COUNTERS[:1])).latency.kind == "simulated"


@pytest.mark.parametrize(
    ("variant", "ran", "changes", "precision"),
    [
        ("int8", "int8", {}, "confirmed"),
        ("int8", "uint8", {}, "confirmed"),
        ("int8", "float32", {}, "not_run"),
        ("int8", None, {}, None),
        ("dynamic_int8", "int8 weights", {}, "weights_only"),
        ("int8_weight_only", "float32", {}, "weights_only"),
        ("int4_weight_only", "bfloat16", {}, "weights_only"),
        ("weight_int8", "float32", {}, "weights_only"),
        ("int8_weight_only", "float32", {"warnings": (NOT_RUN,)}, "not_run"),
        ("float16", "float32", {}, "weights_only"),
        ("float16", "float16", {}, "confirmed"),
        ("bfloat16", "bfloat16", {}, "confirmed"),
        ("bfloat16", "float32", {}, "not_run"),
        ("tf32", "float32", {}, "not_run"),
        ("fp8", "float8", {}, "confirmed"),
        ("int16x8", "int16x8", {}, "confirmed"),
        ("quantization_aware", "float32", {}, "not_run"),
        ("prune(final_sparsity=0.9)+int8", "float32", {}, "not_run"),
        ("compile", "float32", {}, None),
        ("custom(kind=int8)", "float32", {}, None),
        ("custom", "float32", {"warnings": (NOT_RUN,)}, "not_run"),
    ],
)
def test_the_precision_that_ran_and_the_requested_one(variant, ran, changes, precision):
    """A recipe of an outside package is known by its finding; a word in a parameter is no precision."""
    found = effect(run_of(HALF, variant, precision_ran=ran, **changes))
    assert found.precision == precision
    assert (found.answer is None) == (precision == "not_run")


def test_no_int8_kernel_is_no_int8():
    """Although the engine reports it."""
    kernels = tuple(k.model_copy(update={"precision": "float32"}) for k in digits().records[0].kernels)
    assert effect(run_of(HALF, kernels=kernels)).precision == "not_run"


def test_the_last_precision_of_a_chain_is_requested():
    """Parameters aside."""
    assert requested_precision("prune(final_sparsity=0.9)+int8") == "int8"
    assert requested_precision("quantization_aware") == "int8"
    assert requested_precision("prune(note=int8)") is None


def test_the_cost_in_quality_is_paired():
    """30 of 1,000 lost; agreement without labels; none without outputs, and no interval if samples were not kept."""
    cost = effect(run_of(HALF, right=(970, 940))).quality
    assert (cost.metric, cost.samples, cost.verdict) == ("accuracy", 1000, "inferior")
    assert cost.difference == pytest.approx(-0.03) and cost.low < -0.03 < cost.high < -0.01
    agreed = effect(with_agreement(HALF, 30)).quality
    assert (agreed.metric, agreed.difference) == ("agreement", pytest.approx(-0.03))
    assert effect(run_of(HALF, right=None)).quality is None
    unpaired = effect(replace(run_of(HALF), outputs={})).quality
    assert unpaired.low is None and unpaired.samples is None and unpaired.verdict is None


def test_warnings_that_change_a_ratio_are_doubts():
    """Of the variant or of dense."""
    assert effect(run_of(HALF)).doubts == ()
    assert effect(run_of(HALF, dense_changes={"warnings": (LOADED,)})).doubts == ("foreign_load",)


def test_the_largest_saving_comes_first_and_no_answer_last():
    """Also if its ratio is smaller."""
    variants = {"int8": HALF, "float16": (0.4e-3, 0.404e-3, 0.396e-3), "bfloat16": (0.1e-3, 0.101e-3, 0.099e-3), "compile": TWICE}
    cells = [case(), *map(case, variants)]
    records = [*launches("dense", DENSE_J)]
    for variant, energies in variants.items():
        records += launches(variant, energies, precision_ran="float32" if variant == "bfloat16" else variant, kernels=())
    rows = rows_of(frame.cases([stored(cells, records, COUNTERS[:1])]))
    assert [each.row["variant"] for each in effects(rows, 0.01)] == ["float16", "int8", "compile", "bfloat16"]
    assert verdict_count(rows) == 8


def test_the_data_are_json_with_null_for_absent():
    """And hold the build's energy with its payback."""
    data = json.loads(json.dumps(as_data(effect(run_of(HALF)))))
    assert data["answer"] == "cheaper" and data["why_not"] is None
    assert data["payback"]["verdict"] == "pays_back" and data["build_j"] == 50.0
    assert data["precision"] == {"requested": "int8", "ran": "int8", "result": "confirmed"}
    none = json.loads(json.dumps(as_data(effect(run_of((None,) * 3, right=None)))))
    assert none["energy"] is None and none["quality"] is None and none["payback"] is None
