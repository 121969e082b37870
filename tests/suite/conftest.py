"""A folder with a user's model and data; the files of the model are not read before they are built."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path):
    """A model, a SavedModel, arrays, tables and images."""
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    (tmp_path / "train.csv").write_text("a,b,kind\n1,2,yes\n3,4,no\n")
    (tmp_path / "test.csv").write_text("a,b,kind\n1,2,yes\n")
    for name in ("train/cat", "train/dog", "test/dog"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(name.encode())
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "saved_model.pb").write_bytes(b"graph")
    return tmp_path
