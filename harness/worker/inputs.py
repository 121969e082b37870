"""Queries from the test data, in the shapes and types of a model's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.engines.base import Array, Tensor
from harness.errors import EngineError
from harness.formats.inputs import base_name, positions
from harness.formats.shapes import dynamic_text, fit_shape, shape_hint, takes
from harness.schema.worker import ArrayFile, MeasureTask, SampleShape
from harness.workloads.data import batches, load_array

QUERY_POOL_BYTES = 64 * 2**20
QUERY_POOL = 256
NOISE_SAMPLES = 64
"""Number of noise samples that are run if the suite has no test data."""


def load_data(inputs: Sequence[Tensor], refs: Sequence[ArrayFile], batch_size: int) -> list[Array]:
    """Test inputs in the order and shapes of the model's; empty if there are none.

    Raises:
        EngineError: The arrays do not fit the inputs.
    """
    if not inputs or not refs:
        return []
    if len(refs) != len(inputs):
        names = ", ".join(tensor.name for tensor in inputs)
        raise _refusal(
            f"the model has {len(inputs)} inputs ({names}), but the data have {len(refs)} arrays",
            "write `inputs: {name: 'file.npz:key', ...}`, one for each input",
        )
    order = positions([tensor.name for tensor in inputs], [ref.name for ref in refs])
    arrays = [load_array(refs[index].path, refs[index].key) for index in order]
    if len({array.shape[:1] for array in arrays}) > 1 or not all(array.ndim and len(array) for array in arrays):
        raise _refusal(
            f"the input arrays have {[array.shape[:1] for array in arrays]} samples",
            "give all arrays the same number of samples; the first axis is the sample",
        )
    return [fit(tensor, array, batch_size) for tensor, array in zip(inputs, arrays, strict=True)]


def load_labels(task: MeasureTask, data: Sequence[Array]) -> Array | None:
    """Test labels, one for each sample; None if no quality is measured.

    Raises:
        EngineError: Their number is not that of the samples.
    """
    if not task.metric or not task.labels or not data:
        return None
    labels = load_array(task.labels.path, task.labels.key)
    if labels.shape[:1] != (len(data[0]),):
        raise _refusal(
            f"labels of shape {labels.shape} for {len(data[0])} samples", "give one label for each sample; the first axis is the sample"
        )
    return labels


def _refusal(what: str, hint: str) -> EngineError:
    return EngineError(what, hint, refused=True)


def fit(tensor: Tensor, array: Array, batch_size: int) -> Array:
    """The data in an input's shape; only axes of length 1 are added or removed.

    Raises:
        EngineError: The shapes differ otherwise, or the types do not fit.
    """
    needed = _sample_shape(tensor, batch_size)
    shape = fit_shape(array.shape[1:], needed)
    if shape is None:
        raise _refusal(
            f"input {tensor.name!r} takes samples of shape {needed}, but those of the data have {array.shape[1:]}",
            "reshape the array in the .npz; the first axis is the sample",
        )
    text, numbers = array.dtype.kind in "OUS", tensor.dtype.kind != "O"
    fractions = array.dtype.kind == "f" and tensor.dtype.kind in "iu" and tensor.scale is None and bool((array % 1).any())
    if text == numbers or fractions:
        raise _refusal(f"input {tensor.name!r} has type {tensor.dtype}, but the data have {array.dtype}", "convert the array in the .npz")
    return array.reshape(len(array), *shape)


def _sample_shape(tensor: Tensor, batch_size: int) -> tuple[int | None, ...]:
    return tensor.shape[1:] if tensor.batched(batch_size) else tensor.shape


def make_queries(inputs: Sequence[Tensor], data: Sequence[Array], batch_size: int) -> list[list[Array]]:
    """Batches of encoded samples: of the test inputs, or of seeded noise."""
    if not inputs:
        return [[]]
    if not data:
        data = [noise(tensor, batch_size) for tensor in inputs]
    sample_bytes = sum(array[:1].nbytes for array in data)
    samples = max(batch_size, min(QUERY_POOL * batch_size, QUERY_POOL_BYTES // max(sample_bytes, 1)))
    return [encode(inputs, batch, batch_size) for batch in batches([array[:samples] for array in data], batch_size)]


def encode(inputs: Sequence[Tensor], batch: Sequence[Array], batch_size: int) -> list[Array]:
    """One batch in the types of the model's inputs."""
    return [tensor.encode(array if tensor.batched(batch_size) else array[0]) for tensor, array in zip(inputs, batch, strict=True)]


def noise(tensor: Tensor, batch_size: int, seed: int = 0) -> Array:
    """Seeded samples in an input's shape; zeros for inputs that are not real.

    Raises:
        EngineError: The input has dynamic dimensions.
    """
    needed = _sample_shape(tensor, batch_size)
    sizes = [size for size in needed if size is not None]
    if len(sizes) < len(needed):
        raise _refusal(
            f"input {tensor.name!r} has dynamic dimensions: {dynamic_text(needed)} a sample",
            f"give `data.test`, or its size in the suite: `{shape_hint({base_name(tensor.name): needed})}`",
        )
    if is_real(tensor):
        return np.random.default_rng(seed).random((batch_size, *sizes), dtype=np.float32)
    return np.full((batch_size, *sizes), "" if tensor.dtype.kind == "O" else 0, dtype=tensor.dtype)


def noises(inputs: Sequence[Tensor], batch_size: int) -> Iterator[list[Array]]:
    """Batches of noise with different seeds, at least `NOISE_SAMPLES` samples."""
    for seed in range(-(-NOISE_SAMPLES // batch_size)):
        yield [noise(tensor, batch_size, seed) for tensor in inputs]


def is_real(tensor: Tensor) -> bool:
    """Whether a tensor takes real numbers, directly or quantized."""
    return tensor.dtype.kind == "f" or tensor.scale is not None


def sized(inputs: Sequence[Tensor], shapes: Mapping[str, Sequence[int]], batch_size: int) -> list[Tensor]:
    """The inputs with the sizes that the suite gives their dynamic dimensions.

    Raises:
        EngineError: No input has such a name, or the model does not take such a shape.
    """
    names = [tensor.name for tensor in inputs]
    for name in shapes:
        if name not in (*names, *map(base_name, names)):
            raise _refusal(f"`input_shapes` names {name!r}, but the model's inputs are {', '.join(names)}", "correct the name in the suite")
    return [_sized(tensor, shapes.get(tensor.name, shapes.get(base_name(tensor.name))), batch_size) for tensor in inputs]


def sized_as(inputs: Sequence[Tensor], samples: Sequence[SampleShape], batch_size: int) -> list[Tensor]:
    """The inputs with the sizes of the test data.

    Raises:
        EngineError: The data do not fit the inputs.
    """
    if len(samples) != len(inputs):
        raise _refusal(f"the model has {len(inputs)} inputs, but the data have {len(samples)} arrays", "correct `data.test` in the suite")
    order = positions([tensor.name for tensor in inputs], [sample.name for sample in samples])
    shapes = {}
    for tensor, index in zip(inputs, order, strict=True):
        needed, have = _sample_shape(tensor, batch_size), samples[index].shape
        shape = fit_shape(have, needed)
        if shape is None:
            raise _refusal(
                f"input {tensor.name!r} takes samples of shape {needed}, but those of the data have {have}",
                "reshape the array in the .npz; the first axis is the sample",
            )
        shapes[tensor.name] = shape
    return sized(inputs, shapes, batch_size)


def _sized(tensor: Tensor, shape: Sequence[int] | None, batch_size: int) -> Tensor:
    if shape is None:
        return tensor
    declared = _sample_shape(tensor, batch_size)
    if not takes(declared, shape):
        raise _refusal(
            f"`input_shapes` gives {list(shape)} for the input {tensor.name!r}, which takes {dynamic_text(declared)} a sample",
            "write the size of one sample, without the batch",
        )
    return replace(tensor, shape=(*tensor.shape[: len(tensor.shape) - len(declared)], *shape))
