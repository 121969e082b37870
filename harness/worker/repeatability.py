"""Whether a model answers the same query in the same way twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.engines.base import Array

SAME = 0.01
"""Largest difference, as a share of the largest value, that the order of additions on a device may cause."""
COMPARED = 65_536
"""Number of values of each output that are compared, so that the copy does not count in the memory of a case."""


def beginnings(answers: Sequence[Array]) -> list[Array]:
    """Copies of the first values of each numeric output, because an engine may reuse its buffers."""
    arrays = [answer for answer in answers if isinstance(answer, np.ndarray | np.generic) and answer.dtype.kind in "fiub"]
    return [np.asarray(array).flat[:COMPARED].astype(np.float64) for array in arrays]


def largest_difference(before: Sequence[Array], after: Sequence[Array]) -> float:
    """Largest difference of two answers to one query, as a share of the largest value; 1 if their sizes differ.

    Args:
        before: `beginnings` of the first answer.
        after: Those of the second.
    """
    if [len(array) for array in before] != [len(array) for array in after]:
        return 1.0
    return max((_difference(*pair) for pair in zip(before, after, strict=True)), default=0.0)


def _difference(before: Array, after: Array) -> float:
    finite = np.isfinite(before) & np.isfinite(after)
    if not finite.any():
        return 0.0
    largest = max(np.abs(before[finite]).max(), np.abs(after[finite]).max())
    return float(np.abs(before[finite] - after[finite]).max() / largest) if largest else 0.0
