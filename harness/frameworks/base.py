"""The interface of a framework: its model objects -> artifacts, trained or not."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.base import Imported
from harness.schema import FrameworkSpec, Training
from harness.variants.base import TrainData


class Framework(ABC):
    """A framework; its library is imported inside the methods."""

    spec: ClassVar[FrameworkSpec]

    def seed(self, seed: int) -> None:
        """Fix every random choice, so that the same build gives the same artifact."""
        random.seed(seed)
        np.random.seed(seed)

    @abstractmethod
    def owns(self, model: Any) -> bool:
        """Whether an object is a model of this framework."""

    def arrange(self, model: Any, names: Sequence[str], samples: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Samples in the order of the model's inputs; by default as they are.

        Args:
            model: A model of this framework.
            names: Name of the input of each sample.
            samples: In the order of the suite.

        Raises:
            EngineError: The model has no input of such a name.
        """
        return samples

    @abstractmethod
    def save(self, model: Any, folder: Path, samples: Sequence[NDArray[Any]]) -> Imported:
        """Store a model in `spec.format`.

        Args:
            model: A model of this framework.
            folder: Empty folder for the result.
            samples: One array for each input, a batch of 2, for frameworks that must trace a model; empty: unknown.
        """

    def fit(self, model: Any, training: Training, data: TrainData, seed: int) -> dict[str, Any]:
        """Train a model in place.

        Returns:
            Notes for the artifact: epochs, loss and accuracy.

        Raises:
            EngineError: Training is not supported, or fails.
        """
        raise EngineError(f"models of {self.spec.name} are not trained here", "give a trained model", refused=True)
