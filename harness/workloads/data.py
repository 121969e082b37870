"""Arrays from `.npz` files, without unpickling, and batches of them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import EngineError
from harness.workloads.base import Array


def load_array(path: str | Path, key: str) -> Array:
    """One array of an `.npz`.

    Raises:
        EngineError: The file is not an `.npz`, has no such key, or holds Python objects.
    """
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if key not in archive.files:
                raise EngineError(f"{path} has no array {key!r}", f"it has: {', '.join(archive.files) or 'none'}")
            return np.asarray(archive[key])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise EngineError(f"{path} cannot be read as .npz: {error}", "write it with numpy.savez from arrays of numbers") from error


def batches(inputs: Sequence[Array], size: int) -> list[list[Array]]:
    """The samples in batches; the last one is filled up from the first samples.

    Args:
        inputs: One array for each model input, first axis the sample.
        size: Samples per batch.
    """
    samples = len(inputs[0])
    starts = range(0, samples, size)
    return [[np.take(array, range(start, start + size), axis=0, mode="wrap") for array in inputs] for start in starts]
