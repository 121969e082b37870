"""Models that recipes make: by children that import TensorFlow, once a session, or in this process, which imports none."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from filelock import FileLock

from harness import plugins, venvs
from harness.engines.base import Load
from harness.formats import onnx as files
from harness.variants.base import Job, TrainData
from harness.variants.tfmot import PruneLowMagnitude
from tests.make_models import SAMPLES
from tests.models import models

DATA = TrainData([SAMPLES])


@cache
def cuts() -> dict[str, Any]:
    """The report of `make_cuts`."""
    return _report(Path(os.environ["HARNESS_TEST_MODELS"]), "cuts", [sys.executable, "-m", "tests.variants.make_cuts"])


@cache
def builds() -> dict[str, Any]:
    """The report of `make_builds`; its files are next to the models."""
    return _report(models(), "builds", [sys.executable, "-m", "tests.variants.make_builds"])


@cache
def toolkit() -> dict[str, Any]:
    """The report of `make_toolkit`, which runs in the toolkit's environment."""
    return _report(
        Path(os.environ["HARNESS_TEST_MODELS"]), "toolkit", [venvs.python(PruneLowMagnitude.spec), "-m", "tests.variants.make_toolkit"]
    )


def _report(folder: Path, name: str, command: list[str]) -> dict[str, Any]:
    """The JSON that a child writes into the folder."""
    with FileLock(folder / f".{name}.lock"):
        if not (folder / f"{name}.json").exists():
            root = str(Path(__file__).parents[2])
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": root}
            done = subprocess.run([*command, str(folder)], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
    report: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return report


def quantized(recipe, source, folder, data=DATA, **options):
    """A recipe applied to a file without a change of format: the new file and its facts."""
    plugin = plugins.load("variants", recipe)
    parameters = plugin.spec.parameters(**options) if plugin.spec.parameters else None
    format_ = source.suffix[1:]
    folder.mkdir(exist_ok=True)
    return plugin().apply(Job(source, format_, format_, folder, parameters=parameters, data=data if plugin.spec.needs else None))


def engine_answers(path, inputs):
    """The answers of the file's engine, and the precision that it reports."""
    format_ = path.suffix[1:]
    engine = plugins.load("engines", {"tflite": "litert", "onnx": "onnxruntime"}[format_])
    session = engine().open(Load(path, format_, "cpu", len(inputs[0]), 1, engine.spec.parameters()))
    assert {tensor.dtype for tensor in (*session.inputs, *session.outputs)} == {np.dtype(np.float32)}
    return [np.array(answer) for answer in session.run(inputs)], session.precision()


def applied(recipe, made, folder):
    """A recipe applied to an ONNX model in memory: the new model, its facts, and the notes."""
    source = folder / "source.onnx"
    onnx.save(made, str(source))
    target = folder / recipe
    target.mkdir(parents=True)
    plugin, job = plugins.load("variants", recipe), Job(source, "onnx", "onnx", target)
    logging.disable(logging.WARNING)
    try:
        path, facts = plugin().apply(job)
    finally:
        logging.disable(logging.NOTSET)
    return files.load_onnx(path), facts, job.notes
