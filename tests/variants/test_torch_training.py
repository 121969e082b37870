"""Training of PyTorch modules."""

from __future__ import annotations

import pytest

from harness.errors import EngineError
from harness.schema import Training
from harness.variants.base import TrainData
from harness.variants.torch_training import LOSSES, OPTIMIZERS, fit
from tests.models import needs_torch, torch_report


def test_without_pytorch_it_is_refused_with_the_command():
    """As everything that needs it."""
    with pytest.raises(EngineError, match="make torch"):
        fit(None, Training(), TrainData([]), 0)
    assert "cross_entropy" in LOSSES.values() and "Adam" in OPTIMIZERS.values()


@needs_torch
def test_a_model_that_returns_probabilities_learns_too():
    """The cross-entropy is then that of the probabilities, not of logits."""
    assert torch_report()["probabilities"]["accuracy"] == 1.0
    assert torch_report()["probabilities"]["notes"]["loss"] < 0.2
