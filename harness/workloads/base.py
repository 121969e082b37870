"""The interface of a built-in workload: its data, split once, and its untrained model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.schema import Training, WorkloadSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Samples, and their labels where they have any.

    Attributes:
        inputs: One array, one for each model input in its order, or one for each by its name; the first axis is the sample.
        labels: First axis the sample; for training what the model's output should be.
    """

    inputs: Array | Sequence[Array] | Mapping[str, Array]
    labels: Array | None = None


class Workload(ABC):
    """One file, one class, one light spec. Heavy libraries are imported inside the methods.

    Args:
        member: Which model of a family; null where the plug-in is one model.
        options: A value of the spec's `parameters`; null where it has none.
    """

    spec: ClassVar[WorkloadSpec]
    training: ClassVar[Training | None] = None
    """How the model is trained, and fine-tuned later; null where the suite says it."""

    def __init__(self, member: str | None = None, options: Any = None) -> None:
        self.member, self.options = member, options

    def data(self) -> dict[str, Split]:
        """The splits `train`, `validation` and `test`; no sample is in two of them, and each call gives the same. Empty where it brings none."""
        return {}

    @abstractmethod
    def model(self) -> Any:
        """The Keras model, not compiled; untrained where the spec says that it is trained here."""

    def preprocess(self, images: Array) -> Array:
        """Images of the user's as the model takes them.

        Args:
            images: Shape (n, height, width, channels), float32 from 0 to 255.
        """
        return images


def columns_of(split: Split) -> list[tuple[str, str | None, Array]]:
    """(key in the `.npz`, name of the model's input, array) of each input; the name is null where the order says it."""
    if isinstance(split.inputs, np.ndarray):
        return [("inputs", None, split.inputs)]
    named = split.inputs.items() if isinstance(split.inputs, Mapping) else [(None, array) for array in split.inputs]
    return [(f"inputs_{index}", name, np.asarray(array)) for index, (name, array) in enumerate(named)]


def arrays_of(split: Split) -> dict[str, Array]:
    """A split as the arrays of an `.npz`."""
    arrays = {key: array for key, _, array in columns_of(split)}
    return arrays if split.labels is None else {**arrays, "labels": split.labels}


def describe_split(split: Split) -> dict[str, Any]:
    """What has to be known of a split to use its `.npz`: the keys of its inputs, whether it has labels, how many samples."""
    columns = columns_of(split)
    return {
        "inputs": [{"key": key, "name": name} for key, name, _ in columns],
        "labels": split.labels is not None,
        "samples": len(columns[0][2]),
    }
