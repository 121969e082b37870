"""Labels in any notation, and the refusal of those of another task."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.workloads.metrics import accuracy


@pytest.mark.parametrize(
    ("outputs", "labels", "hint"),
    [
        (np.zeros((2, 4)), np.ones((2, 4)), "multilabel_accuracy"),
        (np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), int), "pixel_accuracy"),
        (np.zeros((2, 3, 8, 8)), np.zeros((2, 8, 8, 1), int), "pixel_accuracy"),
        (np.zeros((2, 9, 3)), np.zeros((2, 9), int), "token_accuracy"),
    ],
)
def test_the_refusal_names_the_metric_of_the_task(outputs, labels, hint):
    """Several labels, a class a pixel, a class a token."""
    with pytest.raises(EngineError) as caught:
        accuracy(outputs, labels)
    assert hint in caught.value.hint
