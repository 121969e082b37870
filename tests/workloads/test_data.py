"""Arrays from files, and in batches."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.workloads.data import batches, load_array


def test_the_last_batch_is_filled_up_from_the_start():
    """Every batch is full, and each sample occurs once before any is repeated."""
    inputs = [np.arange(5), np.arange(10).reshape(5, 2)]
    found = batches(inputs, 4)
    assert [batch[0].tolist() for batch in found] == [[0, 1, 2, 3], [4, 0, 1, 2]]
    assert found[1][1].tolist() == [[8, 9], [0, 1], [2, 3], [4, 5]]
    assert batches([np.arange(2)], 5)[0][0].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), (b"", "No data"), (b"PK\x03\x04torn", "not a zip"), ({"y": np.zeros(2)}, "no array 'x'")]
)
def test_a_missing_array_is_reported(tmp_path, content, words):
    """The error names the file, or the keys that it has."""
    path = tmp_path / "data.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=words):
        load_array(path, "x")


def test_python_objects_are_not_unpickled(tmp_path):
    """A pickle could run code of the file's author."""
    np.savez(tmp_path / "data.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(EngineError, match="allow_pickle"):
        load_array(tmp_path / "data.npz", "x")
