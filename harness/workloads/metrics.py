"""Quality of outputs against labels, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError

Array = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """A quality metric: `per_sample(outputs, labels)` gives one number a sample, the quality is their mean."""

    direction: Literal["higher", "lower"]
    per_sample: Callable[[Array, Array], Array]
    proportion: bool
    """True where each sample is right or wrong, so that the mean has a Wilson interval."""


def accuracy(outputs: Array, labels: Array) -> Array:
    """1 where the class is the label, else 0; a class of which the model says NaN is wrong.

    Args:
        outputs: Shape (n, classes): the largest is the class. Shape (n,) or (n, 1): a class by its number or name, or, as a float, the probability of class 1.
        labels: Shape (n,) or (n, 1), or one-hot of shape (n, classes).

    Raises:
        EngineError: These outputs cannot be compared with these labels.
    """
    scores, wanted = outputs.reshape(len(outputs), -1), labels.reshape(len(labels), -1)
    if wanted.shape[1] > 1:
        if wanted.shape != scores.shape:
            raise _incomparable(outputs, labels)
        return np.asarray(_largest(scores) == np.argmax(wanted, axis=1), dtype=np.float64)
    if scores.shape[1] > 1 and outputs.ndim > 2 and max(outputs.shape[1:]) != scores.shape[1]:
        raise _incomparable(outputs, labels)
    given, known = _classes(scores)
    if (given.dtype.kind in "OUS") != (wanted.dtype.kind in "OUS"):
        raise _incomparable(outputs, labels)
    if known is not None and (wanted.min() < 0 or wanted.max() >= known):
        raise EngineError(
            f"labels reach from {wanted.min()} to {wanted.max()}, the output has the classes 0 to {known - 1}",
            "number the labels as the model does",
        )
    return np.asarray(given == wanted[:, 0], dtype=np.float64)


def _classes(scores: Array) -> tuple[Array, int | None]:
    """The class of each row, -1 for NaN, and how many classes there are; null where the output is the class itself."""
    if scores.shape[1] > 1:
        return _largest(scores), scores.shape[1]
    column = scores[:, 0]
    if column.dtype.kind != "f":
        return column, None
    return np.where(np.isnan(column), -1, column > 0.5), 2


def _largest(scores: Array) -> Array:
    return np.where(np.isnan(scores).any(axis=1), -1, np.argmax(scores, axis=1)) if scores.dtype.kind == "f" else np.argmax(scores, axis=1)


def squared_error(outputs: Array, labels: Array) -> Array:
    """Mean squared difference of a sample's outputs and labels.

    Args:
        outputs: Shape (n, ...).
        labels: Of the same size.

    Raises:
        EngineError: Another size, no numbers, or outputs that are not finite.
    """
    if outputs.size != labels.size or outputs.dtype.kind not in "fiub":
        raise _incomparable(outputs, labels)
    difference = outputs.reshape(len(outputs), -1).astype(np.float64) - labels.reshape(len(labels), -1)
    if not np.isfinite(difference).all():
        raise EngineError("the outputs are not finite", "does the model overflow in this precision?")
    return np.asarray(np.mean(difference**2, axis=1))


def _incomparable(outputs: Array, labels: Array) -> EngineError:
    return EngineError(
        f"outputs of shape {outputs.shape} ({outputs.dtype}) cannot be compared with labels of shape {labels.shape} ({labels.dtype})",
        "give labels of the output's shape or numbers of classes, another metric, or none (`metric: null`)",
    )


METRICS = {
    "accuracy": Metric("higher", accuracy, proportion=True),
    "mean_squared_error": Metric("lower", squared_error, proportion=False),
}
