"""Small models of every kind, made once a session by a child that imports TensorFlow; this process never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from harness import venvs

TORCH = str(venvs.folder("torch") / "bin" / "python")


def needs_torch(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs the environment of PyTorch; the first one waits for a child that compiles models."""
    for mark in (pytest.mark.torch, pytest.mark.skipif(not os.access(TORCH, os.X_OK), reason="make torch"), pytest.mark.timeout(600)):
        test = mark(test)
    return test


@cache
def models() -> Path:
    """The folder of the models."""
    return _made("tests.make_models", "models.json")


@cache
def model_facts() -> dict[str, Any]:
    """The child's report on them."""
    found: dict[str, Any] = json.loads((models() / "models.json").read_text())
    return found


@cache
def workload_facts() -> dict[str, Any]:
    """The child's report on the built-in workloads and on SavedModels, in the same folder."""
    found: dict[str, Any] = json.loads((_made("tests.make_workloads", "workloads.json") / "workloads.json").read_text())
    return found


@cache
def torch_report() -> dict[str, Any]:
    """The report of the child that runs in the environment of PyTorch, in the same folder."""
    report: dict[str, Any] = json.loads((_made("tests.make_torch", "torch.json", TORCH) / "torch.json").read_text())
    return report


@cache
def torch_variants() -> dict[str, Any]:
    """The report of the child that makes and runs variants of PyTorch modules."""
    report: dict[str, Any] = json.loads(
        (_made("tests.make_torch_variants", "torch_variants.json", TORCH) / "torch_variants.json").read_text()
    )
    return report


@cache
def transformers_report() -> dict[str, Any]:
    """The report of the child that generates text with transformers."""
    report: dict[str, Any] = json.loads((_made("tests.make_transformers", "transformers.json", TORCH) / "transformers.json").read_text())
    return report


def _made(module: str, last: str, python: str = sys.executable) -> Path:
    """The folder, after a child has written everything into it and this file last."""
    folder = Path(os.environ["HARNESS_TEST_MODELS"])
    with FileLock(folder / f".{module}.lock"):
        if not (folder / last).exists():
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
            done = subprocess.run([python, "-m", module, str(folder)], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
    return folder


def rows(array: np.ndarray) -> set[bytes]:
    """The content of each sample, to check that two splits share none."""
    return {np.ascontiguousarray(row).tobytes() for row in array}
