"""What the children of this folder said, each made once a session; this process imports no TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.models import models


@cache
def cuts() -> dict[str, Any]:
    """Of `make_cuts`."""
    return _run(Path(os.environ["HARNESS_TEST_MODELS"]), "cuts")


@cache
def builds() -> dict[str, Any]:
    """Of `make_builds`; its files lie beside the models."""
    return _run(models(), "builds")


def _run(folder: Path, name: str) -> dict[str, Any]:
    with FileLock(folder / f".{name}.lock"):
        if not (folder / f"{name}.json").exists():
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
            command = [sys.executable, "-m", f"tests.variants.make_{name}", str(folder)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return found
