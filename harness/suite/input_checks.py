"""Checks of a suite that read the user's model files and data."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from harness.errors import EngineError
from harness.formats.base import Input
from harness.formats.inputs import base_name, stored_inputs
from harness.formats.shapes import dynamic_text, fit_shape, shape_hint, takes
from harness.schema import ArrayRef, Catalogue, Model
from harness.suite.document import Document, Place, nearest


def check_file(document: Document, place: Place, model: Model, catalogue: Catalogue) -> None:
    """Add an error for everything in a model's file that no case can run."""
    if model.format not in catalogue.formats:  # built by a function
        return
    try:
        inputs = declared_inputs(str(model.path), model.format, model.sha256, model.signature)
    except EngineError as error:  # about signatures, with the line to add
        document.add_problem((*place, "signature"), f"{error.what}: {error.hint}")
        return
    if model.signature is not None and not catalogue.formats[model.format].signatures:
        document.add_problem((*place, "signature"), "'signature' belongs to a .tflite model: remove it")
    if model.input_shapes:
        _check_shapes(document, (*place, "input_shapes"), model, inputs)
    elif inputs is not None and model.test is None:
        missing = {base_name(each.name): shape for each in inputs if None in (shape := sample_shape(each))}
        if missing:
            names = ", ".join(f"{name!r} {dynamic_text(shape)}" for name, shape in missing.items())
            document.add_problem(
                place,
                f"model {model.name!r} has inputs with dynamic dimensions, of one sample: {names}; give `data.test`, or add their sizes, "
                f"for example `{shape_hint(missing)}`",
            )
    if inputs is not None and model.test is not None and model.test.inputs:
        _check_arrays(document, (*place, "data", "test"), model.test.inputs, model.test.labels, inputs)


def unfit_batch(model: Model, batch_size: int) -> str | None:
    """Why a model's file does not take a batch size; None if it may."""
    if model.path is None or model.format == "python":
        return None
    try:
        inputs = declared_inputs(model.path, model.format, model.sha256, model.signature)
    except EngineError:  # reported by `check_file`
        return None
    unfit = [each for each in inputs or () if not (each.shape and each.shape[0] in (None, batch_size))]
    if not inputs or not unfit or (batch_size == 1 and (len(unfit) < len(inputs) or not any(each.shape for each in unfit))):
        return None
    return (
        f"input {unfit[0].name!r} has the fixed shape {unfit[0].shape}, but the case has a batch of {batch_size}: "
        "export the model with a dynamic batch, or leave this batch size out"
    )


@cache
def declared_inputs(path: str, format_: str, sha256: str, signature: str | None) -> list[Input] | None:
    """The inputs that a file declares; None if it cannot be read here.

    Raises:
        EngineError: A `.tflite` lacks the signature, or has several and none is chosen.
    """
    return stored_inputs(Path(path), format_, signature)


def sample_shape(each: Input) -> tuple[int | None, ...]:
    """Shape of one sample: without a first axis that is dynamic or 1."""
    return each.shape[1:] if each.shape and each.shape[0] in (None, 1) else each.shape


def _check_shapes(document: Document, place: Place, model: Model, inputs: Sequence[Input] | None) -> None:
    if model.test is not None:
        document.add_problem(place, "the test data determine the sizes: remove 'input_shapes'")
        return
    if inputs is None:
        return  # only the framework knows them: the child checks
    by_name = {base_name(each.name): each for each in inputs}
    given = {base_name(name): shape for name, shape in model.input_shapes.items()}
    for name in model.input_shapes:
        if base_name(name) not in by_name:
            document.add_problem((*place, name), f"model {model.name!r} has no input {name!r}{nearest(name, by_name)}")
    for name, each in by_name.items():
        declared = sample_shape(each)
        if name in given and not (takes(declared, given[name]) or takes(each.shape[1:], given[name])):
            document.add_problem(
                (*place, name),
                f"input {name!r} takes {dynamic_text(declared)} a sample, not {list(given[name])}: write the size of one sample, without the batch",
            )
        elif name not in given and None in declared:
            document.add_problem(place, f"input {name!r} also has dynamic dimensions, {dynamic_text(declared)} a sample: add its size")


def _check_arrays(document: Document, place: Place, refs: Sequence[ArrayRef], labels: ArrayRef | None, inputs: Sequence[Input]) -> None:
    """Check shapes and numbers of the test arrays that can be read here."""
    if len(refs) != len(inputs):
        names = ", ".join(base_name(each.name) for each in inputs)
        document.add_problem(
            (*place, "inputs"),
            f"the model has {len(inputs)} inputs ({names}), but the data have {len(refs)} arrays: write `inputs: {{name: 'file.npz:key', ...}}`",
        )
        return
    labels_shape = _array_shape(labels.path, labels.key) if labels else None
    by_name = {base_name(each.name): each for each in inputs}
    for index, ref in enumerate(refs):
        shape, each = _array_shape(ref.path, ref.key), inputs[index] if ref.name is None else by_name.get(base_name(ref.name))
        if shape is None or each is None:
            continue
        declared = sample_shape(each)
        if not shape or (fit_shape(shape[1:], declared) is None and fit_shape(shape[1:], each.shape[1:]) is None):
            document.add_problem(
                (*place, "inputs"),
                f"input {base_name(each.name)!r} takes {dynamic_text(declared)} a sample, but the array {ref.key!r} has {list(shape[1:])}: "
                "reshape it; the first axis is the sample",
            )
        elif labels_shape is not None and labels_shape[:1] != shape[:1]:
            document.add_problem(
                (*place, "labels"),
                f"there are {labels_shape[:1] or 'no'} labels for {shape[:1]} samples: give one label for each sample, the first axis of both",
            )


@cache
def _array_shape(path: str, key: str) -> tuple[int, ...] | None:
    """The shape in the header of an array of an `.npz`; None if it cannot be read."""
    from numpy.lib import format as npy

    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            version = npy.read_magic(stream)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape: tuple[int, ...] = read_header(stream)[0]
            return shape
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
