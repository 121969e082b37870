"""The benchmarks: every part imports, and the alternating loop runs on a task as the parent writes it."""

from __future__ import annotations

import importlib
import io
import json
import sys

import numpy as np
import pytest

from benchmarks import turns
from benchmarks.__main__ import PARTS
from harness.schema.worker import ArrayFile, MeasureTask, ModelFile
from tests.make_models import SAMPLES
from tests.models import models


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_rows(part):
    """Without running them."""
    assert callable(importlib.import_module(f"benchmarks.{part}").rows)


def test_the_alternating_loop_reads_a_task(tmp_path, monkeypatch, capsys):
    """Its output is a ratio for each pair of rounds."""
    np.savez(tmp_path / "test.npz", inputs=SAMPLES)
    task = MeasureTask(
        engine="litert", device="cpu", batch_size=1, threads=1, scenario="single_stream",
        artifact=ModelFile(path=str(models() / "small.tflite"), format="tflite"),
        inputs=(ArrayFile(path=str(tmp_path / "test.npz"), key="inputs"),),
    )  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO(task.model_dump_json()))
    monkeypatch.setattr(turns, "ROUNDS", 2)
    monkeypatch.setattr(turns, "ROUND_S", 0.01)
    turns.main()
    assert len(json.loads(capsys.readouterr().out)) == 2
