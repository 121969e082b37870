"""Matrix products as the load of a probe."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from harness import plugins
from harness.engines import products
from harness.engines.base import Engine
from harness.errors import EngineError
from tests.models import TORCH


def test_the_largest_product_within_two_milliseconds(monkeypatch):
    """By the median of a few calls after the first, which compiles."""
    now_s, durations = [0.0], {400: 0.008, 200: 0.0019, 100: 0.0002}
    monkeypatch.setattr(products.time, "monotonic", lambda: now_s[0])
    calls = []

    def product_of(size):
        def work():
            calls.append(size)
            now_s[0] += durations[size] + (1.0 if calls.count(size) == 1 else 0.0)

        return work

    products.sized_work(product_of, (100, 200, 400, 800))()
    assert calls[-1] == 200 and 800 not in calls


def test_the_smallest_product_if_all_are_slow(monkeypatch):
    """The edges of the load are then less sharp."""
    now_s = [0.0]
    monkeypatch.setattr(products.time, "monotonic", lambda: now_s[0])
    calls = []

    def product_of(size):
        def work():
            calls.append(size)
            now_s[0] += 1.0

        return work

    products.sized_work(product_of, (4, 8))()
    assert calls[-1] == 4 and 8 not in calls


def test_onnx_runtime_works_on_the_cpu_and_refuses_a_missing_gpu():
    """The model multiplies a matrix by itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(products.onnx_product(2), providers=["CPUExecutionProvider"])
    assert session.run(None, {"a": np.full((2, 2), 3, np.float32)})[0] == pytest.approx(np.full((2, 2), 18))
    engine = plugins.load("engines", "onnxruntime")()
    engine.work("cpu")()
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(EngineError, match="CUDA"):
            engine.work("gpu")


@pytest.mark.parametrize(
    ("engine", "python"),
    [
        pytest.param("torch", TORCH, marks=[pytest.mark.torch, pytest.mark.skipif(not os.access(TORCH, os.X_OK), reason="make torch")]),
        pytest.param("tensorflow", sys.executable, marks=pytest.mark.slow),
    ],
)
def test_a_framework_works_on_the_cpu(engine, python):
    """In a process of its own, which chooses its devices once."""
    code = f"from harness import plugins; plugins.load('engines', '{engine}')().work('cpu')(); print('worked')"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=110)
    assert "worked" in done.stdout, done.stderr[-2000:]


def test_an_engine_without_a_load_is_named():
    """The default of a plug-in."""
    with pytest.raises(EngineError, match="no load for a probe"):
        Engine.work(plugins.load("engines", "litert")(), "gpu")
