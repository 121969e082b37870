"""Training as a suite configures it: the parts that need no Keras."""

from __future__ import annotations

import numpy as np
import pytest

from harness.variants.base import TrainData
from harness.variants.training import gives_logits


class Answering:
    """A model with constant answers."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, inputs, verbose):
        return self.answers


@pytest.mark.parametrize(
    ("answers", "loss", "logits"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], "sparse_categorical_crossentropy", False),
        ([[0.2, 0.8], [1.004, -0.004]], "sparse_categorical_crossentropy", False),
        ([[0.2, 0.8], [-3.1, 0.4]], "sparse_categorical_crossentropy", True),
        ([[0.2, 7.0]], "categorical_crossentropy", True),
        ([[-2.0]], "binary_crossentropy", True),
        ([[-2.0]], "mean_squared_error", False),
    ],
)
def test_a_model_without_a_softmax_is_trained_on_its_logits(answers, loss, logits):
    """A loss of probabilities would ruin the training without an error, as for the toolkit's own example."""
    data = TrainData([np.zeros((2, 3), np.float32)], np.zeros(2))
    assert gives_logits(Answering(np.array(answers)), loss, data) is logits
