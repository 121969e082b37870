"""Quality metrics: outputs against labels, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from harness.errors import EngineError
from harness.workloads.base import Array
from harness.workloads.functions import call_function
from harness.workloads.labels import another_task, binary, class_labels
from harness.workloads.positions import largest, multilabel_accuracy, position_accuracy


@dataclass(frozen=True)
class Metric:
    """A quality metric: the mean of one number per sample.

    Attributes:
        direction: Which quality is better.
        per_sample: (outputs, references) -> one number per sample, each from that sample alone.
        proportion: Whether samples are right or wrong, so that the mean has a Wilson interval.
        against: The references: the labels, or the model's first input.
        across: (numbers of `per_sample`, labels) -> the numbers to average, for a metric of all samples together.
        cuts: What has a single score that a threshold decides about: the sample, each of its labels, or each of its positions; None: nothing.
        checked: Whether it refuses unsuitable labels, so that they can be checked before anything is measured.
        axes: Number of axes of the positions.
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
        """The metric with a threshold."""
        per_sample: Callable[..., Array] = self.per_sample
        return replace(self, per_sample=partial(per_sample, threshold=threshold))


def accuracy(outputs: Array, labels: Array, threshold: float | None = 0.5) -> Array:
    """1 for each sample whose class is the label, else 0; NaN is wrong, and of several equal largest scores the first counts.

    Args:
        outputs: Shape (n, classes): scores of the classes. Shape (n,) or (n, 1): a class by number or name, or the score of class 1 if it
            is a float.
        labels: Shape (n,) or (n, 1), or marked in shape (n, classes); two classes are 0 and 1 or -1 and 1.
        threshold: Score above which a single float is class 1; None: it is a class number.

    Raises:
        EngineError: These outputs cannot be compared with these labels.
    """
    scores = outputs.reshape(len(outputs), -1)
    if max(scores.shape[1], labels.reshape(len(labels), -1).shape[1]) > 1 and scores.dtype.kind in "OUS":  # text has no largest value
        raise another_task(outputs, labels)
    truth = class_labels(outputs, labels)
    predicted, classes = _classes(scores, threshold)
    if sum(size > 1 for size in outputs.shape[1:]) > 1 or (predicted.dtype.kind in "OUS") != (truth.dtype.kind in "OUS"):
        raise another_task(outputs, labels)
    if classes == 2 or (classes is None and _is_signed(truth) and np.isin(predicted, (0, 1)).all()):
        truth = binary(truth)
    elif classes is not None and (truth.min() < 0 or truth.max() >= classes):
        raise EngineError(
            f"labels range from {truth.min()} to {truth.max()}, the output has the classes 0 to {classes - 1}",
            "number the labels as the model does",
        )
    return np.asarray(predicted == truth, dtype=np.float64)


def _is_signed(labels: Array) -> bool:
    """Whether labels are -1 and 1."""
    return labels.dtype.kind == "i" and bool((labels == -1).any()) and bool(np.isin(labels, (-1, 1)).all())


def _classes(scores: Array, threshold: float | None) -> tuple[Array, int | None]:
    """The class of each row, -1 for NaN, and the number of classes; None if the output is the class itself."""
    if scores.shape[1] > 1:
        return largest(scores, 1), scores.shape[1]
    column = scores[:, 0]
    if column.dtype.kind == "b":
        return column.astype(np.int64), 2
    if column.dtype.kind != "f" or threshold is None:
        return column, None
    return np.where(np.isnan(column), -1, column > threshold), 2


def ties(outputs: Array, threshold: float | None) -> int:
    """Number of samples with several classes at the largest score, or a single score exactly at the threshold.

    Args:
        outputs: As for `accuracy`.
        threshold: As for `accuracy`.
    """
    scores = outputs.reshape(len(outputs), -1)
    if scores.dtype.kind not in "fiu" or (scores.shape[1] == 1 and (threshold is None or scores.dtype.kind != "f")):
        return 0
    if scores.shape[1] == 1:
        return int((scores[:, 0] == threshold).sum())
    return int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())


def squared_error(outputs: Array, labels: Array) -> Array:
    """Mean squared difference of each sample's outputs and labels.

    Args:
        outputs: Shape (n, ...).
        labels: Same size.

    Raises:
        EngineError: Sizes differ, or the outputs are not finite numbers.
    """
    if outputs.size != labels.size or outputs.dtype.kind not in "fiub":
        raise another_task(outputs, labels)
    difference = outputs.reshape(len(outputs), -1).astype(np.float64) - labels.reshape(len(labels), -1)
    if not np.isfinite(difference).all():
        raise EngineError("the outputs are not finite", "check whether the model overflows in this precision")
    return np.asarray(np.mean(difference**2, axis=1))


def placements(scores: Array, labels: Array) -> Array:
    """For each sample the share of the other class on the right side of its score, ties by half; the mean is the area under the ROC curve.

    The placement values of DeLong, DeLong and Clarke-Pearson (1988): over each class their mean is AUC = P(score of a 1 > score of a 0).

    Args:
        scores: Shape (n,), larger if class 1 is likelier.
        labels: 0 or 1, shape (n,) or (n, 1).

    Raises:
        EngineError: There are other labels, or one class only.
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
    below = overall - within  # samples of the other class with a lower score, ties by half
    return np.where(positive, below / (len(scores) - count), 1 - below / count)


def metric_named(name: str, direction: Literal["higher", "lower"], folder: str | None, ignore: int | None = None) -> Metric:
    """A metric by its name, or a user function.

    Args:
        name: One of `METRICS`, or `package.module:function`, which returns one number per sample for (outputs, labels).
        direction: Which quality is better, for the user's function.
        folder: Folder in which that is searched.
        ignore: Label of positions to leave out; None: all count.
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
        raise EngineError(f"{name} gave no finite number for each of {samples} samples", "return an array of shape (n,)")
    return numbers


METRICS = {
    "accuracy": Metric("higher", accuracy, proportion=True, cuts="sample", checked=True),
    "multilabel_accuracy": Metric("higher", multilabel_accuracy, proportion=False, cuts="labels", checked=True),
    "pixel_accuracy": Metric("higher", partial(position_accuracy, axes=2), proportion=False, cuts="positions", checked=True, axes=2),
    "token_accuracy": Metric("higher", partial(position_accuracy, axes=1), proportion=False, cuts="positions", checked=True, axes=1),
    "mean_squared_error": Metric("lower", squared_error, proportion=False),
    "reconstruction_auc": Metric("higher", squared_error, proportion=False, against="inputs", across=placements),
}
