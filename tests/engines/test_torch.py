"""The torch engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.engines.base import Load
from harness.engines.torch import Options, Torch
from harness.errors import EngineError
from tests.models import needs_torch, torch_report, torch_variants

SOURCES = ["torch", "pt2"]


def test_without_pytorch_it_is_refused_with_the_command():
    """Not a traceback of an import."""
    with pytest.raises(EngineError, match="make torch") as caught:
        Torch().open(Load(Path("x"), "torch", "cpu", 1, 1, Options()))
    assert caught.value.refused


@pytest.mark.parametrize("options", [{"compile_mode": "max-autotune"}, {"mode": "compile", "cuda_graphs": True}, {"dtype": "int8"}])
def test_options_that_contradict_each_other_are_errors(options):
    """In the suite, before anything runs."""
    with pytest.raises(ValidationError):
        Options(**options)


@needs_torch
@pytest.mark.parametrize("source", SOURCES)
def test_answers_are_those_of_the_bare_module(source):
    """Exactly in eager mode; in bfloat16 within its precision, as float32 arrays."""
    engine = torch_report()["engine"]
    assert engine[f"{source} eager"]["difference"] == 0.0
    assert 0 < engine[f"{source} bfloat16"]["difference"] < 0.05
    assert engine[f"{source} channels_last"]["difference"] < 1e-5
    assert {engine[f"{source} {name}"]["dtype"] for name in ("eager", "bfloat16", "channels_last")} == {"float32"}


@needs_torch
@pytest.mark.parametrize("mode", ["eager", "compile"])
def test_hooks_of_the_model_run(mode):
    """Pruning, weight normalisation and some libraries change the answer in hooks of the module itself."""
    assert torch_report()["engine"][f"{mode} with a hook"] < 1e-5


@needs_torch
def test_a_sequential_of_quantized_layers_is_compiled():
    """Dynamo traces its `__call__` differently from that of a class of the user's."""
    assert torch_report()["engine"]["compiled quantized layers"] < 1e-5


@needs_torch
@pytest.mark.parametrize("source", SOURCES)
def test_the_precision_is_that_of_the_kernels(source):
    """As PyTorch's profiler reports them."""
    for name, precision in (("eager", "float32"), ("bfloat16", "bfloat16")):
        case = torch_report()["engine"][f"{source} {name}"]
        assert case["precision"] == precision and case["kernels"] == [precision]


@needs_torch
@pytest.mark.parametrize("source", SOURCES)
def test_inputs_and_outputs_are_declared(source):
    """With a dynamic batch."""
    case = torch_report()["engine"][f"{source} eager"]
    assert case["inputs"] == [["image", [None, 1, 8, 8]]] and case["outputs"] == [[None, 10]]
    assert case["facts"]["threads"] == 1 and "tf32" not in case["facts"]


@needs_torch
def test_a_gpu_that_is_not_there_and_options_of_a_gpu_are_refused():
    """With the next step."""
    engine = torch_report()["engine"]
    assert "tf32 has no effect on the CPU" in engine["tf32 on cpu"]
    assert "finds no CUDA device" in engine.get("no gpu", "finds no CUDA device")


@needs_torch
@pytest.mark.parametrize(
    ("case", "reported", "ran", "findings"),
    [
        ('torch_int8 {"mode": "compile"}', "int8 weights", "int8", []),
        ("torch_int8 {}", "int8 weights", "float32", ["optimisation_not_run"]),
        ('dense {"dtype": "bfloat16"}', "bfloat16", "bfloat16", []),
        ("int8_weight_only {}", "int8 weights", "float32", []),
        ('int8_weight_only {"dtype": "bfloat16"}', "bfloat16 activations, int8 weights", "bfloat16", []),
        ("pair", "int8 weights", "int8", []),
    ],
)
def test_the_kernels_of_a_variant_are_what_ran(case, reported, ran, findings):
    """An exported program with int8 operators computes in float32 unless it is compiled; weights alone are never int8 arithmetic."""
    report = torch_variants()[case]
    assert (report["precision"], report["ran"], report["findings"]) == (reported, ran, findings)


@needs_torch
def test_options_that_do_not_go_with_the_artifact_or_the_device_are_refused():
    """Before anything is measured."""
    report = torch_variants()
    assert "does not go with a quantized program" in report['torch_int8 {"dtype": "bfloat16"}']["refused"]
    assert "option weights has no effect on the CPU" in report["weights on cpu"]["refused"]


@needs_torch
def test_whether_the_cpu_has_instructions_is_reported():
    """Without those for bfloat16 or float16 each product converts to float32."""
    facts = torch_variants()['dense {"dtype": "bfloat16"}']["facts"]
    assert facts["bfloat16_instructions"] in (True, False, None) and facts["freezing"] is False
    assert torch_variants()['torch_int8 {"mode": "compile"}']["facts"]["freezing"] is True
