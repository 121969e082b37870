"""Libraries of the engines: a missing one is named with its extra, and TensorFlow is not imported by other engines."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import plugins
from harness.engines.base import Load
from harness.errors import EngineError
from tests.models import models

LIBRARIES = {
    "litert": ("ai_edge_litert", "small.tflite"),
    "onnxruntime": ("onnxruntime", "small.onnx"),
    "openvino": ("openvino", "small.ir"),
    "tensorflow": ("keras", "small.keras"),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_refused_with_its_extra(name, monkeypatch):
    """The catalogue still lists the engine."""
    library, model = LIBRARIES[name]
    monkeypatch.setitem(sys.modules, library, None)
    assert name in plugins.catalogue().engines
    engine = plugins.load("engines", name)
    load = Load(models() / model, model.split(".")[1], "cpu", 1, 1, engine.spec.parameters())
    with pytest.raises(EngineError, match=rf"pip install 'harness\[{name}\]'") as caught:
        engine().open(load)
    assert caught.value.refused


@pytest.mark.parametrize("name", ["litert", "onnxruntime", "openvino"])
def test_tensorflow_is_not_imported(name):
    """It would cost seconds and hundreds of MB in the measured process."""
    model = LIBRARIES[name][1]
    code = f"""
import sys
from pathlib import Path
from harness import plugins
from harness.engines.base import Load
engine = plugins.load("engines", {name!r})
session = engine().open(Load(Path({str(models() / model)!r}), {model.split(".")[1]!r}, "cpu", 1, 1, engine.spec.parameters()))
session.precision(), session.facts()
print([m for m in ("tensorflow", "keras", "sklearn", "pandas", "scipy") if m in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
