"""The interface of a model format: how a file or folder is recognised, imported safely, and read without its framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from harness.errors import EngineError
from harness.schema import ArtifactFacts, FormatSpec

FIRST_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "numpy", "scikit-learn")
"""Distributions whose versions enter the id of the first build of our formats and of Keras; changing them renews every cached artifact."""


class Input(NamedTuple):
    """An input as the model declares it: its name, and its shape with the batch first, None for a dynamic dimension."""

    name: str
    shape: tuple[int | None, ...]


class Declared(NamedTuple):
    """An input or output: name, shape with the batch first (None: dynamic), NumPy's name of its type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Imported(NamedTuple):
    """A model in our folder.

    Attributes:
        path: File or folder written.
        facts: What was counted in it.
        notes: Other findings for the artifact's record.
    """

    path: Path
    facts: ArtifactFacts
    notes: dict[str, Any] = {}


@dataclass(frozen=True)
class ImportRequest:
    """A model of the user's to import.

    Attributes:
        source: The user's file or folder.
        folder: Empty folder for the result.
        trusted: Whether the model may run code of its own.
        signature: The chosen signature; None: the only one.
        samples: Two samples for each input, from the shapes in the suite or the training data; empty if it has neither.
        names: Name of the input of each sample; empty: they are in the model's order.
    """

    source: Path
    folder: Path
    trusted: bool = False
    signature: str | None = None
    samples: Sequence[NDArray[Any]] = ()
    names: Sequence[str] = ()


class Format(ABC):
    """A model format; its library is imported inside the methods."""

    spec: ClassVar[FormatSpec]

    @abstractmethod
    def import_model(self, request: ImportRequest) -> Imported:
        """Check the user's model and store it in `spec.stored_as`.

        Raises:
            EngineError: It cannot be read, or would run code without trust.
        """

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs of a model, in its order; its framework may be loaded.

        Raises:
            EngineError: It cannot be read.
        """
        raise EngineError(
            f"the inputs of a model of the format {self.spec.name!r} cannot be read", "give the data as a function or as .npz"
        )

    def stored_inputs(self, path: Path, signature: str | None = None) -> list[Input] | None:
        """Inputs that a file declares, read without its framework; None if it does not declare them.

        Raises:
            EngineError: There are several signatures and none is chosen, or the chosen one does not exist.
        """
        return None

    def stored_types(self, path: Path) -> set[str] | None:
        """Types of the weights by NumPy's names; None if they cannot be read."""
        return None
