"""A run for a meter to measure."""

from __future__ import annotations

import pytest

from tests import metered


@pytest.fixture
def run(tmp_path):
    """Four repetitions, without a sensor."""
    return metered.stored(tmp_path)
