"""Suites written into a folder, and the errors that they raise."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.schema import Suite
from harness.suite import load_suite
from tests.catalogue import CATALOGUE

GOOD = """\
name: good
models: [digits-cnn]
matrices:
  - variants: [dense, int8, [{prune: {final_sparsity: 0.8}}, int8]]
    engines: [litert, {name: onnxruntime, options: {graph_optimization: basic}}]
    batch_sizes: [1, 8]
"""
FAMILY = "name: x\nmodels:\n  - MODEL\nmatrices:\n  - {engines: [litert, onnxruntime], variants: [dense, int8]}\n"
OWN = "name: x\nmodels:\n  - {name: m, path: m.onnx, data: {DATA}}\nmatrices:\n  - {engines: [onnxruntime], variants: [VARIANT]}\n"


def load(folder: Path, text: str, **options: object) -> Suite:
    """The suite of a text."""
    path = folder / "suite.yaml"
    path.write_text(text)
    return load_suite(path, CATALOGUE, **options)


def errors(folder: Path, text: str, **options: object) -> str:
    """The errors of a text."""
    with pytest.raises(SuiteError) as caught:
        load(folder, text, **options)
    assert caught.value.exit_code == 2
    return str(caught.value)


def matrix(line: str) -> str:
    """A suite whose matrix has one more line, which is line 5."""
    return f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [litert]\n    {line}\n"


def own(data: str, variant: str = "dense") -> str:
    """A suite with data for the user's own model; the model is on line 3."""
    return OWN.replace("DATA", data).replace("VARIANT", variant)


def recipes(suite: Suite) -> list[str]:
    """The recipes of the builds in order."""
    return [build.step.recipe for build in suite.builds]
