"""Quality of outputs against labels, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.workloads.functions import call

Array = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """A quality metric: `per_sample(outputs, references)` gives one number a sample, the quality is their mean.

    Attributes:
        direction: Which is better.
        per_sample: Compares outputs with references of the same samples, each sample by itself.
        proportion: True where each sample is right or wrong, so that the mean has a Wilson interval.
        against: What the references are: the labels, or the model's first input.
        across: Where the samples must be seen together: (numbers of `per_sample`, labels) -> the numbers whose mean is the quality.
    """

    direction: Literal["higher", "lower"]
    per_sample: Callable[[Array, Array], Array]
    proportion: bool
    against: Literal["labels", "inputs"] = "labels"
    across: Callable[[Array, Array], Array] | None = None


def accuracy(outputs: Array, labels: Array) -> Array:
    """1 where the class is the label, else 0; a class of which the model says NaN is wrong.

    Args:
        outputs: Shape (n, classes): the largest is the class. Shape (n,) or (n, 1): a class by its number or name, or, as a float, the probability of class 1.
        labels: Shape (n,) or (n, 1), or one-hot of shape (n, classes).

    Raises:
        EngineError: These outputs cannot be compared with these labels.
    """
    scores, wanted = outputs.reshape(len(outputs), -1), labels.reshape(len(labels), -1)
    if max(scores.shape[1], wanted.shape[1]) > 1 and scores.dtype.kind in "OUS":  # several words have no largest
        raise _incomparable(outputs, labels)
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


def placements(scores: Array, labels: Array) -> Array:
    """For each sample the share of the other class that its score is on the right side of, half a share for a tie; their mean is the area under the ROC curve.

    The placement values of DeLong, DeLong and Clarke-Pearson (1988): over each class they have the mean AUC = P(score of a 1 > score of a 0).

    Args:
        scores: Shape (n,), larger where class 1 is likelier.
        labels: 0 or 1, shape (n,) or (n, 1).

    Raises:
        EngineError: Other labels, or one class only.
    """
    from scipy.stats import rankdata

    positive = labels.reshape(len(labels), -1)[:, 0] == 1
    count = int(positive.sum())
    if labels.size != len(scores) or not np.isin(labels, (0, 1)).all() or count in (0, len(scores)):
        raise EngineError(
            "an area under the ROC curve takes labels of both kinds, 0 and 1", "give such labels in `data.test`, or another metric"
        )
    overall, within = rankdata(scores), np.empty(len(scores))
    for each in (positive, ~positive):
        within[each] = rankdata(scores[each])
    below = overall - within  # members of the other class with a lower score, ties by half
    return np.where(positive, below / (len(scores) - count), 1 - below / count)


def metric_named(name: str, direction: Literal["higher", "lower"], folder: str | None) -> Metric:
    """A metric by its name, or the user's own.

    Args:
        name: One of `METRICS`, or `package.module:function`, which gives one number for each sample from (outputs, labels).
        direction: Which is better; of a function of the user's.
        folder: Where that is looked for.
    """
    if name in METRICS:
        return METRICS[name]
    return Metric(direction, lambda outputs, labels: _numbers(name, call(name, folder, outputs, labels), len(outputs)), proportion=False)


def _numbers(name: str, given: Any, samples: int) -> Array:
    try:
        numbers = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (samples,) or not np.isfinite(numbers).all():
        raise EngineError(f"{name} gave no finite number for each of {samples} samples", "let it return an array of shape (n,)")
    return numbers


METRICS = {
    "accuracy": Metric("higher", accuracy, proportion=True),
    "mean_squared_error": Metric("lower", squared_error, proportion=False),
    "reconstruction_auc": Metric("higher", squared_error, proportion=False, against="inputs", across=placements),
}
