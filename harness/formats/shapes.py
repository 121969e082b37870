"""Shapes of samples: fitting data to a model's input, and dynamic dimensions as text."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.errors import EngineError


def fit_shape(have: Sequence[int], target: Sequence[int | None]) -> tuple[int, ...] | None:
    """The sample's shape with the axes of size 1 that the model has.

    Args:
        have: Shape of one sample of the data.
        target: Shape of one sample for the model; None for a dynamic dimension.

    Returns:
        A shape for `reshape` that keeps the order of the values; None if more than axes of 1 differ, since then axes may be swapped.
    """
    if takes(target, have):
        return tuple(have)
    sizes = [size for size in have if size != 1]
    if not takes([size for size in target if size != 1], sizes):
        return None
    left = iter(sizes)
    return tuple(1 if size == 1 else next(left) for size in target)


def takes(target: Sequence[int | None], shape: Sequence[int]) -> bool:
    """Whether a model accepts samples of this shape.

    Args:
        target: Shape of one sample for the model; None for a dynamic dimension.
        shape: Shape of one sample.
    """
    return len(target) == len(shape) and all(want in (None, size) for want, size in zip(target, shape, strict=True))


def dynamic_text(target: Sequence[int | None]) -> str:
    """A shape as text: `[3, ?, ?]`."""
    return f"[{', '.join('?' if size is None else str(size) for size in target)}]"


def shape_hint(target: Mapping[str, Sequence[int | None]]) -> str:
    """The line of a suite that sets dynamic dimensions: `input_shapes: {x: [3, 224, 224]}`.

    Args:
        target: Shape of one sample by input name. A dynamic dimension (None) becomes 224 in images, 128 in sequences, 1 next to fixed sizes.
    """
    shapes = []
    for name, sizes in target.items():
        fill = 224 if len(sizes) > 2 and sizes.count(None) > 1 else 1 if len(sizes) > 2 else 128
        shapes.append(f"{name}: {[fill if size is None else size for size in sizes]}")
    return f"input_shapes: {{{', '.join(shapes)}}}"


def dynamic_shape(sizes: Sequence[int]) -> tuple[int | None, ...]:
    """A shape with None for each dynamic dimension, which TFLite stores as -1."""
    return tuple(None if size == -1 else int(size) for size in sizes)


def stored_sample_shape(path: Path, key: str) -> tuple[int, ...]:
    """Shape of one sample of an array in an `.npz`, from the head of the array.

    Raises:
        EngineError: The file cannot be read, or the array has no axis of samples.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape = read[np.lib.format.read_magic(stream)](stream)[0]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise EngineError(f"{path} cannot be read as .npz: {error}", "write it with numpy.savez from arrays of numbers") from error
    if not shape:
        raise EngineError(f"{key!r} in {path} is a single number, not an array of samples", "give it a first axis, which is the sample")
    return tuple(int(size) for size in shape[1:])
