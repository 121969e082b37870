"""Small models of every kind, made once a session by a child that imports TensorFlow; this process never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

_KEEP = []


@cache
def models() -> Path:
    """The folder of the models."""
    folder = tempfile.TemporaryDirectory(prefix="harness-models-")
    _KEEP.append(folder)  # removed when the session ends
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-m", "tests.make_models", folder.name], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return Path(folder.name)


@cache
def said() -> dict[str, Any]:
    """What the child said of them."""
    found: dict[str, Any] = json.loads((models() / "said.json").read_text())
    return found
