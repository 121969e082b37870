"""Quality of outputs against labels, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.workloads.functions import call_function
from harness.workloads.labels import another_task, binary, class_labels
from harness.workloads.positions import multilabel_accuracy, position_accuracy

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
        cuts: Whether it takes single numbers above a threshold as class 1: of a sample, of each of its labels, or of each of its positions.
        checked: Whether it refuses labels that it cannot be measured with, so that they can be checked before anything is measured.
        axes: How many axes the positions have that it decides about.
    """

    direction: Literal["higher", "lower"]
    per_sample: Callable[[Array, Array], Array]
    proportion: bool
    against: Literal["labels", "inputs"] = "labels"
    across: Callable[[Array, Array], Array] | None = None
    cuts: Literal["sample", "labels", "positions"] | None = None
    checked: bool = False
    axes: int = 0

    def at(self, threshold: float | None) -> Metric:
        """The same metric with a threshold."""
        per_sample: Callable[..., Array] = self.per_sample
        return replace(self, per_sample=partial(per_sample, threshold=threshold))


def accuracy(outputs: Array, labels: Array, threshold: float | None = 0.5) -> Array:
    """1 where the class is the label, else 0; a class of which the model says NaN is wrong, and of several with the same score it names the first.

    Args:
        outputs: Shape (n, classes): the largest is the class. Shape (n,) or (n, 1): a class by its number or name, or, as a float, a score of class 1.
        labels: Shape (n,) or (n, 1), or marked in shape (n, classes); two classes are 0 and 1 or -1 and 1.
        threshold: Above which a single float is class 1; None: it is the number of a class.

    Raises:
        EngineError: These outputs cannot be compared with these labels.
    """
    scores = outputs.reshape(len(outputs), -1)
    if max(scores.shape[1], labels.reshape(len(labels), -1).shape[1]) > 1 and scores.dtype.kind in "OUS":  # several words have no largest
        raise another_task(outputs, labels)
    wanted = class_labels(outputs, labels)
    if sum(size > 1 for size in outputs.shape[1:]) > 1:
        raise another_task(outputs, labels)
    given, known = _classes(scores, threshold)
    if (given.dtype.kind in "OUS") != (wanted.dtype.kind in "OUS"):
        raise another_task(outputs, labels)
    if known == 2 or (known is None and _is_signed(wanted) and np.isin(given, (0, 1)).all()):
        wanted = binary(wanted)
    elif known is not None and (wanted.min() < 0 or wanted.max() >= known):
        raise EngineError(
            f"labels reach from {wanted.min()} to {wanted.max()}, the output has the classes 0 to {known - 1}",
            "number the labels as the model does",
        )
    return np.asarray(given == wanted, dtype=np.float64)


def _is_signed(wanted: Array) -> bool:
    """Whether labels are -1 and 1."""
    return wanted.dtype.kind == "i" and bool((wanted == -1).any()) and bool(np.isin(wanted, (-1, 1)).all())


def _classes(scores: Array, threshold: float | None) -> tuple[Array, int | None]:
    """The class of each row, -1 for NaN, and how many classes there are; None where the output is the class itself."""
    if scores.shape[1] > 1:
        return _largest(scores), scores.shape[1]
    column = scores[:, 0]
    if column.dtype.kind == "b":
        return column.astype(np.int64), 2
    if column.dtype.kind != "f" or threshold is None:
        return column, None
    return np.where(np.isnan(column), -1, column > threshold), 2


def _largest(scores: Array) -> Array:
    return np.where(np.isnan(scores).any(axis=1), -1, np.argmax(scores, axis=1)) if scores.dtype.kind == "f" else np.argmax(scores, axis=1)


def ties(outputs: Array, threshold: float | None) -> int:
    """How many samples have several classes with exactly the largest score, or a single score exactly at the threshold.

    Args:
        outputs: As for `accuracy`.
        threshold: Likewise.
    """
    scores = outputs.reshape(len(outputs), -1)
    if scores.dtype.kind not in "fiu" or (scores.shape[1] == 1 and (threshold is None or scores.dtype.kind != "f")):
        return 0
    if scores.shape[1] == 1:
        return int((scores[:, 0] == threshold).sum())
    return int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())


def squared_error(outputs: Array, labels: Array) -> Array:
    """Mean squared difference of a sample's outputs and labels.

    Args:
        outputs: Shape (n, ...).
        labels: Of the same size.

    Raises:
        EngineError: Another size, no numbers, or outputs that are not finite.
    """
    if outputs.size != labels.size or outputs.dtype.kind not in "fiub":
        raise another_task(outputs, labels)
    difference = outputs.reshape(len(outputs), -1).astype(np.float64) - labels.reshape(len(labels), -1)
    if not np.isfinite(difference).all():
        raise EngineError("the outputs are not finite", "does the model overflow in this precision?")
    return np.asarray(np.mean(difference**2, axis=1))


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


def metric_named(name: str, direction: Literal["higher", "lower"], folder: str | None, ignore: int | None = None) -> Metric:
    """A metric by its name, or the user's own.

    Args:
        name: One of `METRICS`, or `package.module:function`, which gives one number for each sample from (outputs, labels).
        direction: Which is better; of a function of the user's.
        folder: Where that is looked for.
        ignore: The label of positions that do not count; None: all count.
    """
    if name in METRICS:
        metric = METRICS[name]
        per_sample: Callable[..., Array] = metric.per_sample
        return metric if ignore is None else replace(metric, per_sample=partial(per_sample, ignore=ignore))
    return Metric(
        direction, lambda outputs, labels: _numbers(name, call_function(name, folder, outputs, labels), len(outputs)), proportion=False
    )


def _numbers(name: str, given: Any, samples: int) -> Array:
    try:
        numbers = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (samples,) or not np.isfinite(numbers).all():
        raise EngineError(f"{name} gave no finite number for each of {samples} samples", "let it return an array of shape (n,)")
    return numbers


METRICS = {
    "accuracy": Metric("higher", accuracy, proportion=True, cuts="sample", checked=True),
    "multilabel_accuracy": Metric("higher", multilabel_accuracy, proportion=False, cuts="labels", checked=True),
    "pixel_accuracy": Metric("higher", partial(position_accuracy, axes=2), proportion=False, cuts="positions", checked=True, axes=2),
    "token_accuracy": Metric("higher", partial(position_accuracy, axes=1), proportion=False, cuts="positions", checked=True, axes=1),
    "mean_squared_error": Metric("lower", squared_error, proportion=False),
    "reconstruction_auc": Metric("higher", squared_error, proportion=False, against="inputs", across=placements),
}
