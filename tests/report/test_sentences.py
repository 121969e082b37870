"""The effect of each variant in a sentence: only what the table supports, with its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report.sentences import REASONS, joint_alpha, output_sentences, preface, run_effects, sentences
from harness.schema import StoredOutputs
from tests import generating
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
    PACKAGE,
    SIMULATED,
    TWICE,
    launches,
    run_of,
    sentence,
    with_agreement,
    without_dense,
)
from tests.factories import FLOAT_KERNELS, MODELLED, case, digits, record, stored


def rows_of_run(run):
    """Rows of the table of a run."""
    return rows_of(frame.cases([run]))


def zeros(share):
    """Fields of a record with an artifact with this share of zeros."""
    artifact = record(case()).artifact
    facts = artifact.facts.model_copy(update={"nonzero_parameters": round(24_000 * (1 - share))})
    return {"artifact": artifact.model_copy(update={"facts": facts})}


def test_a_cheaper_variant_has_ratio_interval_quality_precision_and_payback():
    """All in one sentence, without a full stop."""
    text = sentence(run_of(HALF, right=(970, 969)))
    assert text.startswith("int8 on litert (cpu, batch 1, 1 thread) is cheaper and faster: 0.500 x the energy of dense [0.48"), text
    for words in (
        "], 0.500 x the p50 latency [0.48", "; accuracy -0.1 points [-0.4", "(1,000 paired samples), within the margin of 1 point; int8 ran; "
        "its build pays back after 100,000 [9",
    ):  # fmt: skip
        assert words in text, text
    assert not text.endswith(".") and "doubtful" not in text and "modelled" not in text


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (run_of(TWICE), "is more expensive and slower: 2.00 x the energy of dense [1.9"),
        (run_of(CLOSE), "is not shown to be cheaper or more expensive: 0.996 x the energy of dense [0.9"),
        (run_of(EQUAL_J, dense=EQUAL_J), "uses the same energy within 1 %: 1.00 x the energy of dense [1.000, 1.00]"),
        (run_of(HALF, found=MODELLED[:1]), "is cheaper and faster (modelled): 0.500 x the energy of dense"),
        (run_of(HALF, found=SIMULATED), "is cheaper and faster (simulated): 0.500 x the energy of dense"),
        (run_of((None,) * 3), "has no verdict: its energy was not measured: 1.00 x the p50 latency of dense [0.975, 1.03] n.s.; accuracy"),
        (run_of(HALF, dense=(None,) * 3), "has no verdict: the energy of dense was not measured: 0.500 x the p50 latency of dense ["),
        (run_of(HALF, precision_ran="float32"), "has no verdict: float32 ran, so this is not the ratio of int8: 0.500 x the energy of dense ["),
        (run_of(HALF, warnings=(NOT_RUN,), found=MODELLED[:1], precision_ran="float32"), "float32 ran, so this is not the ratio of int8: 0.500 x the modelled energy"),
        (run_of(HALF, warnings=(NOT_RUN,)), "has no verdict: no int8 kernel ran, so this is not the ratio of int8"),
        (
            run_of(HALF, warnings=(NOT_CONFIRMED,)),
            "has no verdict: nothing confirms that int8 ran (the engine reports int8), so this may not be the ratio of int8: 0.500 x",
        ),
        (run_of(HALF, warnings=(NOT_CONFIRMED,), precision_ran=None), "nothing confirms that int8 ran, so this may not be"),
        (run_of(HALF[:1]), "has no verdict: a single launch has no interval: 0.500 x the energy of dense, 0.500 x the p50 latency; accuracy"),
        (run_of((5e-4,) * 2, dense=(1e-3,) * 2), "has no verdict: identical launches have no interval: 0.500 x the energy of dense"),
        (without_dense(HALF), "has no verdict: the suite has no dense case with the same settings; add `dense` to `variants`: quality"),
        (run_of(HALF, dense=()), "has no verdict: its dense case has not run: quality not compared"),
        (run_of(HALF, dense_changes=FAILED), "has no verdict: its dense case did not complete (failed): quality not compared"),
        (run_of(HALF, **INVALID_ENERGY), "has no verdict: its energy is invalid (sensor_gap): 0.500 x the p50 latency of dense"),
        (run_of(HALF, dense_changes=INVALID_ENERGY), "has no verdict: the energy of dense is invalid (sensor_gap): 0.500 x the p50"),
        (run_of(HALF, environment_id="other"), "has no verdict: dense was measured in another environment, so the ratio is also that of two"),
        (run_of((0.0, 0.5e-3, 0.5e-3)), "has no verdict: an energy is not positive: "),
        (run_of(HALF, dense_changes={"warnings": (LOADED,)}), "; doubtful: foreign_load"),
        (run_of(HALF, right=None), "; quality not measured; int8 ran"),
        (run_of(HALF, "int8_weight_only", precision_ran="float32"), "is cheaper and faster: "),
        (run_of(HALF, "int8_weight_only", precision_ran="float32"), "; int8 weights, float32 arithmetic;"),
        (run_of(HALF, "dynamic_int8", precision_ran="int8 weights"), "; int8 weights, arithmetic not reported;"),
        (run_of(HALF, dense_changes={"precision_ran": "bfloat16"}), "; int8 ran; dense ran in bfloat16;"),
        (run_of(HALF, dense_changes={"engine_facts": {"tf32": True}}), "; int8 ran; dense ran in float32 with TF32 allowed;"),
        (run_of(HALF, "custom", warnings=(NOT_RUN,), precision_ran="float32"), "float32 ran, so this is not the ratio of custom"),
    ],
)  # fmt: skip
def test_every_case_is_named(run, words):
    """What is not measured, not separated or not confirmed is named in the sentence itself."""
    assert words in sentence(run)


def test_a_failed_case_has_no_figures():
    """Its reason is in the list of problems."""
    assert sentence(run_of(HALF, **FAILED)).endswith("has no verdict: the case did not complete (failed)")


def test_energy_and_speed_may_disagree():
    """Slower and cheaper, as a lower clock would be; faster without a verdict on the energy."""
    slow = run_of(HALF)
    slower = [
        r.model_copy(update={"latency": record(case(), None, 60e-6).latency}) if "int8" in r.case_id else r
        for r in slow.records
        if r.case_id
    ]
    times = [
        r.model_copy(update={"latency": r.latency.model_copy(update={"p50_s": r.latency.p50_s * (1 + 1e-3 * r.repetition)})})
        for r in slower
    ]
    assert "is cheaper but slower: 0.500 x the energy of dense" in sentence(replace(slow, records=tuple(times)))


def test_a_ratio_that_is_separated_only_alone_is_marked():
    """Its own interval does not contain 1, but the verdicts hold jointly for all ratios of the run."""
    text = sentence(run_of((0.943e-3, 0.96e-3, 0.977e-3)))
    assert "is not shown to be cheaper or more expensive: 0.960 x the energy of dense [0.9" in text
    assert "] n.s. jointly, 0.960 x the p50 latency" in text


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ((970, 970), "accuracy 0 points [-0.27, +0.27] (1,000 paired samples), within the margin of 1 point"),
        ((970, 940), "accuracy -3 points [-4"),
        ((970, 940), "], a loss above the margin of 1 point;"),
        ((970, 962), "a loss above the margin of 1 point is not excluded (about 496 samples needed)"),
    ],
)
def test_the_cost_in_quality(right, words):
    """In points of the metric, against the suite's margin."""
    assert words.replace("], a", "(1,000 paired samples), a") in sentence(run_of(HALF, right=right))


def test_quality_without_labels_is_agreement_with_dense():
    """And without kept samples there is no interval."""
    assert "agreement with dense -3 points [-4" in sentence(with_agreement(HALF, 30))
    assert "accuracy 0 points, without an interval;" in sentence(replace(run_of(HALF), outputs={}))


def test_the_unit_of_a_users_metric_is_its_own():
    """Its accuracy may be in percent already."""
    run = run_of(HALF, right=(970, 940))
    quality = {"metric": "mine:accuracy", "direction": "higher", "samples": 1000}
    records = [r.model_copy(update={"quality": r.quality.model_copy(update=quality)}) if r.quality else r for r in run.records]
    assert "; mine:accuracy -0.03 [-0.04, -0.022] (1,000 paired samples), a loss above the margin of 0.01;" in sentence(
        replace(run, records=tuple(records))
    )


def test_zero_weights_and_whether_a_kernel_used_them():
    """Only if dense does not have them."""
    pruned = run_of(CLOSE, "prune(final_sparsity=0.9)", precision_ran="float32", **zeros(0.9), kernels=FLOAT_KERNELS)
    assert "; 90 % of its weights are zero, which no kernel used" in sentence(pruned)
    unknown = run_of(CLOSE, "prune(final_sparsity=0.9)", precision_ran="float32", **zeros(0.9))
    assert sentence(unknown).endswith("; 90 % of its weights are zero")
    assert "zero" not in sentence(run_of(CLOSE, "prune(final_sparsity=0.9)", **zeros(0.9), dense_changes=zeros(0.9)))


def test_the_share_of_int8_kernels():
    """Of the time, or of the multiply-accumulates if the engine reports no times."""
    kernels = tuple(k.model_copy(update={"precision": "int8"}) for k in FLOAT_KERNELS)
    assert "; int8 ran (100 % of the time)" in sentence(run_of(HALF, kernels=kernels))
    macs = tuple(k.model_copy(update={"basis": "macs"}) for k in kernels)
    assert "; int8 ran (100 % of the multiply-accumulates)" in sentence(run_of(HALF, kernels=macs))


def test_outputs_that_are_not_finite_are_named():
    """Of a variant in its sentence, of dense in one of its own."""
    broken = np.array([[np.nan, 1], [0, 1], [np.inf, 1], [2, 3]], np.float32)
    cells = case(), case("int8")
    run = stored(cells, [*launches("dense", DENSE_J, quality=None), *launches("int8", HALF, quality=None)], PACKAGE)
    run = replace(run, outputs={each.case_id: StoredOutputs(outputs=broken) for each in cells})
    assert "; 50 % of its outputs are not finite" in sentence(run)
    assert output_sentences(rows_of_run(run))[0].startswith("dense on litert (cpu, batch 1, 1 thread): 50 % of its outputs are not finite")


def test_models_are_named_if_there_are_several():
    """In front of the variant."""
    cells = [case(v, model=m) for m in ("a", "b") for v in ("dense", "int8")]
    records = [
        record(c, {"package": j * (0.5 if c.variant == "int8" else 1)}, 1e-5, None, k, PACKAGE)
        for c in cells
        for k, j in enumerate(DENSE_J)
    ]
    run = stored(cells, records, PACKAGE)
    assert {text.split(":")[0] for text in sentences(run.header, rows_of_run(run))} == {"a", "b"}


def test_the_preface_explains_brackets_and_verdicts():
    """And names what all ratios share."""
    run = digits()
    text = preface(run.header, rows_of_run(run))
    assert "95 % intervals, of quality one-sided 95 % bounds" in text
    assert "bounds. Energy: modelled (package+dram). The verdicts" in text
    assert "hold jointly for 21 ratios (Shaffer, 5 %); n.s. = not separated" in text
    assert "Modelled energy follows the CPU load and was not measured." in text and "doubtful" not in text
    fake = run_of(HALF, found=SIMULATED)
    assert "Simulated energy is not valid for any real machine." in preface(fake.header, rows_of_run(fake))
    assert joint_alpha(run_of(HALF, profile="standard").header) == 0.01


def test_a_doubt_of_all_variants_is_named_once():
    """In the preface, not in each sentence."""
    variants = ("int8", "float16")
    cells = [case(), *map(case, variants)]
    records = [r for v, e in zip(("dense", *variants), (DENSE_J, HALF, CLOSE), strict=True) for r in launches(v, e, warnings=(LOADED,))]
    run = stored(cells, records, PACKAGE)
    rows = rows_of_run(run)
    assert "All ratios are doubtful: foreign_load." in preface(run.header, rows)
    assert not [text for text in sentences(run.header, rows) if "doubtful" in text]
    assert all("doubtful: foreign_load" in each["sentence"] for each in run_effects(run.header, rows)["effects"])


def test_the_data_hold_each_sentence_and_the_references():
    """As `report --json` prints them."""
    run = digits()
    data = run_effects(run.header, rows_of_run(run))
    assert (data["run_id"], data["joint_ratios"], data["joint_alpha"]) == ("run", 21, 0.05)
    assert all(each["sentence"].startswith(each["variant"]) for each in data["effects"])
    assert all(each["reference_case_id"] == "digits-cnn dense litert cpu b1 t1 single_stream" for each in data["references"][:1])


def test_every_reason_is_a_clause():
    """Lower case, without a full stop."""
    assert not [text for text in REASONS.values() if text[0].isupper() or text.endswith(".")]


def test_the_sentence_on_generated_text_is_per_output_token():
    """Energy per output token and TPOT at one load, with the noise floor next to the agreement."""
    run = generating.sweep()
    lines = sentences(run.header, rows_of(frame.cases([run])))
    (line,) = [line for line in lines if line.startswith("q8_0 on openai-server (cpu, c4/in16/out48, 1 thread) is cheaper and faster")]
    assert "0.764 x the energy per output token of dense [" in line and "0.800 x the p50 TPOT [" in line
    assert "dense agrees with itself to 98.0 %" in line
    assert (
        "cost only: its weights are random"
        in sentences(run.header, [row | {"cost_only": "its weights are random"} for row in rows_of(frame.cases([run]))])[0]
    )


def test_a_doubtful_count_of_tokens_makes_the_ratio_doubtful():
    """As does a batch that was not reached."""
    run = generating.sweep()
    rows = [row | {"warnings": "tokens_disagree;batch_not_reached"} for row in rows_of(frame.cases([run]))]
    assert "All ratios are doubtful: tokens_disagree, batch_not_reached." in preface(run.header, rows)
