"""The interface of a built-in workload: its data, already split, and its model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from harness.schema import Training, WorkloadSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Samples and their labels.

    Attributes:
        inputs: One array, or one for each model input, in its order or by name; first axis the sample.
        labels: First axis the sample; for training the target of the model's output. None: unlabelled.
    """

    inputs: Array | Sequence[Array] | Mapping[str, Array]
    labels: Array | None = None


class WorkloadOptions(BaseModel):
    """Base of what a suite may set for a workload."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore forbid


class Workload(ABC):
    """A built-in workload with a light spec. Libraries are imported inside the methods.

    Args:
        member: Name of the model in a family; None if the plug-in is a single model.
        options: A value of the spec's `parameters`; None if it has none.
    """

    spec: ClassVar[WorkloadSpec]
    training: ClassVar[Training | None] = None
    """Settings of the training and of later fine-tuning; None if the suite gives them."""

    def __init__(self, member: str | None = None, options: Any = None) -> None:
        self.member, self.options = member, options

    def data(self) -> dict[str, Split]:
        """The splits `train`, `validation` and `test`, disjoint and the same on each call; empty if the workload has no data."""
        return {}

    def samples(self) -> list[Array]:
        """Two samples for each model input, for frameworks that trace a model; empty by default."""
        return []

    @abstractmethod
    def model(self) -> Any:
        """The Keras model, not compiled; untrained if the spec sets `trained`."""

    def preprocess(self, images: Array) -> Array:
        """The user's images as the model takes them.

        Args:
            images: Shape (n, height, width, channels), float32 from 0 to 255.
        """
        return images


def columns_of(split: Split) -> list[tuple[str, str | None, Array]]:
    """(key in the `.npz`, name of the model's input, array) of each input; the name is None if the order decides."""
    if isinstance(split.inputs, np.ndarray):
        return [("inputs", None, split.inputs)]
    named = split.inputs.items() if isinstance(split.inputs, Mapping) else [(None, array) for array in split.inputs]
    return [(f"inputs_{index}", name, np.asarray(array)) for index, (name, array) in enumerate(named)]


def arrays_of(split: Split) -> dict[str, Array]:
    """A split as the arrays of an `.npz`."""
    arrays = {key: array for key, _, array in columns_of(split)}
    return arrays if split.labels is None else {**arrays, "labels": split.labels}


def describe_split(split: Split) -> dict[str, Any]:
    """The description of a split's `.npz`: keys and names of its inputs, whether it has labels, number of samples."""
    columns = columns_of(split)
    return {
        "inputs": [{"key": key, "name": name} for key, name, _ in columns],
        "labels": split.labels is not None,
        "samples": len(columns[0][2]),
    }
