"""Answers to the same query, compared."""

from __future__ import annotations

import numpy as np
import pytest

from harness.worker.repeatability import SAME, beginnings, largest_difference


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0]], 0.0),
        ([[1.0, 4.0]], [[2.0, 4.0]], 0.25),
        ([[0.0]], [[0.0]], 0.0),
        ([[np.nan, 1.0]], [[np.nan, 1.0]], 0.0),
        ([[np.inf]], [[np.inf]], 0.0),
        ([[1.0]], [[1.0, 2.0]], 1.0),
        ([], [], 0.0),
    ],
)
def test_the_difference_is_a_share_of_the_largest_value(before, after, expected):
    """Of all outputs; values that are not finite are not compared."""
    assert largest_difference(*([np.array(array) for array in side] for side in (before, after))) == expected


def test_buffers_that_an_engine_reuses_are_copied():
    """Outputs that are no numbers are left out."""
    buffer = np.ones((1, 3), np.float32)
    first = beginnings([buffer, np.array(["text"], object)])
    buffer += 1
    assert len(first) == 1 and largest_difference(first, beginnings([buffer])) == 0.5 > SAME
