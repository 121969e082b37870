"""Calibration samples: training samples chosen by seed, in the shapes and types of a model's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from harness.errors import EngineError
from harness.formats.shapes import fit_shape
from harness.variants.base import Array, Job


class Input(NamedTuple):
    """An input of the model to calibrate: its name, its shape with the batch (None for a dynamic dimension), its type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


def calibration(inputs: Sequence[Array], count: int, seed: int) -> list[Array]:
    """A random choice of samples, the same rows of each input.

    Args:
        inputs: One array for each model input, first axis the sample.
        count: Number of samples; all if there are fewer.
        seed: Seed of the choice.
    """
    rows = np.random.default_rng(seed).permutation(len(inputs[0]))[:count]
    return [array[rows] for array in inputs]


def job_samples(job: Job) -> list[Array]:
    """The calibration samples of a job; their number is noted."""
    assert job.data
    samples = calibration(job.data.inputs, job.parameters.samples, job.seed)
    job.notes["calibration_samples"] = len(samples[0])
    return samples


def queries(inputs: Sequence[Input], samples: Sequence[Array]) -> list[list[Array]]:
    """The samples one by one, as queries with a batch of 1.

    Args:
        inputs: Inputs of the model.
        samples: One array for each input; an axis of 1 may be missing or superfluous.

    Raises:
        EngineError: The samples do not fit the inputs.
    """
    if len(inputs) != len(samples):
        raise EngineError(
            f"the model has {len(inputs)} inputs ({', '.join(each.name for each in inputs)}), the training data {len(samples)} arrays",
            "list one array for each input",
        )
    shaped = [_shaped(each, array) for each, array in zip(inputs, samples, strict=True)]
    return [[array[index : index + 1] for array in shaped] for index in range(len(shaped[0]))]


def _shaped(declared: Input, array: Array) -> Array:
    """Samples in the shape and type of an input."""
    shape = fit_shape(array.shape[1:], declared.shape[1:])
    if shape is None:
        raise EngineError(
            f"input {declared.name!r} takes samples of shape {declared.shape[1:]}, the training data has {array.shape[1:]}",
            "reshape the array in the .npz",
        )
    return array.reshape(len(array), *shape).astype(declared.dtype)
