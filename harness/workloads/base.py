"""The interface of a built-in workload: its data, split once, and its untrained model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.schema import Training, WorkloadSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Samples with their labels, first axis the sample."""

    inputs: Array
    labels: Array


class Workload(ABC):
    """One file, one class, one light spec. Heavy libraries are imported inside the methods."""

    spec: ClassVar[WorkloadSpec]
    training: ClassVar[Training]

    @abstractmethod
    def data(self) -> dict[str, Split]:
        """The splits `train`, `validation` and `test`; no sample is in two of them, and each call gives the same."""

    @abstractmethod
    def model(self) -> Any:
        """The untrained Keras model, not compiled."""


def arrays_of(split: Split) -> dict[str, Array]:
    """A split as the arrays of an `.npz`."""
    return {"inputs": split.inputs, "labels": split.labels}


def rows_sha256(array: Array) -> set[str]:
    """The hash of each sample, so that two splits can be shown to share none."""
    import hashlib

    return {hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in array}
