"""Class labels in any notation, as numbers of classes; labels of another task are refused with its metric."""

from __future__ import annotations

import numpy as np

from harness.errors import EngineError
from harness.workloads.base import Array


def class_labels(outputs: Array, labels: Array) -> Array:
    """The class of each sample, shape (n,).

    Args:
        outputs: Shape (n, ...): the outputs to compare with.
        labels: Shape (n,) or (n, 1): numbers, booleans or words. Shape (n, classes): one class of each row marked, by 0 and 1, -1 and 1, or
            shares that sum to 1.

    Raises:
        EngineError: The labels are of another task, or no classes.
    """
    rows, columns = labels.reshape(len(labels), -1), outputs.reshape(len(outputs), -1).shape[1]
    if sum(size > 1 for size in labels.shape[1:]) > 1 or (rows.dtype.kind in "OUS" and rows.shape[1] > 1):
        raise another_task(outputs, labels)
    if rows.dtype.kind in "OUS":
        return rows[:, 0]
    if rows.shape[1] == 1:
        return class_numbers(rows[:, 0])
    if (rows.shape[1] != columns and (rows.shape[1], columns) != (2, 1)) or not is_one_hot(rows, axis=1):
        raise another_task(outputs, labels)
    return np.asarray(np.argmax(rows, axis=1))


def class_numbers(labels: Array) -> Array:
    """Class numbers of any type as integers.

    Raises:
        EngineError: Some are fractions, infinite or NaN.
    """
    if labels.dtype.kind == "f" and (wrong := labels[(labels % 1 != 0) | ~np.isfinite(labels)]).size:
        raise EngineError(
            f"labels such as {wrong.flat[0]:g} are not classes",
            "number the classes, or name a metric for numbers: `metric: mean_squared_error`",
        )
    return np.asarray(labels, dtype=np.int64)


def is_one_hot(labels: Array, axis: int) -> bool:
    """Whether exactly one class is marked along an axis: the others have equal smaller values, or all are shares that sum to 1."""
    moved = np.moveaxis(np.asarray(labels, np.float64), axis, -1)
    largest = moved.max(axis=-1, keepdims=True)
    if not ((moved == largest).sum(axis=-1) == 1).all():
        return False
    others = np.where(moved == largest, moved.min(axis=-1, keepdims=True), moved)
    alike = (others == others[..., :1]).all()
    return bool(alike or ((moved >= 0).all() and np.allclose(moved.sum(axis=-1), 1, atol=1e-3)))


def binary(labels: Array) -> Array:
    """Labels of two classes as 0 and 1.

    Args:
        labels: Integers, shape (n, ...): 0 and 1, or -1 and 1.

    Raises:
        EngineError: There are other values, so that class 1 is not known.
    """
    values = np.unique(labels)
    if np.isin(values, (0, 1)).all():
        return labels.astype(np.int64)
    if np.isin(values, (-1, 1)).all():
        return np.asarray(labels > 0, dtype=np.int64)
    names = ", ".join(f"{each:g}" for each in values[:4]) + (", ..." if len(values) > 4 else "")
    raise EngineError(
        f"an output of two classes is compared with the labels {names}",
        "number the two classes 0 and 1, or -1 and 1, in `data.test.labels`",
    )


def another_task(outputs: Array, labels: Array) -> EngineError:
    """The refusal of labels that are not one class per sample; names the task and metric that their shape suggests."""
    axes, wide = [size for size in labels.shape[1:] if size > 1], [size for size in outputs.shape[1:] if size > 1]
    task, hint = "", "give labels of the output's shape or numbers of classes, another metric, or none (`metric: null`)"
    if labels.dtype.kind in "iufb" and len(axes) >= 2:
        task, hint = ": a class for each pixel", "write `metric: pixel_accuracy`, or `metric: null`"
    elif labels.dtype.kind in "iufb" and len(axes) == 1 and len(wide) == 2 and axes[0] in wide:
        task, hint = ": a class for each position of a sequence", "write `metric: token_accuracy`, or `metric: null`"
    elif labels.dtype.kind in "iufb" and axes == wide:
        task, hint = ": several labels a sample", "write `metric: multilabel_accuracy`, or `metric: mean_squared_error`"
    return EngineError(
        f"outputs of shape {outputs.shape} ({outputs.dtype}) cannot be compared with labels of shape {labels.shape} ({labels.dtype}){task}",
        hint,
    )
