"""The TensorFlow operators that a SavedModel may hold to be loaded without trust, listed in `savedmodel_ops.txt`."""

from __future__ import annotations

from importlib.resources import files

_LINES = files("harness.formats").joinpath("savedmodel_ops.txt").read_text().splitlines()
COMPUTATION = frozenset(name for line in _LINES if not line.startswith("#") for name in line.split())
"""Operators that only compute."""

CHECKPOINT = frozenset(
    ("MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2", "Save", "SaveSlices", "SaveV2", "ShardedFilename", "ShardedFilespec")
)
"""Operators of the functions that save and restore variables, in every file; refused where loading or serving reaches them."""
