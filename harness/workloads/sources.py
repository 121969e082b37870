"""Splits from the user's data: a folder of images, a table, or a function; read once, in a separate build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats.libraries import first_line
from harness.schema import DataSource
from harness.workloads.base import Array, Split
from harness.workloads.functions import call_function

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LIMIT_BYTES = 4 * 2**30
"""Largest size of a split of images: every measuring process reads all of it."""


def read_images(
    source: DataSource, classes: Sequence[str], shape: Sequence[int | None], seed: int, preprocess: Callable[[Array], Array] | None = None
) -> Split:
    """Images in the size of a model's input, labelled with the number of their subfolder's class.

    Args:
        source: A folder with a subfolder per class, or with images alone, which then have no labels. Its options `scale`, `mean` and `std`
            give (pixel * scale - mean) / std of pixels from 0 to 255.
        classes: Names of the subfolders, in the order of the model's classes.
        shape: Shape of one sample, (height, width, channels) or (channels, height, width); None for a dynamic dimension.
        seed: Seed of the choice if the option `samples` asks for fewer.
        preprocess: Preprocessing of the model for images of shape (n, height, width, channels), applied if the source has no such options.

    Raises:
        EngineError: There are no images, one cannot be read, a class is unknown, or the size is not known.
    """
    size, channels, channels_first = image_size(shape, source.options.get("size"))
    files = _choice(_labelled_files(Path(source.path), classes), source.options.get("samples"), seed)
    if 4 * len(files) * prod(size) * channels > LIMIT_BYTES:
        raise EngineError(
            f"{len(files)} images of {size[0]} x {size[1]} take more than {LIMIT_BYTES // 2**30} GiB", "give `samples` next to `images`"
        )
    pixels = np.stack([_pixels(path, size, channels) for path, _ in files])
    declared = {name: source.options[name] for name in ("scale", "mean", "std") if name in source.options}
    if declared:
        pixels = (pixels * np.float32(declared.get("scale", 1)) - _float32(declared.get("mean", 0))) / _float32(declared.get("std", 1))
    elif preprocess:
        pixels = preprocess(pixels)
    images = np.ascontiguousarray(np.moveaxis(pixels, -1, 1) if channels_first else pixels, np.float32)
    return Split(images, np.array([label for _, label in files]) if files[0][1] >= 0 else None)


def image_size(shape: Sequence[int | None], size: Sequence[int] | None) -> tuple[tuple[int, int], int, bool]:
    """((height, width), channels, whether channels come first) of a model's input.

    Args:
        shape: Shape of one sample; None for a dynamic dimension.
        size: Height and width that the suite requests; None: the model's.

    Raises:
        EngineError: The model takes no images, takes another size, or has a dynamic size and the suite requests none.
    """
    sizes = tuple(shape) if len(shape) == 3 else (*shape, 1)
    channels_first = sizes[0] in MODES and sizes[-1] not in MODES
    if len(sizes) != 3 or (sizes[0] if channels_first else sizes[-1]) not in MODES:
        raise EngineError(f"the model takes samples of shape {tuple(shape)}, which are not images", "give the data as .npz or a function")
    height, width, channels = (*sizes[1:], sizes[0]) if channels_first else sizes
    requested = size or (height, width)
    if None in requested:
        raise EngineError(f"the images of the model have a dynamic size, {tuple(shape)}", "give `size: [height, width]` next to `images`")
    if any(own not in (None, other) for own, other in zip((height, width), requested, strict=True)):
        raise EngineError(
            f"the model takes images of {height} x {width}, the suite requests {requested[0]} x {requested[1]}", "remove `size`"
        )
    return (int(requested[0] or 0), int(requested[1] or 0)), int(channels or 1), channels_first


def _labelled_files(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """Each image with the number of its class, in the order of classes and names; -1 if there are no subfolders."""
    subfolders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    unknown = [p.name for p in subfolders if p.name not in classes]
    if unknown:
        raise EngineError(f"{folder.name} has the folder {unknown[0]!r}, which is not a class of the training data", "name it in `classes`")
    places = [(p, classes.index(p.name)) for p in subfolders] or [(folder, -1)]
    files = [(file, label) for place, label in places for file in sorted(place.rglob("*")) if file.suffix.lower() in SUFFIXES]
    if not files:
        raise EngineError(f"{folder} contains no images", f"use files whose names end in {', '.join(SUFFIXES)}")
    return files


def _choice(files: list[tuple[Path, int]], samples: int | None, seed: int) -> list[tuple[Path, int]]:
    """A random choice of files, from each class in turn, in their order; all if there are no more than `samples`."""
    if samples is None or samples >= len(files):
        return files
    classes: dict[int, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(files)):
        classes.setdefault(files[index][1], []).append(int(index))
    in_turn = [index for round_ in zip_longest(*(classes[label] for label in sorted(classes))) for index in round_ if index is not None]
    return [files[index] for index in sorted(in_turn[:samples])]


def _pixels(path: Path, size: tuple[int, int], channels: int) -> Array:
    """One image, float32 from 0 to 255, shape (height, width, channels): resized to the shorter side, cropped at the centre."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise ValueError("its pixels have more than 8 bits, which would be cut off at 255: give such data as .npz or a function")
            fitted = ImageOps.fit(image.convert(MODES[channels]), (size[1], size[0]), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EngineError(f"{path} cannot be read as an image: {first_line(error)}", "remove it from the folder, or repair it") from error
    return np.asarray(fitted, np.float32).reshape(*size, channels)


def _float32(value: float | Sequence[float]) -> Array:
    """One number, or one per channel."""
    return np.asarray(value, np.float32)


def read_csv(source: DataSource, classes: Sequence[str]) -> Split:
    """Columns of a table as float32 of shape (n, columns) for each input, and the labels.

    Args:
        source: A table with a header. Its option `features` names the columns of each input, `label` the column of the labels.
        classes: Names of the classes in their order, for labels that are text; empty: labels are numbers.

    Raises:
        EngineError: The table cannot be read, a feature is missing or not a number, or a label is not a class.
    """
    import pandas as pd

    try:
        table = pd.read_csv(source.path, encoding="utf-8-sig", skipinitialspace=True, keep_default_na=False)  # a class may be named NA
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise EngineError(
            f"{source.path} cannot be read as a table: {first_line(error)}", "use a comma-separated file with a header"
        ) from error
    if table.empty:
        raise EngineError(f"{source.path} has no rows", "add rows: each row is a sample")
    inputs = {
        name: np.stack([_numbers(table, column) for column in columns], axis=1) for name, columns in source.options["features"].items()
    }
    labels = _labels(table[source.options["label"]], classes) if source.options.get("label") else None
    return Split(inputs[""] if list(inputs) == [""] else inputs, labels)


def _numbers(table: Any, column: str) -> Array:
    import pandas as pd

    numbers: Array = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float32)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise EngineError(
            f"column {column!r} is not a finite number in row {row + 2}: {table[column].iloc[row]!r}",
            "correct the table, or leave the column out of `features`",
        )
    return numbers


def _labels(column: Any, classes: Sequence[str]) -> Array:
    """The class number of each label; unchanged if the labels are numbers."""
    if not classes:
        numbers: Array = column.to_numpy()
        if numbers.dtype.kind not in "iufb" or not np.isfinite(numbers).all():
            raise EngineError(f"column {column.name!r} has a label that is missing or not a number", "correct the table")
        return numbers
    number = {name: index for index, name in enumerate(classes)}
    unknown = [str(word) for word in column if str(word).strip() not in number]
    if unknown:
        raise EngineError(f"{unknown[0]!r} in column {column.name!r} is not a class of the training data", "name it in `classes`")
    return np.array([number[str(word).strip()] for word in column])


def call_data(source: DataSource, folder: str | None, *, trusted: bool) -> Split:
    """The split that a user function returns: `(inputs, labels)`, or inputs alone; inputs are an array or a mapping by input name.

    Args:
        source: `package.module:function`, called without arguments.
        folder: Folder searched first for the module.
        trusted: Whether it may run.

    Raises:
        EngineError: It may not run, fails, or does not return arrays of numbers of one length.
    """
    if not trusted:
        raise EngineError(f"{source.path} is code, which is not run without --trust", "review the code, then use --trust")
    result = call_function(source.path, folder)
    inputs, labels = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    return _checked(source.path, inputs, labels)


def _checked(name: str, inputs: Any, labels: Any) -> Split:
    """The split that a function returned, as arrays of numbers of one length."""
    hint = "return (inputs, labels): arrays whose first axis is the sample; labels may be None"
    try:
        if isinstance(inputs, Mapping):
            kept: Any = {str(key): np.asarray(array) for key, array in inputs.items()}
        else:
            kept = [np.asarray(array) for array in inputs] if isinstance(inputs, list | tuple) else np.asarray(inputs)
        labelled = None if labels is None else np.asarray(labels)
    except (ValueError, TypeError) as error:
        raise EngineError(f"{name} returned no arrays: {first_line(error)}", hint) from error
    arrays = list(kept.values()) if isinstance(kept, dict) else [kept] if isinstance(kept, np.ndarray) else list(kept)
    arrays += [] if labelled is None else [labelled]
    unusable = any(not array.ndim or not len(array) or array.dtype.kind == "O" for array in arrays)
    if not arrays or unusable or len({len(array) for array in arrays}) > 1:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
        raise EngineError(f"{name} returned {shapes or 'nothing'}", hint)
    if isinstance(kept, list) and len(kept) > 1:  # converters write a model's inputs in any order
        raise EngineError(f"{name} returned {len(kept)} arrays without names", "return ({name of the input: array}, labels)")
    return Split(kept, labelled)
