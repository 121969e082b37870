"""An engine whose library is missing names the extra that brings it, as a refusal."""

from __future__ import annotations

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
def test_the_extra_is_named(name, monkeypatch):
    """The import is made to fail; the catalogue still lists the engine."""
    library, model = LIBRARIES[name]
    monkeypatch.setitem(sys.modules, library, None)
    assert name in plugins.catalogue().engines
    engine = plugins.load("engines", name)
    load = Load(models() / model, model.split(".")[1], "cpu", 1, 1, engine.spec.parameters())
    with pytest.raises(EngineError, match=rf"pip install 'harness\[{name}\]'") as caught:
        engine().open(load)
    assert caught.value.refused
