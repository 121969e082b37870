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
    """1 where the class with the largest output is the label (integer or one-hot); a single output is a probability of class 1."""
    scores = outputs.reshape(len(outputs), -1)
    classes = (scores[:, 0] > 0.5).astype(np.int64) if scores.shape[1] == 1 else np.argmax(scores, axis=1)
    labels = labels.reshape(len(labels), -1)
    wanted = labels[:, 0] if labels.shape[1] == 1 else np.argmax(labels, axis=1)
    return np.asarray(classes == wanted, dtype=np.float64)


def squared_error(outputs: Array, labels: Array) -> Array:
    """Mean squared difference of a sample's outputs and labels."""
    if outputs.size != labels.size:
        raise EngineError(
            f"outputs of shape {outputs.shape} cannot be compared with labels of shape {labels.shape}",
            "give labels of the output's shape, or another metric",
        )
    difference = outputs.reshape(len(outputs), -1).astype(np.float64) - labels.reshape(len(labels), -1)
    return np.asarray(np.mean(difference**2, axis=1))


METRICS = {
    "accuracy": Metric("higher", accuracy, proportion=True),
    "mean_squared_error": Metric("lower", squared_error, proportion=False),
}
