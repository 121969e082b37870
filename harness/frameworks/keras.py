"""Keras models as Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from harness.formats.base import FIRST_PACKAGES, Imported
from harness.formats.keras import import_keras, save_keras
from harness.frameworks.base import Framework
from harness.schema import FrameworkSpec, Training
from harness.variants.base import TrainData
from harness.variants.training import fit, seed_everything


class Keras(Framework):
    """Keras 3 on TensorFlow."""

    spec: ClassVar = FrameworkSpec(name="keras", summary="Keras 3 on TensorFlow", format="keras", packages=FIRST_PACKAGES)

    def seed(self, seed: int) -> None:
        """Fix Keras, TensorFlow, NumPy and Python, and the order of sums."""
        seed_everything(seed)

    def owns(self, model: Any) -> bool:
        """Whether it is a Keras model."""
        return isinstance(model, import_keras().Model)

    def save(self, model: Any, folder: Path, samples: Sequence[NDArray[Any]]) -> Imported:
        """Store it as a `.keras` file."""
        return save_keras(model, folder)

    def fit(self, model: Any, training: Training, data: TrainData, seed: int) -> dict[str, Any]:
        """Train it in place."""
        return fit(model, training, data, seed)
