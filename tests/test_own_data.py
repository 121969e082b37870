"""The user's samples from the suite to the quality: a table and a function become arrays in builds of their own; the quality is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.onnx_models import save

pytestmark = pytest.mark.slow

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
SUITE = """\
name: own
models:
  - name: table
    path: one.onnx
    data: {train: {csv: train.csv, label: kind}, test: {csv: test.csv, label: kind}}
  - name: function
    path: two.onnx
    data: {test: {function: "own_data:test"}}
    metric: {function: "own_data:distance", direction: lower}
matrices:
  - engines: [onnxruntime]
    variants: [dense]
"""
CODE = """\
import numpy as np
rng = np.random.default_rng(0)
left, right = rng.random((20, 3), dtype=np.float32), rng.random((20, 3), dtype=np.float32)
def test(): return {"in put:b": right, "in put:a": left}, left - right
def distance(outputs, labels): return np.abs(outputs - labels).max(axis=1)
"""


@pytest.fixture
def folder(tmp_path):
    """A suite with two models whose quality is known."""
    weights = np.array([[1, 0], [0, 1]], np.float32)
    save(tmp_path, [("x", "FLOAT", ["n", 2])], [("y", "MatMul", ["x", "w"])], "one.onnx", w=weights)
    pair = [("in put:a", "FLOAT", ["n", 3]), ("in put:b", "FLOAT", ["n", "width"])]
    save(tmp_path, pair, [("difference", "Sub", ["in put:a", "in put:b"])], "two.onnx")
    rows = "".join(f"{i % 5},{(3 * i + 1) % 5 + 0.5},{'first' if i % 5 > (3 * i + 1) % 5 + 0.5 else 'second'}\n" for i in range(30))
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("left,right,kind\n" + rows)
    (tmp_path / "own_data.py").write_text(CODE)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path


def harness(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command with a cache of its own, outside the suite's folder."""
    environment = {**os.environ, "HARNESS_CACHE": str(folder / "cache"), "TMPDIR": str(folder), "HARNESS_RESULTS": str(folder / "results")}
    return subprocess.run([*HARNESS, *arguments], capture_output=True, text=True, env=environment, timeout=100)


def records(folder: Path) -> list[dict]:
    """The records of the newest run."""
    run = sorted((folder / "results").glob("*/records.jsonl"))[-1]
    return [json.loads(line) for line in run.read_text().splitlines()]


def test_samples_become_arrays_once(folder):
    """Words are numbered by the training data, inputs found by name, the metric is the user's; a second run builds nothing."""
    done = harness(folder, "run", str(folder / "suite.yaml"), "--window", "0.05", "--trust")
    assert done.returncode == 0, done.stderr
    quality = {record["case_id"].split("/")[0]: record["quality"] for record in records(folder) if record["task"] == "case"}
    assert (quality["table"]["metric"], quality["table"]["value"], quality["table"]["samples"]) == ("accuracy", 1.0, 30)
    assert (quality["function"]["metric"], quality["function"]["direction"]) == ("own_data:distance", "lower")
    assert quality["function"]["value"] == 0
    lines = harness(folder, "plan", str(folder / "suite.yaml"), "--trust").stdout.splitlines()
    builds = [line for line in lines if line.startswith("  build")]
    assert sum("data(test)" in line for line in builds) == 2 and "data(train)" not in str(builds)  # dense needs no training data
    assert all("cached" in line for line in builds)


def test_unreadable_data_fail_only_their_model(folder):
    """With the error of the build; the other model is measured."""
    (folder / "test.csv").write_text("left,right,kind\n1,none,first\n")
    done = harness(folder, "run", str(folder / "suite.yaml"), "--window", "0.05", "--trust")
    assert done.returncode == 3
    cases = [record for record in records(folder) if record["task"] == "case"]
    assert {(record["case_id"].split("/")[0], record["status"]) for record in cases} == {("table", "failed"), ("function", "ok")}
    assert any("'right' is not a finite number in row 2" in str(record["reason"]) for record in cases)
