"""Thresholds of the gate, read from YAML."""

from __future__ import annotations

import pytest

from harness.decide.thresholds import Thresholds, read_thresholds
from harness.errors import SuiteError


def test_errors_in_thresholds_have_their_line(tmp_path):
    """File, line, and the nearest name."""
    path = tmp_path / "gate.yaml"
    path.write_text("energy: 0.03\nlatency: null\n")
    assert read_thresholds(path) == Thresholds(energy=0.03, latency=None)
    for text, words in (
        ("energy: 0.1\nlatencey: 0.1\n", ":2: there is no threshold 'latencey'; did you mean 'latency'"),
        ("energy: lots\n", ":1: 'energy' must be"),
    ):
        path.write_text(text)
        with pytest.raises(SuiteError, match=words):
            read_thresholds(path)
    path.write_text("quality: 25.0\n")
    assert read_thresholds(path).quality == 25.0, "it is in the metric's own unit"
