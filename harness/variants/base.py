"""The interface of a recipe, which converts a model file to another one in a separate child process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from harness.errors import EngineError
from harness.schema import ArtifactFacts, Training, VariantSpec

Array = NDArray[Any]
LEAVE_OUT = "remove this variant for this model"


@dataclass(frozen=True)
class TrainData:
    """Training data of a recipe; never test data.

    Attributes:
        inputs: One array for each model input, first axis the sample.
        labels: First axis the sample; None if the suite gives none.
        validation: Data to observe the training with; None if there are none.
    """

    inputs: Sequence[Array]
    labels: Array | None = None
    validation: TrainData | None = None


@dataclass(frozen=True)
class Job:
    """One step of a build.

    Attributes:
        source: The input model file.
        source_format: Its format.
        target_format: Format of the result.
        folder: An empty folder for the result.
        parameters: A value of the spec's `parameters`; None if it has none.
        data: None if the suite gives no training data.
        training: Settings of the training.
        seed: Seed of every random choice.
        trusted: Whether the model may run its own code.
        notes: Filled by the recipe: sparsity per layer, accuracy on the validation data.
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


class RecipeParameters(BaseModel):
    """Base of what a suite may set for a recipe."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore forbid


class Recipe(ABC):
    """A variant or an exporter, with a light spec. Libraries are imported in `apply`, never at the top."""

    spec: ClassVar[VariantSpec]

    @abstractmethod
    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Make the artifact.

        Returns:
            The file or folder written, inside `job.folder`, and the counts of its weights.

        Raises:
            EngineError: The recipe does not work for this model; with the reason and the next step.
        """


def not_applicable(reason: str, hint: str = LEAVE_OUT) -> EngineError:
    """The refusal of a recipe that can never work for this model, with the reason and the next step."""
    return EngineError(reason, hint, refused=True)
