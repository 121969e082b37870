"""What two models say to the same inputs -> on which samples they agree, and how far apart they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]

CLOSE = 0.01
"""Of the range of dense's outputs: outputs without classes that are no further apart agree."""


def same_class(outputs: Array, dense: Array, threshold: float = 0.5) -> Bools:
    """On which samples both give the same top-1 class; a class of which either says NaN is none.

    Args:
        outputs: Shape (n, ...), one vector a sample: the largest is the class. Of one value a sample: the class by its number or, as a float, a score of class 1.
        dense: Of the same shape and type.
        threshold: Above which a single float is class 1.

    Returns:
        Shape (n,).
    """
    own, other = _top(outputs, threshold), _top(dense, threshold)
    return np.asarray((own == other) & (own >= 0) & (other >= 0))


def close(outputs: Array, dense: Array) -> Bools:
    """On which samples every output is within 1 % of the range that dense's outputs have over all samples; NaN is close to nothing.

    Args:
        outputs: Shape (n, ...).
        dense: Of the same shape.

    Returns:
        Shape (n,).
    """
    finite = dense[np.isfinite(dense)]
    limit = CLOSE * float(np.ptp(finite)) if finite.size else 0.0
    return np.asarray((_distance(outputs, dense) <= limit).reshape(len(dense), -1).all(axis=1))


def max_difference(outputs: Array, dense: Array) -> float | None:
    """The largest absolute difference, in the outputs' own unit; null where one is not finite.

    Args:
        outputs: Shape (n, ...), n > 0.
        dense: Of the same shape.
    """
    most = float(np.max(_distance(outputs, dense)))
    return most if np.isfinite(most) else None


def _distance(outputs: Array, dense: Array) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return np.asarray(np.abs(outputs.astype(np.float64) - dense.astype(np.float64)))


def _top(outputs: Array, threshold: float) -> NDArray[np.int64]:
    """The class of each sample, shape (n,); -1 where there is none."""
    rows = outputs.reshape(len(outputs), -1)
    whole = rows.dtype.kind in "iu"
    if rows.shape[1] == 1 and whole:
        return rows[:, 0].astype(np.int64)
    classes = np.argmax(rows, axis=1) if rows.shape[1] > 1 else (rows[:, 0] > threshold).astype(np.int64)
    return classes if whole else np.where(np.isnan(rows).any(axis=1), -1, classes)
