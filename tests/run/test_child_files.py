"""Files of a child that may be missing or cut short."""

from __future__ import annotations

import numpy as np
import pytest

from harness.run.child_files import child_array, child_text


def test_an_array_that_is_cut_short_is_empty(tmp_path):
    """As one that is missing; whole ones are read."""
    path = tmp_path / "a.npy"
    assert child_array(path, (3, 0)).shape == (3, 0)
    np.save(path, np.arange(9).reshape(3, 3))
    assert child_array(path, (3, 0)).shape == (3, 3)
    path.write_bytes(path.read_bytes()[:-8])
    assert child_array(path, (3, 0)).shape == (3, 0)


@pytest.mark.parametrize("size", [0, 5, 100, 140])
def test_an_array_of_a_killed_child_is_empty(tmp_path, size):
    """It leaves a record nevertheless."""
    path = tmp_path / "completions.npy"
    np.save(path, np.arange(30).reshape(3, 10))
    path.write_bytes(path.read_bytes()[:size])
    assert child_array(path, (3, 0)).shape == (3, 0)


def test_a_text_that_is_missing_or_damaged_is_empty(tmp_path):
    """The others are read."""
    path = tmp_path / "a.json"
    assert child_text(path) == ""
    path.write_text("{}")
    assert child_text(path) == "{}"
    path.write_bytes(b"\xff")
    assert child_text(path) == ""
