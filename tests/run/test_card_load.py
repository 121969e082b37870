"""The load of a probe in a child process: here of ONNX Runtime on the CPU."""

from __future__ import annotations

import time

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.run.card_load import EngineLoad, start_load
from harness.schema import Catalogue, EngineSpec


def test_the_load_reports_when_it_was_on():
    """Two periods of 40 ms, on for half of each."""
    load = EngineLoad(plugins.catalogue().engines["onnxruntime"], "GPU-0", device="cpu")
    try:
        start_s = time.monotonic() + 0.05
        load.start(start_s, 0.04, 0.5, 2)
        bursts = load.bursts()
    finally:
        load.end()
    assert len(bursts.on_s) == len(bursts.off_s) == 2
    assert (bursts.on_s >= [start_s, start_s + 0.04]).all() and (bursts.off_s > bursts.on_s).all()


def test_an_engine_that_used_another_device_is_no_load():
    """The child reports the UUIDs that its CUDA driver shows; without one, nothing loaded the card."""
    spec = EngineSpec(name="idle", formats=("*",), devices=("gpu",))
    with pytest.raises(EngineError, match="idle"):
        EngineLoad(spec, "GPU-0")


def test_without_an_engine_for_a_gpu_there_are_reasons():
    """Each engine that was tried with its reason; test doubles are not."""
    here = plugins.catalogue().engines
    load, reasons = start_load(Catalogue({name: here[name] for name in ("onnxruntime", "null", "litert")}, {}, {}, {}), "GPU-0")
    assert load is None and list(reasons) == ["onnxruntime"] and "CUDA" in reasons["onnxruntime"]
