"""Quality of outputs with more than one class per sample: several labels, a class per pixel, a class per token."""

from __future__ import annotations

import numpy as np

from harness.errors import EngineError
from harness.workloads.base import Array
from harness.workloads.labels import another_task, binary, class_numbers, is_one_hot


def multilabel_accuracy(outputs: Array, labels: Array, threshold: float = 0.5) -> Array:
    """Share of each sample's labels that are right: 1 minus the Hamming loss.

    Args:
        outputs: Shape (n, k): a score for each label.
        labels: Same shape: 0 and 1, or -1 and 1.
        threshold: Score above which a label is predicted.

    Raises:
        EngineError: Shapes or labels do not fit.
    """
    scores, truth = outputs.reshape(len(outputs), -1), labels.reshape(len(labels), -1)
    if scores.shape != truth.shape or scores.dtype.kind not in "fiub" or truth.dtype.kind not in "fiub":
        raise another_task(outputs, labels)
    return np.asarray(_above(scores, threshold, binary(class_numbers(truth))).mean(axis=1))


def position_accuracy(outputs: Array, labels: Array, threshold: float = 0.5, ignore: int | None = None, *, axes: int) -> Array:
    """Share of each sample's positions (pixels, tokens) whose class is right.

    Args:
        outputs: Shape (n, ..., classes) or (n, classes, ...): scores of the classes. Shape (n, ...): class numbers, or scores of class 1 if
            they are floats.
        labels: Shape (n, ...): class numbers; or one class marked along the axis of the classes.
        threshold: Score above which the class is 1, for one score per position.
        ignore: Label of positions to leave out; None: all count.
        axes: Number of axes of the positions: 1 for a sequence, 2 for an image.

    Raises:
        EngineError: Shapes or labels do not fit, or all positions of a sample are ignored.
    """
    scores, truth = _squeezed(outputs), _squeezed(labels)
    if scores.dtype.kind not in "fiub" or truth.dtype.kind not in "fiub":
        raise another_task(outputs, labels)
    axis = class_axis(scores, truth, axes)
    if axis is None:
        raise EngineError(
            f"outputs of shape {outputs.shape} do not give a class for each position of labels of shape {labels.shape}",
            "give labels of shape (n, positions...), numbers of classes, or another metric",
        )
    truth = class_numbers(np.argmax(truth, axis=axis) if axis and truth.shape == scores.shape else truth)
    counts = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    if not counts.reshape(len(counts), -1).any(axis=1).all():
        raise EngineError("in one sample every position has the ignored label", "correct `ignore` or the labels")
    if axis:
        _check_range(truth[counts], scores.shape[axis])
        right = largest(scores, axis) == truth
    elif scores.dtype.kind == "f":
        right = np.zeros(truth.shape, bool)
        right[counts] = _above(scores[counts], threshold, binary(truth[counts]))
    else:
        right = scores == truth
    rows = (right & counts).reshape(len(right), -1).sum(axis=1)
    return np.asarray(rows / counts.reshape(len(counts), -1).sum(axis=1))


def _check_range(labels: Array, classes: int) -> None:
    """Refuse labels that are not classes of the output."""
    low, high = labels.min(), labels.max()
    if low < 0 or high >= classes:
        raise EngineError(
            f"labels range from {low:g} to {high:g}, the output has the classes 0 to {classes - 1}",
            f"number the labels as the model does, or name the one that does not count: `ignore: {high if high >= classes else low:g}`",
        )


def class_axis(scores: Array, labels: Array, axes: int) -> int | None:
    """The axis of the classes in the outputs; 0 if each position has one number; None if the shapes do not fit.

    Args:
        scores: Outputs without axes of 1.
        labels: Labels without axes of 1.
        axes: Number of axes of the positions.

    Raises:
        EngineError: Both the second and the last axis could be that of the classes.
    """
    last = scores.ndim - 1
    if scores.ndim == axes + 2:
        if labels.shape == scores.shape:
            return next((axis for axis in (last, 1) if is_one_hot(labels, axis)), None)
        fitting = [axis for axis in (1, last) if np.delete(scores.shape, axis).tolist() == list(labels.shape)]
        if len(fitting) > 1:
            raise EngineError(
                f"outputs of shape {scores.shape} may have their classes along the second or the last axis", "use a metric function"
            )
        return fitting[0] if fitting else None
    return 0 if scores.shape == labels.shape and scores.ndim == axes + 1 else None


def _above(scores: Array, threshold: float, labels: Array) -> Array:
    """Whether each score is on the label's side of the threshold: above it for 1; False for NaN."""
    right = (scores > threshold) == (labels == 1)
    return np.asarray(right & ~np.isnan(scores) if scores.dtype.kind == "f" else right)


def has_single_scores(outputs: Array, labels: Array, axes: int) -> bool:
    """Whether each position has one float score, so that a threshold decides its class.

    Args:
        outputs: Outputs of one sample or more.
        labels: Labels of all samples.
        axes: Number of axes of the positions.
    """
    scores, truth = _squeezed(outputs), _squeezed(labels)
    return scores.shape[1:] == truth.shape[1:] and scores.ndim == axes + 1 and scores.dtype.kind == "f"


def _squeezed(array: Array) -> Array:
    """The array without axes of 1, except that of the samples."""
    return array.reshape(len(array), *(size for size in array.shape[1:] if size > 1))


def largest(scores: Array, axis: int) -> Array:
    """Index of the largest score along an axis; -1 if a score is NaN."""
    classes = np.argmax(scores, axis=axis)
    return np.where(np.isnan(scores).any(axis=axis), -1, classes) if scores.dtype.kind == "f" else classes
