"""The transformers engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.engines.base import Load
from harness.engines.transformers import Options, Transformers, cache_length
from harness.errors import EngineError
from harness.schema.served import TokenLoad
from tests.models import needs_torch, transformers_report

CASES = ["eager", "dynamic", "compile", "bfloat16", "stored", "int8_weight_only", "int8_dynamic", "int4_weight_only"]
LOAD = TokenLoad(concurrency=4, input_tokens=16, output_tokens=48)


def test_without_pytorch_it_is_refused_with_the_command():
    """Not a traceback of an import."""
    with pytest.raises(EngineError, match="make torch") as caught:
        Transformers().open_tokens(Load(Path("x"), "hf", "cpu", 1, 1, Options()), LOAD)
    assert caught.value.refused


@pytest.mark.parametrize("options", [{"mode": "compile", "cache": "dynamic"}, {"dtype": "int8"}, {"quantization": "int3"}, {"batch": 4}])
def test_options_that_contradict_each_other_are_errors(options):
    """In the suite, before anything runs."""
    with pytest.raises(ValidationError):
        Options(**options)


def test_every_variant_that_it_applies_has_options_that_exist():
    """And each changes something."""
    for options in Transformers.spec.by_options.values():
        assert Options(**options) != Options()


def test_its_child_uses_no_network():
    """Not even to look for a newer file."""
    environment = Transformers.environment(Load(Path("x"), "hf", "cpu", 1, 3, Options()))
    assert environment["HF_HUB_OFFLINE"] == "1" and environment["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("changes", "context", "length"),
    [
        ({}, None, 128),  # (1.25 x 16 + 48) x 1.5 = 102
        ({"spread": 0.0}, None, 96),
        ({"input_tokens": 1000}, 2048, 1952),
        ({"input_tokens": 1300}, 2048, 2048),  # the context limits what prompts may be longer by
    ],
)
def test_a_static_cache_holds_the_longest_prompt_and_answer(changes, context, length):
    """With a margin for prompts, whose tokens may be more than asked."""
    assert cache_length(LOAD.model_copy(update=changes), context) == length


def test_a_load_beyond_the_context_is_refused():
    """Before it is started."""
    with pytest.raises(EngineError, match="up to 96 tokens do not fit into the model's context of 64") as caught:
        cache_length(LOAD, 64)
    assert caught.value.refused


@needs_torch
@pytest.mark.parametrize("case", ["eager", "dynamic", "bfloat16"])
def test_the_tokens_are_those_of_generate(case):
    """Of transformers' own `generate` on the same batch of prompts of different lengths."""
    report = transformers_report()
    assert report[case]["answers"] == report[f"generate {case}"]
    assert all(len(answer) == 20 for answer in report[case]["answers"]) and report[case]["prompt_tokens"] == [12, 2, 20, 20]


@needs_torch
def test_compiled_and_single_sequences_have_the_same_tokens():
    """In float32; compiled without graph breaks, once."""
    report = transformers_report()
    expected = report["eager"]["answers"]
    assert report["compile"]["answers"] == expected and report["batch of 1"]["answers"] == expected
    compiled = {"graphs": 1, "graph_breaks": 0, "recompilations": 0}
    assert compiled.items() <= report["compile"]["facts"].items() and compiled.items() <= report["compile"]["closed"].items()


@needs_torch
def test_a_compiled_step_with_other_logits_is_refused():
    """Torchao's int8_dynamic had such code for a single sequence on a CPU; it would be fast, and wrong."""
    assert transformers_report()["compile"]["facts"]["compiled_difference"] < 1e-4
    assert "gives other logits than the eager one (relative difference 2.00)" in transformers_report()["wrong code"]


@needs_torch
@pytest.mark.parametrize("case", CASES)
def test_the_log_has_a_token_for_each_sequence_and_step(case):
    """Up to the length of each answer; two batches of four whose longest answers have 12 tokens."""
    load = transformers_report()[case]["load"]
    assert load["asked_tokens"] == load["output_tokens"] == [4, 8, 12, 12, 4, 8, 12, 12]
    assert load["status"] == [0] * 8 and load["events"] == load["tokens"] == 72 and load["steps"] == 24
    assert load["tokens_per_s"] > 0


@needs_torch
def test_logarithms_of_probabilities():
    """Negative, and the most probable of 258 tokens is more probable than an average one."""
    values = [value for answer in transformers_report()["eager"]["logprobs"] for value in answer]
    assert len(values) == 80 and all(-5.6 < value < 0 for value in values)


@needs_torch
@pytest.mark.parametrize(
    ("case", "precision", "parameters", "operator"),
    [
        ("eager", "float32", ["float32"], "aten::mm"),
        ("bfloat16", "bfloat16", ["bfloat16"], "aten::mm"),
        ("stored", "bfloat16", ["bfloat16"], "aten::mm"),
        ("int8_weight_only", "bfloat16 activations, int8 weights", ["bfloat16"], "aten::mm"),
        ("int8_dynamic", "bfloat16 activations, int8 weights", ["bfloat16"], "aten::_int_mm"),
        ("int4_weight_only", "bfloat16 activations, int4 weights", ["bfloat16"], "aten::_weight_int4pack_mm_for_cpu"),
    ],
)
def test_the_precision_is_that_of_parameters_and_kernels(case, precision, parameters, operator):
    """By the parameters, and by the operators of a step under the profiler."""
    report = transformers_report()[case]
    assert report["precision"] == precision and report["facts"]["parameter_types"] == parameters
    assert operator in report["operators"]


@needs_torch
def test_quantized_layers_are_counted():
    """With the class of the tensors that hold them; the layer of the logits stays."""
    report = transformers_report()
    facts = report["int8_weight_only"]["facts"]
    assert (facts["quantized"], facts["weight_tensors"]) == ("14 of 15 linear layers", "Int8Tensor")
    assert facts["quantized_weights"] == 2 * (2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 256)
    assert "quantized" not in report["eager"]["facts"]


@needs_torch
def test_facts():
    """Versions, types, attention, cache and batching."""
    facts = transformers_report()["eager"]["facts"]
    expected = {
        "batching": "static",
        "slots": 4,
        "cache": "StaticCache",
        "cache_length": 96,
        "context": 256,
        "attention": "sdpa",
        "threads": 1,
    }
    assert expected.items() <= facts.items()
    assert facts["architecture"] == "LlamaForCausalLM" and all(facts[name] for name in ("torch", "transformers", "parameters"))
    dynamic = transformers_report()["dynamic"]["facts"]
    assert (dynamic["cache"], dynamic["cache_length"]) == ("DynamicCache", None)


@needs_torch
def test_a_longer_answer_gets_a_longer_static_cache_for_its_batch():
    """And the next batch the planned one again."""
    assert transformers_report()["longer"] == {"planned": 96, "grown": 192, "after": 96, "same": True}


@needs_torch
@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("cut", "cut cannot be read as a language model of transformers"),
        ("incomplete", "incomplete lacks 1 weights of the model, such as model.layers.1.mlp.up_proj.weight"),
        ("wider", "wider has 21 weights of other sizes than its config.json, such as lm_head.weight of (258, 128) instead of (258, 256)"),
        ("pickled", "--trust"),
        ("no weights", "has no weights"),
        ("no tokenizer", "no tokenizer has no tokenizer"),
        ("unknown", "no_such_model"),
        ("code", "--trust"),
        ("masked", "cannot be read as a language model of transformers"),
        ("fp8", "torchao has no fp8 kernels for a CPU"),
        ("gpu", "finds no CUDA device"),
        ("context", "do not fit into the model's context of 256"),
    ],
)
def test_bad_input_is_a_sentence(case, sentence):
    """With what is wrong, and no traceback; weights that a folder lacks are not random ones."""
    assert sentence in transformers_report()["refusals"].get(case, sentence)
