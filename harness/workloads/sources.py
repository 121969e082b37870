"""A folder of images, a table, or a function of the user's -> one split as arrays; it is done once, in a build of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.libraries import first_line
from harness.schema import DataSource
from harness.workloads.base import Split
from harness.workloads.functions import call_function

Array = NDArray[Any]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LIMIT_BYTES = 4 * 2**30
"""The most that a split of images may take: it is read whole by every child that measures."""


def read_images(
    source: DataSource, classes: Sequence[str], shape: Sequence[int | None], seed: int, preprocess: Callable[[Array], Array] | None = None
) -> Split:
    """Images in the size of a model's input, and the number of the subfolder that each is in.

    Args:
        source: A folder with a subfolder for each class, or with images alone, which then have no labels; `scale`, `mean` and `std` give
            (pixel * scale - mean) / std of pixels from 0 to 255.
        classes: Names of the subfolders in the order of the model's classes.
        shape: Of one sample, (height, width, channels) or (channels, height, width); null where it is open.
        seed: Of the choice, where `samples` asks for fewer.
        preprocess: What the model does to images of shape (n, height, width, channels), where the suite does not say; null: nothing.

    Raises:
        EngineError: No images, one that cannot be read, an unknown class, or a size that nobody said.
    """
    size, channels, channels_first = image_size(shape, source.options.get("size"))
    found = _choice(_listed(Path(source.path), classes), source.options.get("samples"), seed)
    if 4 * len(found) * prod(size) * channels > LIMIT_BYTES:
        raise EngineError(
            f"{len(found)} images of {size[0]} x {size[1]} take more than {LIMIT_BYTES // 2**30} GiB", "give `samples` beside `images`"
        )
    pixels = np.stack([_pixels(path, size, channels) for path, _ in found])
    declared = {name: source.options[name] for name in ("scale", "mean", "std") if name in source.options}
    if declared:
        pixels = (pixels * np.float32(declared.get("scale", 1)) - _each(declared.get("mean", 0))) / _each(declared.get("std", 1))
    elif preprocess:
        pixels = preprocess(pixels)
    images = np.ascontiguousarray(np.moveaxis(pixels, -1, 1) if channels_first else pixels, np.float32)
    return Split(images, np.array([label for _, label in found]) if found[0][1] >= 0 else None)


def image_size(shape: Sequence[int | None], size: Sequence[int] | None) -> tuple[tuple[int, int], int, bool]:
    """((height, width), channels, whether channels come first) of a model's input.

    Args:
        shape: Of one sample; null where it is open.
        size: Height and width as the suite says; null: the model's.

    Raises:
        EngineError: The model takes no images, is open in size and nobody said it, or wants another.
    """
    sizes = tuple(shape) if len(shape) == 3 else (*shape, 1)
    channels_first = sizes[0] in MODES and sizes[-1] not in MODES
    if len(sizes) != 3 or (sizes[0] if channels_first else sizes[-1]) not in MODES:
        raise EngineError(f"the model takes samples of shape {tuple(shape)}, which are no images", "give the data as .npz or a function")
    height, width, channels = (*sizes[1:], sizes[0]) if channels_first else sizes
    wanted = size or (height, width)
    if None in wanted:
        raise EngineError(f"the model is open in the size of its images, {tuple(shape)}", "give `size: [height, width]` beside `images`")
    if any(own not in (None, said) for own, said in zip((height, width), wanted, strict=True)):
        raise EngineError(f"the model takes images of {height} x {width}, the suite says {wanted[0]} x {wanted[1]}", "leave `size` out")
    return (int(wanted[0] or 0), int(wanted[1] or 0)), int(channels or 1), channels_first


def _listed(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    """Each image with the number of its class, in the order of classes and names; -1 where there are no subfolders."""
    subfolders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    unknown = [p.name for p in subfolders if p.name not in classes]
    if unknown:
        raise EngineError(f"{folder.name} has the folder {unknown[0]!r}, which is no class of the training data", "name it in `classes`")
    places = [(p, classes.index(p.name)) for p in subfolders] or [(folder, -1)]
    found = [(file, label) for place, label in places for file in sorted(place.rglob("*")) if file.suffix.lower() in SUFFIXES]
    if not found:
        raise EngineError(f"{folder} holds no images", f"their names end in {', '.join(SUFFIXES)}")
    return found


def _choice(found: list[tuple[Path, int]], samples: int | None, seed: int) -> list[tuple[Path, int]]:
    """At most so many, one of each class in turn, which ones by the seed; in the order they were."""
    if samples is None or samples >= len(found):
        return found
    classes: dict[int, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(found)):
        classes.setdefault(found[index][1], []).append(int(index))
    in_turn = [index for round_ in zip_longest(*(classes[label] for label in sorted(classes))) for index in round_ if index is not None]
    return [found[index] for index in sorted(in_turn[:samples])]


def _pixels(path: Path, size: tuple[int, int], channels: int) -> Array:
    """One image, float32 from 0 to 255, shape (height, width, channels): the shorter side is resized, the middle is cut out."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise ValueError("its pixels have more than 8 bits, which would be cut off at 255: give such data as .npz or a function")
            fitted = ImageOps.fit(image.convert(MODES[channels]), (size[1], size[0]), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EngineError(f"{path} cannot be read as an image: {first_line(error)}", "take it out of the folder, or mend it") from error
    return np.asarray(fitted, np.float32).reshape(*size, channels)


def _each(value: float | Sequence[float]) -> Array:
    """One number, or one for each channel."""
    return np.asarray(value, np.float32)


def read_csv(source: DataSource, classes: Sequence[str]) -> Split:
    """Columns of a table as float32 of shape (n, columns) for each input, and the labels.

    Args:
        source: A table with a header; `features` are the columns of each input, `label` that of the labels.
        classes: Names of the classes in their order, where labels are words; empty: labels are numbers.

    Raises:
        EngineError: It cannot be read, a feature is no number or missing, or a label is no class.
    """
    import pandas as pd

    try:
        table = pd.read_csv(source.path, encoding="utf-8-sig", skipinitialspace=True, keep_default_na=False)  # a class may be named NA
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise EngineError(
            f"{source.path} cannot be read as a table: {first_line(error)}", "is it comma-separated, with a header?"
        ) from error
    if table.empty:
        raise EngineError(f"{source.path} has no rows", "a sample is a row")
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
            f"column {column!r} is no finite number in row {row + 2}: {table[column].iloc[row]!r}",
            "mend the table, or leave it out of `features`",
        )
    return numbers


def _labels(column: Any, classes: Sequence[str]) -> Array:
    """The number of each label's class; as they are where the labels are numbers."""
    if not classes:
        numbers: Array = column.to_numpy()
        if numbers.dtype.kind not in "iufb" or not np.isfinite(numbers).all():
            raise EngineError(f"column {column.name!r} holds a label that is missing or no number", "mend the table")
        return numbers
    number = {name: index for index, name in enumerate(classes)}
    unknown = [str(word) for word in column if str(word).strip() not in number]
    if unknown:
        raise EngineError(f"{unknown[0]!r} in column {column.name!r} is no class of the training data", "name it in `classes`")
    return np.array([number[str(word).strip()] for word in column])


def call_data(source: DataSource, folder: str | None, *, trusted: bool) -> Split:
    """What a function of the user's gives: `(inputs, labels)`, or inputs alone; inputs are an array, or a mapping of them by the model's input.

    Args:
        source: `package.module:function`, called without arguments.
        folder: Where the module is looked for first.
        trusted: Whether it may run.

    Raises:
        EngineError: It may not, fails, or gives no arrays of numbers of one length.
    """
    if not trusted:
        raise EngineError(f"{source.path} is code, which is not run without trust", "look at what it does, then run with --trust")
    given = call_function(source.path, folder)
    inputs, labels = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    return _checked(source.path, inputs, labels)


def _checked(name: str, inputs: Any, labels: Any) -> Split:
    hint = "return (inputs, labels): arrays whose first axis is the sample; labels may be None"
    try:
        kept: Any = (
            {str(key): np.asarray(array) for key, array in inputs.items()}
            if isinstance(inputs, Mapping)
            else [np.asarray(array) for array in inputs]
            if isinstance(inputs, list | tuple)
            else np.asarray(inputs)
        )
        labelled = None if labels is None else np.asarray(labels)
    except (ValueError, TypeError) as error:
        raise EngineError(f"{name} gave no arrays: {first_line(error)}", hint) from error
    every = [
        *(kept.values() if isinstance(kept, dict) else [kept] if isinstance(kept, np.ndarray) else kept),
        *([] if labels is None else [labelled]),
    ]
    if not every or any(not array.ndim or not len(array) or array.dtype.kind == "O" for array in every) or len({len(a) for a in every}) > 1:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in every)
        raise EngineError(f"{name} gave {shapes or 'nothing'}", hint)
    if isinstance(kept, list) and len(kept) > 1:  # converters write a model's inputs in any order
        raise EngineError(f"{name} gave {len(kept)} arrays without names", "return ({name of the input: array}, labels)")
    return Split(kept, labelled)
