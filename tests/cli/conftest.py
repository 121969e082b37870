"""The results folder of the `harness` fixture."""

from __future__ import annotations

import pytest


@pytest.fixture
def results(tmp_path):
    """The results folder of `harness`."""
    return tmp_path / "results"
