"""What the content of a model's file and of its data decides before anything is built: signatures, sizes of inputs, a fixed batch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from harness.errors import EngineError
from harness.formats.inputs import Input, base_name, stored_inputs
from harness.formats.shapes import dynamic_text, fit_shape, shape_hint, takes
from harness.schema import ArrayRef, Model
from harness.suite.document import Document, Place, nearest


def check_file(document: Document, place: Place, model: Model) -> None:
    """Note what is wrong with a model whatever is measured of it.

    Args:
        document: Takes the problems.
        place: Where the model stands.
        model: Of the user's own.
    """
    try:
        inputs = declared_inputs(str(model.path), model.format, model.sha256, model.signature)
    except EngineError as error:  # of signatures: it names the line to add
        document.add_problem((*place, "signature"), f"{error.what}: {error.hint}")
        return
    if model.signature is not None and model.format != "tflite":
        document.add_problem((*place, "signature"), "'signature' belongs to a .tflite model")
    if model.input_shapes:
        _check_shapes(document, (*place, "input_shapes"), model, inputs)
    elif inputs is not None and model.test is None:
        missing = {base_name(each.name): wanted for each in inputs if None in (wanted := sample_shape(each))}
        if missing:
            have = ", ".join(f"{name!r} {dynamic_text(wanted)}" for name, wanted in missing.items())
            document.add_problem(
                place,
                f"model {model.name!r} has inputs with dynamic dimensions, of one sample: {have}; give `data.test`, or add their sizes, "
                f"`{shape_hint(missing)}` for example",
            )
    if inputs is not None and model.test is not None and model.test.inputs:
        _check_arrays(document, (*place, "data", "test"), model.test.inputs, model.test.labels, inputs)


def unfit_batch(model: Model, batch_size: int) -> str | None:
    """Why a model's file does not take a batch; None where it does, or where that is not known before it is built.

    Args:
        model: Of the suite.
        batch_size: Samples a query.
    """
    if model.path is None:
        return None
    try:
        inputs = declared_inputs(model.path, model.format, model.sha256, model.signature)
    except EngineError:  # noted already, with the line of the model
        return None
    unfit = [each for each in inputs or () if not (each.shape and each.shape[0] in (None, batch_size))]
    if not inputs or not unfit or (batch_size == 1 and (len(unfit) < len(inputs) or not any(each.shape for each in unfit))):
        return None
    return (
        f"input {unfit[0].name!r} has the fixed shape {unfit[0].shape}, the case asks for a batch of {batch_size}: "
        "export the model with a dynamic batch, or leave this batch size out"
    )


@cache
def declared_inputs(path: str, format_: str, sha256: str, signature: str | None) -> list[Input] | None:
    """The inputs as the file stores them; None where that takes running the model's framework, or where the file cannot be read.

    Args:
        path: Of the model.
        format_: Its format.
        sha256: Of its content.
        signature: Which of a `.tflite`; None: its only one.

    Raises:
        EngineError: A `.tflite` has several signatures and none is chosen, or has not the one that is.
    """
    return stored_inputs(Path(path), format_, signature)


def sample_shape(each: Input) -> tuple[int | None, ...]:
    """The shape of one sample: without the batch where the first axis is dynamic or 1, else whole."""
    return each.shape[1:] if each.shape and each.shape[0] in (None, 1) else each.shape


def _check_shapes(document: Document, place: Place, model: Model, inputs: Sequence[Input] | None) -> None:
    if model.test is not None:
        document.add_problem(place, "the test data say the sizes already: leave 'input_shapes' out")
        return
    if inputs is None:
        return  # its framework knows them, and the child that runs it looks
    by_name = {base_name(each.name): each for each in inputs}
    given = {base_name(name): shape for name, shape in model.input_shapes.items()}
    for name in model.input_shapes:
        if base_name(name) not in by_name:
            document.add_problem((*place, name), f"model {model.name!r} has no input {name!r}{nearest(name, by_name)}")
    for name, each in by_name.items():
        wanted = sample_shape(each)
        if name in given and not (takes(wanted, given[name]) or takes(each.shape[1:], given[name])):
            document.add_problem(
                (*place, name),
                f"input {name!r} takes {dynamic_text(wanted)} a sample, not {list(given[name])}: write the size of one sample, without the batch",
            )
        elif name not in given and None in wanted:
            document.add_problem(place, f"input {name!r} has dynamic dimensions too, {dynamic_text(wanted)} a sample: add its size")


def _check_arrays(document: Document, place: Place, refs: Sequence[ArrayRef], labels: ArrayRef | None, inputs: Sequence[Input]) -> None:
    """Whether test arrays have the shapes that the model takes, and as many samples as labels; what cannot be read is left to the child."""
    shapes = [_array_shape(ref.path, ref.key) for ref in refs]
    marked = _array_shape(labels.path, labels.key) if labels else None
    if len(refs) != len(inputs):
        names = ", ".join(base_name(each.name) for each in inputs)
        document.add_problem(
            (*place, "inputs"),
            f"the model has {len(inputs)} inputs ({names}), the data {len(refs)} arrays: write `inputs: {{name: 'file.npz:key', ...}}`",
        )
        return
    by_name = {base_name(each.name): each for each in inputs}
    for at, (ref, shape) in enumerate(zip(refs, shapes, strict=True)):
        each = inputs[at] if ref.name is None else by_name.get(base_name(ref.name))
        if shape is None or each is None:
            continue
        wanted = sample_shape(each)
        if not shape or (fit_shape(shape[1:], wanted) is None and fit_shape(shape[1:], each.shape[1:]) is None):
            document.add_problem(
                (*place, "inputs"),
                f"input {base_name(each.name)!r} takes {dynamic_text(wanted)} a sample, the array {ref.key!r} has {list(shape[1:])}: reshape it; the first "
                "axis is the sample",
            )
        elif marked is not None and marked[:1] != shape[:1]:
            document.add_problem(
                (*place, "labels"), f"there are {marked[:1] or 'no'} labels for {shape[:1]} samples: the first axis of both is the sample"
            )


@cache
def _array_shape(path: str, key: str) -> tuple[int, ...] | None:
    """The shape in the header of an array of an `.npz`; None where it cannot be read."""
    from numpy.lib import format as npy

    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape: tuple[int, ...] = read(stream)[0]
            return shape
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
