"""Quality of outputs that name more than one class a sample: several labels, a class a pixel, a class a token."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.workloads.labels import another_task, binary, one_of_each, whole

Array = NDArray[Any]


def multilabel_accuracy(outputs: Array, labels: Array, threshold: float = 0.5) -> Array:
    """Share of a sample's labels that are right: 1 less the Hamming loss.

    Args:
        outputs: Shape (n, k): a number for each label, above the threshold where it holds.
        labels: Of the same shape: 0 and 1, or -1 and 1.
        threshold: Where a label begins to hold.

    Raises:
        EngineError: Other shapes or labels.
    """
    given, wanted = outputs.reshape(len(outputs), -1), labels.reshape(len(labels), -1)
    if given.shape != wanted.shape or given.dtype.kind not in "fiub" or wanted.dtype.kind not in "fiub":
        raise another_task(outputs, labels)
    return np.asarray(_above(given, threshold, binary(whole(wanted))).mean(axis=1))


def position_accuracy(outputs: Array, labels: Array, threshold: float = 0.5, ignore: int | None = None, *, axes: int) -> Array:
    """Share of a sample's positions (pixels, tokens) whose class is the label.

    Args:
        outputs: Shape (n, ..., classes) or (n, classes, ...): the largest is the class. Shape (n, ...): the number of a class, or, as a float,
            a number that is above the threshold where the class is 1.
        labels: Shape (n, ...), numbers of classes; or marked along the axis of the classes.
        threshold: Of a single output a position.
        ignore: The label of positions that do not count; None: all count.
        axes: How many axes the positions have: 1 for a sequence, 2 for an image.

    Raises:
        EngineError: Other shapes or labels, or a sample without a position that counts.
    """
    scores, wanted = _squeezed(outputs), _squeezed(labels)
    if scores.dtype.kind not in "fiub" or wanted.dtype.kind not in "fiub":
        raise another_task(outputs, labels)
    axis = class_axis(scores, wanted, axes)
    if axis is None:
        raise EngineError(
            f"outputs of shape {outputs.shape} do not name a class for each position of labels of shape {labels.shape}",
            "give labels of shape (n, positions...), numbers of classes, or another metric",
        )
    if axis and wanted.shape == scores.shape:
        wanted = np.argmax(wanted, axis=axis)
    wanted = whole(wanted)
    counts = np.ones(wanted.shape, bool) if ignore is None else wanted != ignore
    if not counts.reshape(len(counts), -1).any(axis=1).all():
        raise EngineError("a sample has no position that counts: each has the label that is ignored", "correct `ignore` or the labels")
    if axis:
        classes = scores.shape[axis]
        low, high = wanted[counts].min(), wanted[counts].max()
        if low < 0 or high >= classes:
            raise EngineError(
                f"labels reach from {low:g} to {high:g}, the output has the classes 0 to {classes - 1}",
                f"number the labels as the model does, or name the one that does not count: `ignore: {high if high >= classes else low:g}`",
            )
        right = _largest(scores, axis) == wanted
    elif scores.dtype.kind == "f":
        right = np.zeros(wanted.shape, bool)
        right[counts] = _above(scores[counts], threshold, binary(wanted[counts]))
    else:
        right = scores == wanted
    rows = (right & counts).reshape(len(right), -1).sum(axis=1)
    return np.asarray(rows / counts.reshape(len(counts), -1).sum(axis=1))


def class_axis(scores: Array, wanted: Array, axes: int) -> int | None:
    """The axis of the classes in the outputs; 0 where a position has one number; None where the shapes do not fit.

    Args:
        scores: Outputs without axes of 1.
        wanted: Labels likewise.
        axes: How many axes the positions have.

    Raises:
        EngineError: Both ends could be the axis of the classes.
    """
    last = scores.ndim - 1
    if scores.ndim == axes + 2:
        if wanted.shape == scores.shape:
            return next((axis for axis in (last, 1) if one_of_each(wanted, axis)), None)
        found = [axis for axis in (1, last) if np.delete(scores.shape, axis).tolist() == list(wanted.shape)]
        if len(found) > 1:
            raise EngineError(
                f"outputs of shape {scores.shape} may have their classes along the second or the last axis", "name a metric of your own"
            )
        return found[0] if found else None
    return 0 if scores.shape == wanted.shape and scores.ndim == axes + 1 else None


def _above(given: Array, threshold: float, wanted: Array) -> Array:
    """Where a number is on the side of the threshold that the label 0 or 1 says; NaN is on neither."""
    right = (given > threshold) == (wanted == 1)
    return np.asarray(right & ~np.isnan(given) if given.dtype.kind == "f" else right)


def has_single_scores(outputs: Array, labels: Array, axes: int) -> bool:
    """Whether each position has one float, which a threshold decides about.

    Args:
        outputs: Of one sample or more.
        labels: Of all samples.
        axes: How many axes the positions have.
    """
    scores, wanted = _squeezed(outputs), _squeezed(labels)
    same = scores.shape[1:] == wanted.shape[1:] and scores.ndim == axes + 1
    return same and scores.dtype.kind == "f"


def _squeezed(array: Array) -> Array:
    """Without axes of 1 beside the samples."""
    return array.reshape(len(array), *(size for size in array.shape[1:] if size > 1))


def _largest(scores: Array, axis: int) -> Array:
    """The class of each position, -1 where a number is NaN."""
    classes = np.argmax(scores, axis=axis)
    return np.where(np.isnan(scores).any(axis=axis), -1, classes) if scores.dtype.kind == "f" else classes
