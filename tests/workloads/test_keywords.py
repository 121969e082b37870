"""The generated sounds."""

from __future__ import annotations

import numpy as np

from harness.plugins import load


def test_each_sound_is_as_frequent():
    """Eight kinds in each split, equally often."""
    for split in load("workloads", "keyword-spotting")().data().values():
        assert set(np.bincount(split.labels)) == {len(split.labels) // 8}
