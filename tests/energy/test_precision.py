"""Whether the precision that a variant requests ran."""

from __future__ import annotations

import pytest

from harness.energy.precision import examine_instructions, examine_precision, examine_weights
from harness.schema import Kernel

IN_INT8 = [Kernel(op="Conv", precision="int8", share=0.8), Kernel(op="Softmax", precision="float32", share=0.2)]
IN_INT16X8 = [Kernel(op="Conv", precision="int16x8", share=1.0)]
IN_FLOAT = [
    Kernel(op="Conv", precision="int8", share=0.2, basis="macs"),
    Kernel(op="Gemm", precision="float32", share=0.8, basis="macs"),
]


@pytest.mark.parametrize(
    ("requested", "reported", "kernels", "stored", "code", "sentence"),
    [
        ("int8", "int8", IN_FLOAT, {"int8"}, "run", "float32 ran (20 % of the multiply-accumulates in int8 kernels): time"),
        ("float16", "bfloat16", [], None, "run", "bfloat16 ran"),
        ("int8", "float32", [], None, "run", "float32 ran"),
        ("int8", "int16x8", [], None, "run", "int16x8 ran"),
        ("int8", "uint8 weights", [], {"int8"}, "confirmed", "the engine reports no kernels, only 'uint8 weights'"),
        ("int8", "int8", [], {"int8"}, "confirmed", "the engine reports no kernels, only 'int8'"),
        ("int8", None, [], {"int8"}, "confirmed", "the engine reports neither kernels nor precision"),
        ("int8", None, [Kernel(op="Conv", share=1.0)], {"int8"}, "confirmed", "the engine reports neither kernels nor precision"),
        ("int8", "int8", IN_INT8, {"float32"}, "confirmed", "its kernels are int8, but the artifact stores only float32"),
        ("int8", "float32", IN_INT8, {"int8", "float32"}, None, ""),
        ("int8", "int8 weights", IN_INT8, None, None, ""),
        ("int16x8", "int16x8", IN_INT16X8, {"int8"}, None, ""),
        ("int16x8", "int16x8", IN_INT16X8, {"float32"}, "confirmed", "kernels are int16x8, but the artifact stores only float32"),
        ("int16x8", "int8 weights", IN_INT8, {"int8"}, "run", "requests int16x8, but int8 ran"),
        ("int8", "int16x8", IN_INT16X8, {"int8"}, "run", "int16x8 ran"),
        ("bfloat16", "bfloat16", IN_FLOAT, {"float32"}, "run", "requests bfloat16, but float32 ran"),
        ("bfloat16", "bfloat16", [], {"float32"}, "confirmed", "the engine reports no kernels, only 'bfloat16'"),
        ("tf32", "tf32", IN_FLOAT, {"float32"}, "run", "requests tf32, but float32 ran"),
        (
            "int8",
            "int8 weights",
            [Kernel(op="Conv", share=0.9), IN_FLOAT[1].model_copy(update={"share": 0.1})],
            None,
            "confirmed",
            "nothing",
        ),
        ("bfloat16", "bfloat16", [Kernel(op="Conv", precision="bfloat16", share=1.0)], {"float32"}, None, ""),
        (None, "float32", IN_FLOAT, {"float32"}, None, ""),
    ],
)
def test_kernels_confirm_the_requested_precision(requested, reported, kernels, stored, code, sentence):
    """If the artifact stores such numbers; the engine's report alone confirms nothing."""
    findings = examine_precision(requested, reported, kernels, stored)
    assert [f.code for f in findings] == ([f"optimisation_not_{code}"] if code else [])
    assert all(sentence in f.sentence and not f.invalid for f in findings)


def test_a_repetition_that_was_not_profiled_has_no_finding():
    """Kernels are requested once per case, and the engine's report on the whole file may differ from its kernels."""
    assert examine_precision("int8", "int8 weights", [], profiled=False) == []
    assert examine_precision("int8", "float32", [], profiled=False) == []


def test_a_precision_without_instructions_is_emulated():
    """As the engine's facts report; nothing is concluded from what they do not."""
    (found,) = examine_instructions({"float16_instructions": False, "bfloat16_instructions": True})
    assert found.code == "precision_emulated" and "no instructions for float16" in found.sentence and not found.invalid
    assert examine_instructions({"bfloat16_instructions": None}) == examine_instructions({}) == []


@pytest.mark.parametrize(
    ("weights", "code", "sentence"),
    [
        ({}, None, ""),
        ({"stored": {"Q8_0": 1.0}}, None, ""),
        ({"stored": {"Q8_0": 0.79, "F16": 0.21}, "requested_types": ["Q8_0"]}, None, ""),
        (
            {"stored": {"Q5_0": 0.58, "Q4_K": 0.3, "Q6_K": 0.118, "F32": 0.002}, "requested_types": ["Q4_K", "Q6_K"]},
            "stored_types_differ",
            "the variant requests weights in Q4_K/Q6_K, but only 42% of the parameters are stored so: the file stores 58% Q5_0, 30% Q4_K, 12% Q6_K",
        ),
        (
            {"random_weights": True},
            "cost_only",
            "its weights are random: energy and latency are those of the model, its quality has no meaning",
        ),
        ({"requantized_from": ["Q4_1"]}, "cost_only", "its weights were quantized to Q4_1 before, and keep the quality of that"),
    ],
    ids=["unknown", "dense", "mostly", "fallen back", "random", "requantized"],
)
def test_stored_weights_are_named_where_they_are_not_what_was_asked(weights, code, sentence):
    """Less than half of the parameters in the types of the variant, or weights whose quality has no meaning."""
    findings = examine_weights(weights)
    assert [each.code for each in findings] == ([code] if code else [])
    assert not code or (findings[0].sentence.startswith(sentence) and not findings[0].invalid)
