"""Counts of a model's weights: how many there are, how many are not zero, and the share of zeros in each tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.schema import ArtifactFacts

LISTED = 500
"""Number of tensors whose zeros are listed: the largest."""


class Weight(NamedTuple):
    """A constant that takes part in the computation.

    Attributes:
        name: Name of the tensor in the file.
        values: Values minus the zero point of a quantized tensor; None if the type cannot be read.
        listed: Whether its share of zeros is listed; not for biases and other vectors.
        size: Number of elements if `values` holds only the stored ones of a sparse tensor; None: the size of `values`.
    """

    name: str
    values: NDArray[Any] | None
    listed: bool
    size: int | None = None


def count(weights: Iterable[Weight], macs: int | None) -> ArtifactFacts:
    """Number of parameters and of nonzero ones, and the share of zeros by tensor.

    Args:
        weights: All weights of the model, read one at a time.
        macs: Multiply-accumulates of one inference; None if unknown.

    Returns:
        The multiply-accumulates alone if a weight cannot be read, since the other counts would be too small.
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
    """The share of zeros by name, in the model's order; a repeated name gets a number."""
    kept = sorted(sorted(range(len(shares)), key=lambda i: -shares[i][0])[:LISTED])
    zeros: dict[str, float] = {}
    for index in kept:
        _, name, share = shares[index]
        zeros[name if name not in zeros else f"{name} #{index}"] = share
    return zeros
