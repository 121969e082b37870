"""The interface of a framework."""

from __future__ import annotations

import random

import numpy as np
import pytest

from harness.errors import EngineError
from harness.frameworks.base import Framework
from harness.schema import FrameworkSpec, Training
from harness.variants.base import TrainData


class Bare(Framework):
    """A framework that only saves."""

    spec = FrameworkSpec(name="bare", format="npz")

    def owns(self, model):
        """Any array."""
        return isinstance(model, np.ndarray)

    def save(self, model, folder, samples):
        """Not used here."""
        raise NotImplementedError


def test_a_framework_without_training_refuses_it():
    """With its name."""
    with pytest.raises(EngineError, match="bare are not trained here") as caught:
        Bare().fit(None, Training(), TrainData([]), 0)
    assert caught.value.refused


def test_seeding_fixes_python_and_numpy():
    """The same draws again."""
    draws = []
    for _ in range(2):
        Bare().seed(5)
        draws.append((random.random(), np.random.rand()))
    assert draws[0] == draws[1]
