"""Pickled modules: only ours, or the user's with trust."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness.formats.torch_module import SIGNATURE, Loaded, TorchModule
from tests.models import TORCH, needs_torch, torch_report, torch_variants


def test_inputs_are_read_from_the_signature_without_pytorch(tmp_path):
    """Which the build stored next to the module."""
    (tmp_path / SIGNATURE).write_text(json.dumps({"inputs": [["x", [None, 3], "float32"]], "outputs": []}))
    assert TorchModule().inputs(tmp_path) == [("x", (None, 3))]
    assert TorchModule().stored_types(tmp_path) is None
    (tmp_path / SIGNATURE).write_text(json.dumps({"inputs": [], "outputs": [], "types": ["float32", "int8"]}))
    assert TorchModule().stored_types(tmp_path) == {"float32", "int8"}
    assert Loaded._fields == ("module", "inputs", "outputs", "types", "check")


@needs_torch
def test_a_pickle_needs_trust_and_must_hold_a_module():
    """Refused with what to do: export it, or give a function for the weights."""
    report = torch_report()
    assert "--trust" in report["import net.pt"] and report["import net.pt"].endswith("True")
    assert "holds a OrderedDict" in report["import weights.pt"] and "package.module:function" in report["import weights.pt"]


@needs_torch
@pytest.mark.parametrize("format_", ["torch", "pt2"])
def test_parameters_and_multiply_accumulates_are_counted(format_):
    """A convolution of 3 x 3 on 64 pixels with 8 channels, and a layer of 128 x 10."""
    facts = torch_report()["facts"][format_]
    assert (facts["parameters"], facts["macs"]) == (8 * 9 + 8 + 128 * 10 + 10, 64 * 8 * 9 + 128 * 10)


@needs_torch
def test_a_quantized_program_is_loaded_by_a_process_that_did_not_make_it():
    """Its operators are registered by a part of PyTorch that is not imported with the package."""
    torch_variants()
    path = next(Path(os.environ["HARNESS_TEST_MODELS"]).glob("**/*torch_int8/model.pt2"))
    code = "import sys; from pathlib import Path; from harness.formats.torch_module import load; print(len(load(Path(sys.argv[1]), 'pt2').inputs))"
    done = subprocess.run([TORCH, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
