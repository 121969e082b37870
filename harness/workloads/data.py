"""Arrays out of `.npz` files: never a pickle, never more than the keys asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError

Array = NDArray[Any]


def load_array(path: str | Path, key: str) -> Array:
    """One array of an `.npz`.

    Raises:
        EngineError: Not an `.npz`, no such key, or Python objects in it.
    """
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if key not in archive.files:
                raise EngineError(f"{path} has no array {key!r}", f"it has: {', '.join(archive.files) or 'none'}")
            return np.asarray(archive[key])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise EngineError(f"{path} cannot be read as .npz: {error}", "write it with numpy.savez from arrays of numbers") from error


def batches(inputs: Sequence[Array], size: int) -> list[list[Array]]:
    """The samples in batches; the last one is filled up from the start.

    Args:
        inputs: One array for each model input, first axis the sample.
        size: Samples a batch.
    """
    samples = len(inputs[0])
    starts = range(0, samples, size)
    return [[np.take(array, range(start, start + size), axis=0, mode="wrap") for array in inputs] for start in starts]
