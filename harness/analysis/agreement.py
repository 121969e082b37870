"""Agreement of the outputs of two models on the same inputs, and their largest differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]

CLOSE = 0.01
"""Largest difference of outputs that agree, relative to the range of the dense model's outputs."""


def same_class(outputs: Array, dense: Array, threshold: float = 0.5) -> Bools:
    """Samples on which both models give the same top-1 class, shape (n,); NaN never agrees.

    Args:
        outputs: One vector per sample, whose largest element is the class, shape (n, ...). For one value per sample, the class number or, as
            a float, the score of class 1.
        dense: Outputs of the dense model, of the same shape and type.
        threshold: Value above which a single float is class 1.
    """
    own, other = _top(outputs, threshold), _top(dense, threshold)
    return np.asarray((own == other) & (own >= 0) & (other >= 0))


def close(outputs: Array, dense: Array) -> Bools:
    """Samples on which all outputs are within 1 % of the range of the dense outputs, shape (n,); NaN is never close."""
    finite = dense[np.isfinite(dense)]
    limit = CLOSE * float(np.ptp(finite)) if finite.size else 0.0
    return np.asarray((_distance(outputs, dense) <= limit).reshape(len(dense), -1).all(axis=1))


def common_prefix(outputs: Array, dense: Array) -> NDArray[np.float64]:
    """Share of each answer's tokens before the first one that differs, shape (n,); 1 for equal answers.

    Args:
        outputs: One row of whole numbers per answer, filled up with negative ones after its end.
        dense: Answers of the dense model, of the same shape.
    """
    length = np.maximum((dense >= 0).sum(axis=1), (outputs >= 0).sum(axis=1))
    equal = np.logical_and.accumulate(outputs == dense, axis=1) & ((dense >= 0) | (outputs >= 0))
    return np.asarray(np.where(length > 0, equal.sum(axis=1) / np.maximum(length, 1), 1.0))


def max_difference(outputs: Array, dense: Array) -> float | None:
    """Largest absolute difference of two arrays of one shape, in their own unit; None if it is not finite."""
    largest = float(np.max(_distance(outputs, dense)))
    return largest if np.isfinite(largest) else None


def relative_difference(outputs: Array, reference: Array) -> float | None:
    """Largest absolute difference over the largest absolute value of the reference; None if either is not finite.

    This is the relative error in the maximum norm (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 6.2). It is 0 for
    equal arrays, and None if only the reference is all zeros.
    """
    largest = max_difference(outputs, reference)
    scale = float(np.max(np.abs(reference.astype(np.float64))))
    if largest is None or not np.isfinite(scale):
        return None
    return largest / scale if scale else None if largest else 0.0


def _distance(outputs: Array, dense: Array) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return np.asarray(np.abs(outputs.astype(np.float64) - dense.astype(np.float64)))


def _top(outputs: Array, threshold: float) -> NDArray[np.int64]:
    """Class of each sample, shape (n,); -1 for NaN."""
    rows = outputs.reshape(len(outputs), -1)
    integer = rows.dtype.kind in "iu"
    if rows.shape[1] == 1 and integer:
        return rows[:, 0].astype(np.int64)
    classes = np.argmax(rows, axis=1) if rows.shape[1] > 1 else (rows[:, 0] > threshold).astype(np.int64)
    return classes if integer else np.where(np.isnan(rows).any(axis=1), -1, classes)
