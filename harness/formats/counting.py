"""The weights of a model, by name -> how many there are, how many are not 0, and the share of zeros in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.schema import ArtifactFacts

LISTED = 500
"""Tensors whose zeros are told one by one: the largest."""


class Weight(NamedTuple):
    """One constant that is computed with.

    Attributes:
        name: Of the tensor, in the file.
        values: With the zero point of a quantized tensor taken off, so that 0 is 0; null where the type cannot be read.
        listed: Whether its zeros are told: not those of a bias or another vector.
        size: How many numbers it has, where `values` are only those that a sparse format stores; None: as many as `values`.
    """

    name: str
    values: NDArray[Any] | None
    listed: bool
    size: int | None = None


def count(weights: Iterable[Weight], macs: int | None) -> ArtifactFacts:
    """Count them.

    Args:
        weights: All of the model's; looked at one at a time.
        macs: Multiply-accumulates of one inference, where they are known.

    Returns:
        All of it; only the multiply-accumulates where one weight cannot be read, for the rest would be too few.
    """
    parameters = nonzero = 0
    shares: list[tuple[int, str, float]] = []
    for index, (name, values, listed, stored) in enumerate(weights):
        if values is None:
            return ArtifactFacts(macs=macs)
        size = values.size if stored is None else stored
        here = int(np.count_nonzero(values))
        parameters += size
        nonzero += here
        if listed and size:
            shares.append((size, name or f"tensor {index}", 1 - here / size))
    return ArtifactFacts(parameters=parameters, nonzero_parameters=nonzero, macs=macs, zeros=_largest(shares))


def _largest(shares: list[tuple[int, str, float]]) -> dict[str, float]:
    """The share of zeros by name, in the order of the model; a name that comes again gets a number."""
    kept = sorted(sorted(range(len(shares)), key=lambda i: -shares[i][0])[:LISTED])
    zeros: dict[str, float] = {}
    for index in kept:
        _, name, share = shares[index]
        zeros[name if name not in zeros else f"{name} #{index}"] = share
    return zeros
