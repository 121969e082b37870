"""Labels as people write them -> the number of each sample's class, or the refusal that names the task they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError

Array = NDArray[Any]


def class_labels(outputs: Array, labels: Array) -> Array:
    """One class a sample, shape (n,).

    Args:
        outputs: Shape (n, ...): what they are compared with.
        labels: Shape (n,) or (n, 1): numbers, booleans or words. Shape (n, classes), one of each row marked: 0 and 1, -1 and 1, or shares that sum to 1.

    Raises:
        EngineError: They are of another task, or no classes.
    """
    rows, columns = labels.reshape(len(labels), -1), outputs.reshape(len(outputs), -1).shape[1]
    if sum(size > 1 for size in labels.shape[1:]) > 1:
        raise another_task(outputs, labels)
    if rows.dtype.kind in "OUS":
        if rows.shape[1] > 1:
            raise another_task(outputs, labels)
        return rows[:, 0]
    if rows.shape[1] > 1:
        if rows.shape[1] != columns and (rows.shape[1], columns) != (2, 1):
            raise another_task(outputs, labels)
        if not one_of_each(rows, axis=1):
            raise another_task(outputs, labels)
        return np.asarray(np.argmax(rows, axis=1))
    return whole(rows[:, 0])


def whole(labels: Array) -> Array:
    """Numbers of classes as integers, whatever type they are written in.

    Raises:
        EngineError: Some are fractions, or no numbers.
    """
    if labels.dtype.kind == "f" and (wrong := labels[(labels % 1 != 0) | ~np.isfinite(labels)]).size:
        raise EngineError(
            f"labels such as {wrong.flat[0]:g} are no classes",
            "number the classes, or name a metric for numbers: `metric: mean_squared_error`",
        )
    return np.asarray(labels, dtype=np.int64)


def one_of_each(labels: Array, axis: int) -> bool:
    """Whether along an axis exactly one class is marked everywhere: the others have all the same smaller number, or all are shares of 1.

    Args:
        labels: Numbers.
        axis: Of the classes.
    """
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
        labels: Whole numbers, shape (n, ...): 0 and 1, or -1 and 1.

    Raises:
        EngineError: Others: which of them is class 1 is not known.
    """
    found = np.unique(labels)
    if np.isin(found, (0, 1)).all():
        return labels.astype(np.int64)
    if np.isin(found, (-1, 1)).all():
        return np.asarray(labels > 0, dtype=np.int64)
    names = ", ".join(f"{each:g}" for each in found[:4]) + (", ..." if len(found) > 4 else "")
    raise EngineError(
        f"an output of two classes is compared with the labels {names}",
        "number the two classes 0 and 1, or -1 and 1, in `data.test.labels`",
    )


def another_task(outputs: Array, labels: Array) -> EngineError:
    """The refusal of labels that are not one class a sample, with the metric for the task that their shape is of."""
    axes, wide = [size for size in labels.shape[1:] if size > 1], [size for size in outputs.shape[1:] if size > 1]
    what = f"outputs of shape {outputs.shape} ({outputs.dtype}) cannot be compared with labels of shape {labels.shape} ({labels.dtype})"
    hint = "give labels of the output's shape or numbers of classes, another metric, or none (`metric: null`)"
    if labels.dtype.kind in "iufb" and len(axes) >= 2:
        what, hint = f"{what}: a class for each pixel", "write `metric: pixel_accuracy`, or `metric: null`"
    elif labels.dtype.kind in "iufb" and len(axes) == 1 and len(wide) == 2 and axes[0] in wide:
        what, hint = f"{what}: a class for each position of a sequence", "write `metric: token_accuracy`, or `metric: null`"
    elif labels.dtype.kind in "iufb" and axes == wide:
        what, hint = f"{what}: several labels a sample", "write `metric: multilabel_accuracy`, or `metric: mean_squared_error`"
    return EngineError(what, hint)
