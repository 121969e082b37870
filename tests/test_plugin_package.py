"""A package outside the repository is built and installed: its engine and its sensor are used in a run without a change here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny

pytestmark = pytest.mark.slow

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-accelerator"
version = "1.0"

[project.entry-points."harness.engines"]
acme = "acme_engine:Acme"

[project.entry-points."harness.sensors"]
acme-rail = "acme_sensor:Rail"

[tool.hatch.build.targets.wheel]
only-include = ["acme_engine.py", "acme_sensor.py"]
"""

ENGINE = """\
import numpy as np
from harness.engines.base import Engine, Session, Tensor, kernels_of
from harness.schema import EngineSpec
from pydantic import BaseModel


class Options(BaseModel):
    gear: int = 1


class Acme(Engine):
    spec = EngineSpec(name="acme", formats=("onnx",), packages=("acme-accelerator",), parameters=Options)

    def open(self, load):
        import onnx
        from onnx import numpy_helper

        return AcmeSession(numpy_helper.to_array(onnx.load(load.path).graph.initializer[0]), load)


class AcmeSession(Session):
    def __init__(self, weights, load):
        self.weights, self.load = weights, load
        self.inputs = [Tensor("in put:0", (None, len(weights)), np.dtype(np.float32))]
        self.outputs = [Tensor("scores", (None, weights.shape[1]), np.dtype(np.float32))]

    def run(self, inputs):
        return [inputs[0] @ self.weights]

    def facts(self):
        return {"gear": self.load.options.gear}

    def profile(self, queries, seconds):
        return kernels_of([("Gemm", "acme_gemm", "float32", 1.0)])
"""

SENSOR = """\
import time

from harness.schema import Domain, SensorSpec
from harness.sensors.base import Sensor


class Rail(Sensor):
    spec = SensorSpec(name="acme-rail", rank=-1)

    def open(self):
        return [Domain(name="package", sensor="acme-rail", quantity="energy", unit="J", kind="counter", update_period_s=0.01, gain=0.02)]

    def read(self, domain):
        return 7.0 * (time.monotonic() // 0.01 * 0.01)
"""


def test_an_engine_and_a_sensor_of_another_package_are_used(tmp_path):
    """By their entry points: the case runs on the engine with its options, the energy is the sensor's, kernels and version are recorded."""
    source, target = tmp_path / "acme", tmp_path / "installed"
    source.mkdir()
    for name, text in (("pyproject.toml", PYPROJECT), ("acme_engine.py", ENGINE), ("acme_sensor.py", SENSOR)):
        (source / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    installed = subprocess.run([*pip, "--target", target, source], capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr

    engines = "[{name: acme, options: {gear: 3}}]"
    suite = tiny.write(tmp_path, tiny.SUITE.replace("[onnxruntime]", engines).replace("[1, 4]", "[4]"))
    path = os.pathsep.join(filter(None, [str(target), str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "HARNESS_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", "from harness.cli import main; main()", "run", suite, "--profile", "quick", "--window", "0.2"]
    done = subprocess.run([*command, "--results", tmp_path / "results"], capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 0, done.stderr

    folder = next((tmp_path / "results").iterdir())
    record = next(r for r in map(json.loads, (folder / "records.jsonl").read_text().splitlines()) if r["task"] == "case")
    assert record["status"] == "ok" and record["quality"]["value"] == 1.0
    assert record["engine_facts"]["gear"] == 3 and record["kernels"][0]["kernel"] == "acme_gemm"
    steady = {m["domain"]: m for m in record["measurements"] if m["phase"] == "steady"}["package"]
    assert steady["sensor"] == "acme-rail" and steady["kind"] == "counter"
    assert abs(steady["gross_j"] / (7.0 * (steady["end_s"] - steady["start_s"])) - 1) < 0.02
    assert json.loads((folder / "run.json").read_text())["environments"][0]["versions"]["acme-accelerator"] == "1.0"
