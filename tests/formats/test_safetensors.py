"""Headers of safetensors files: whole ones are read, and everything that is wrong is one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import EngineError
from harness.formats.safetensors import read_tensors
from tests.hf_models import TENSORS, safetensors_bytes


def test_the_tensors_of_the_library_are_read(tmp_path):
    """As safetensors writes them: scalars, empty tensors, any order."""
    from safetensors.numpy import save_file

    arrays = {
        "b": np.zeros((2, 3), np.float16),
        "a": np.zeros(5, np.int64),
        "s": np.array(1, np.float32),
        "e": np.zeros((0, 4), np.float32),
    }
    save_file(arrays, tmp_path / "m.safetensors", metadata={"format": "pt"})
    made = {each.name: (each.numpy, each.shape, each.elements) for each in read_tensors(tmp_path / "m.safetensors")}
    assert made == {name: (array.dtype.name, array.shape, array.size) for name, array in arrays.items()}


WHOLE = safetensors_bytes(TENSORS)
ENTRY = {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}


def one(**changes: object) -> bytes:
    """A file with one tensor of 8 bytes, whose entry has other values."""
    content = json.dumps({"a": {**ENTRY, **changes}}).encode()
    return len(content).to_bytes(8, "little") + content + bytes(8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a safetensors file"),
        (b"\x00" * 8, "header would have 0 of 8 bytes"),
        (b"\xff" * 16, "is not a safetensors file: its header would have"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(100), "is not a safetensors file"),
        (safetensors_bytes({}, header=b"not json"), "is not JSON"),
        (safetensors_bytes({}, header=b"[" * 100_000), "is not JSON"),
        (safetensors_bytes({}, header=b"[1, 2]"), "is no mapping"),
        (safetensors_bytes({}, header=b'{"a": 1, "a": 2}'), "a name twice"),
        (one(dtype="F99"), "its entry of tensor 'a'"),
        (one(shape=[-4]), "its entry of tensor 'a'"),
        (one(shape=[True]), "its entry of tensor 'a'"),
        (one(shape=[2**70]), "its entry of tensor 'a'"),
        (one(shape=[2**61] * 4), "has 8 bytes"),
        (one(shape=[5]), "has 8 bytes"),
        (one(data_offsets=[8, 16]), "begins at byte 8, not at 0"),
        (one(data_offsets=[0]), "its entry of tensor 'a'"),
        (one(data_offsets=[8, 0]), "has -8 bytes"),
        (WHOLE[:-1], "is cut short"),
        (WHOLE + b"x", "is damaged"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, reason):
    """Lengths beyond the file, impossible shapes, gaps and overlaps."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(EngineError) as refusal:
        read_tensors(path)
    assert reason in refusal.value.what and "\n" not in refusal.value.what and refusal.value.hint
