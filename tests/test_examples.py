"""The package in `examples/`, installed in a folder of its own: a framework joins an unchanged harness by its entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
SUITE = """\
name: outside
models:
  - name: file
    path: net.tinynet
    data: {test: {inputs: "d.npz:x", labels: "d.npz:y"}}
  - name: function
    path: nets:build
    framework: tinynet
  - tinynet-digits
matrices:
  - {variants: [dense], engines: [tinynet, onnxruntime, litert], devices: [cpu], batch_sizes: [2]}
"""
NETS = "from harness_tinynet import Network\n\n\ndef build():\n    return Network.random([4, 3], seed=1)\n"
FILES = """\
import numpy as np
from pathlib import Path
from harness_tinynet import Network
net = Network.random([4, 8, 3], seed=0)
net.save(Path("net.tinynet"))
x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
np.savez("d.npz", x=x, y=net.forward(x)[-1].argmax(axis=1))
"""


@pytest.fixture
def python(tmp_path):
    """Runs Python in a folder of the test's own, with the example installed."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", tmp_path / "installed", ROOT / "examples/harness-tinynet"], check=True, capture_output=True)
    path = os.pathsep.join([str(tmp_path / "installed"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "HARNESS_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}

    def call(*arguments):
        return subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110)

    return call


def test_a_framework_of_another_package_joins_a_run(python, tmp_path):
    """A file, a function and a built-in model of it are measured on its engine and, by its exporter, on ONNX Runtime; LiteRT has no route."""
    (tmp_path / "suite.yaml").write_text(SUITE)
    (tmp_path / "nets.py").write_text(NETS)
    assert python("-c", FILES).returncode == 0
    command = ["-c", "from harness.cli import main; main()", "run", "suite.yaml", "--trust", "--profile", "quick", "--window", "0.1"]
    done = python(*command, "--results", "results")
    assert done.returncode == 0, done.stderr

    run = next((tmp_path / "results").iterdir())
    records = [record for line in (run / "records.jsonl").read_text().splitlines() if (record := json.loads(line))["task"] == "case"]
    assert {record["status"] for record in records} == {"ok"}
    assert {record["case_id"].split("/")[0] for record in records} == {"file", "function", "tinynet-digits"}
    quality = {record["case_id"].split("/")[0]: record["quality"]["value"] for record in records if record["quality"]}
    assert quality["file"] == 1.0 and quality["tinynet-digits"] > 0.85
    header = json.loads((run / "run.json").read_text())
    reasons = {each["case_id"]: each["reason"] for each in header["suite"]["impossible"]}
    assert len(reasons) == 3 and all("litert opens tflite" in reason and "onnx, tinynet" in reason for reason in reasons.values())
    assert header["environments"][0]["versions"]["harness-tinynet"] == "1.0"


def test_a_damaged_file_of_its_format_is_a_sentence(python, tmp_path):
    """The format's own error, in the record of its build."""
    (tmp_path / "suite.yaml").write_text(SUITE.split("  - name: function", maxsplit=1)[0] + SUITE[SUITE.index("matrices:") :])
    assert python("-c", FILES).returncode == 0
    (tmp_path / "net.tinynet").write_bytes(b"no archive")
    done = python("-c", "from harness.cli import main; main()", "run", "suite.yaml", "--profile", "quick", "--results", "results")
    assert done.returncode == 3 and "net.tinynet cannot be read as a tinynet model" in done.stderr and "Traceback" not in done.stderr
