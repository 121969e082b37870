"""Small models of every kind, made once a session by a child that imports TensorFlow; this process never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock


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


def _made(module: str, last: str) -> Path:
    """The folder, after a child has written everything into it and this file last."""
    folder = Path(os.environ["HARNESS_TEST_MODELS"])
    with FileLock(folder / f".{module}.lock"):
        if not (folder / last).exists():
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
            done = subprocess.run([sys.executable, "-m", module, str(folder)], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
    return folder


def rows(array: np.ndarray) -> set[bytes]:
    """The content of each sample, to check that two splits share none."""
    return {np.ascontiguousarray(row).tobytes() for row in array}
