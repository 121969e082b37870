"""The interface of a recipe: a model file in, another model file out, in a child of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.schema import ArtifactFacts, Training, VariantSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainData:
    """What a recipe may learn from; test data never comes here.

    Attributes:
        inputs: One array for each model input, first axis the sample.
        labels: Null where the suite gives none.
        validation: The same, kept apart to watch the training; null where there is none.
    """

    inputs: Sequence[Array]
    labels: Array | None = None
    validation: TrainData | None = None


@dataclass(frozen=True)
class Job:
    """One step of a build.

    Attributes:
        source: The model file that goes in.
        source_format: Its format.
        target_format: What must come out.
        folder: An empty folder for the result.
        parameters: A value of the spec's `parameters`; null where it has none.
        data: Null where the suite gives no training data.
        training: How the suite trains.
        seed: For every random choice.
        trusted: Whether the model may run code of its own.
        notes: What the recipe has to say of the result: sparsity per layer, accuracy on the validation data.
    """

    source: Path
    source_format: str
    target_format: str
    folder: Path
    parameters: Any = None
    data: TrainData | None = None
    training: Training = field(default_factory=Training)
    seed: int = 0
    trusted: bool = False
    notes: dict[str, Any] = field(default_factory=dict)


class Recipe(ABC):
    """One light spec. The libraries are imported in `apply`, never at the top."""

    spec: ClassVar[VariantSpec]

    @abstractmethod
    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Make the artifact.

        Returns:
            The file or folder written, inside `job.folder`, and what was counted in it.

        Raises:
            EngineError: This model cannot be changed so: why, and what would do.
        """


def count_nonzero(weights: Sequence[Array]) -> int:
    """How many weights are not exactly 0."""
    return int(sum(np.count_nonzero(array) for array in weights))
