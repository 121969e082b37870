"""Versions of the libraries of an engine, asked in its environment."""

from __future__ import annotations

import json
import sys

from harness.engines.onnxruntime import OnnxRuntime
from harness.worker import libraries


def test_the_versions_are_one_line_of_json(monkeypatch, capsys):
    """The last one, after whatever a library prints."""
    monkeypatch.setattr(OnnxRuntime, "libraries", classmethod(lambda cls: {"tensorrt": None}))
    monkeypatch.setattr(sys, "argv", ["libraries", "onnxruntime"])
    libraries.main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"tensorrt": None}


def test_an_engine_without_such_libraries_has_none(monkeypatch, capsys):
    """The default of the interface."""
    monkeypatch.setattr(sys, "argv", ["libraries", "null"])
    libraries.main()
    assert json.loads(capsys.readouterr().out) == {}
