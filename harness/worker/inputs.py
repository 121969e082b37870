"""Test data -> queries: batches of samples in the shapes and types of a model's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.engines.base import Array, Tensor
from harness.errors import EngineError
from harness.formats.inputs import base_name, positions
from harness.formats.shapes import dynamic_text, fit_shape, shape_hint, takes
from harness.schema.worker import ArrayFile, MeasureTask
from harness.workloads.data import batches, load_array

QUERY_POOL_BYTES = 64 * 2**20
QUERY_POOL = 256
NOISE_SAMPLES = 64
"""Answered where the suite has no test data."""


def load_data(inputs: Sequence[Tensor], refs: Sequence[ArrayFile], batch_size: int) -> list[Array]:
    """The test inputs, one array for each of the model's inputs, in its order and shapes; empty where the suite gives none."""
    if not inputs or not refs:
        return []
    if len(refs) != len(inputs):
        raise EngineError(
            f"the model has {len(inputs)} inputs ({_names(inputs)}), the data {len(refs)} arrays",
            "write `inputs: {name: 'file.npz:key', ...}`, one for each",
            refused=True,
        )
    order = positions([tensor.name for tensor in inputs], [ref.name for ref in refs])
    arrays = [load_array(refs[index].path, refs[index].key) for index in order]
    if len({array.shape[:1] for array in arrays}) > 1 or not all(array.ndim and len(array) for array in arrays):
        raise EngineError(
            f"the input arrays have {[array.shape[:1] for array in arrays]} samples",
            "the first axis is the sample, and of one length",
            refused=True,
        )
    return [fit(tensor, array, batch_size) for tensor, array in zip(inputs, arrays, strict=True)]


def load_labels(task: MeasureTask, data: Sequence[Array]) -> Array | None:
    """The test labels, one for each sample; null where quality is not asked for."""
    if not task.metric or not task.labels or not data:
        return None
    labels = load_array(task.labels.path, task.labels.key)
    if labels.shape[:1] != (len(data[0]),):
        raise EngineError(
            f"labels of shape {labels.shape} for {len(data[0])} samples", "the first axis of inputs and labels is the sample", refused=True
        )
    return labels


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(tensor.name for tensor in tensors)


def fit(tensor: Tensor, array: Array, batch_size: int) -> Array:
    """The data in an input's shape: a missing or superfluous axis of 1 is mended, anything else is refused."""
    wanted = tensor.shape[1:] if tensor.batched(batch_size) else tensor.shape
    shape = fit_shape(array.shape[1:], wanted)
    if shape is None:
        raise EngineError(
            f"input {tensor.name!r} wants samples of shape {wanted}, the data has {array.shape[1:]}",
            "reshape the array in the .npz; the first axis is the sample",
            refused=True,
        )
    text, numbers = array.dtype.kind in "OUS", tensor.dtype.kind != "O"
    fractions = array.dtype.kind == "f" and tensor.dtype.kind in "iu" and tensor.scale is None and bool((array % 1).any())
    if text == numbers or fractions:
        raise EngineError(
            f"input {tensor.name!r} is of type {tensor.dtype}, the data is {array.dtype}", "convert the array in the .npz", refused=True
        )
    return array.reshape(len(array), *shape)


def make_queries(inputs: Sequence[Tensor], data: Sequence[Array], batch_size: int) -> list[list[Array]]:
    """Batches of encoded samples to take in turn: the test inputs, or seeded noise where the suite gives none."""
    if not inputs:
        return [[]]
    if not data:
        data = [noise(tensor, batch_size) for tensor in inputs]
    sample_bytes = sum(array[:1].nbytes for array in data)
    samples = max(batch_size, min(QUERY_POOL * batch_size, QUERY_POOL_BYTES // max(sample_bytes, 1)))
    return [encode(inputs, batch, batch_size) for batch in batches([array[:samples] for array in data], batch_size)]


def encode(inputs: Sequence[Tensor], batch: Sequence[Array], batch_size: int) -> list[Array]:
    """One batch as the model takes it."""
    return [tensor.encode(array if tensor.batched(batch_size) else array[0]) for tensor, array in zip(inputs, batch, strict=True)]


def noise(tensor: Tensor, batch_size: int, seed: int = 0) -> Array:
    """Seeded samples of an input's shape, first axis the sample: between 0 and 1, and zeros for what is no real number."""
    wanted = tensor.shape[1:] if tensor.batched(batch_size) else tensor.shape
    sizes = [size for size in wanted if size is not None]
    if len(sizes) < len(wanted):
        raise EngineError(
            f"input {tensor.name!r} has dynamic dimensions: {dynamic_text(wanted)} a sample",
            f"give `data.test`, or its size in the suite: `{shape_hint({base_name(tensor.name): wanted})}`",
            refused=True,
        )
    if is_real(tensor):
        return np.random.default_rng(seed).random((batch_size, *sizes), dtype=np.float32)
    return np.full((batch_size, *sizes), "" if tensor.dtype.kind == "O" else 0, dtype=tensor.dtype)


def sized(inputs: Sequence[Tensor], shapes: Mapping[str, Sequence[int]], batch_size: int) -> list[Tensor]:
    """The inputs with the sizes that the suite gives to their dynamic dimensions.

    Args:
        inputs: As the model declares them.
        shapes: Of one sample, by the input's name.
        batch_size: Samples a query.

    Raises:
        EngineError: A name that no input has, or sizes that the model does not take.
    """
    names = [tensor.name for tensor in inputs]
    for name in shapes:
        if name not in (*names, *map(base_name, names)):
            raise EngineError(f"input_shapes names {name!r}, the model's inputs are {', '.join(names)}", "correct the name", refused=True)
    return [_sized(tensor, shapes.get(tensor.name, shapes.get(base_name(tensor.name))), batch_size) for tensor in inputs]


def _sized(tensor: Tensor, shape: Sequence[int] | None, batch_size: int) -> Tensor:
    if shape is None:
        return tensor
    batch = tensor.shape[:1] if tensor.batched(batch_size) else ()
    if not takes(tensor.shape[len(batch) :], shape):
        raise EngineError(
            f"input_shapes gives {list(shape)} for the input {tensor.name!r}, which takes {dynamic_text(tensor.shape[len(batch) :])} a sample",
            "write the size of one sample, without the batch",
            refused=True,
        )
    return replace(tensor, shape=(*batch, *shape))


def noises(inputs: Sequence[Tensor], batch_size: int) -> Iterator[list[Array]]:
    """Batches of noise, each of its own seed, of `NOISE_SAMPLES` samples or more."""
    for seed in range(-(-NOISE_SAMPLES // batch_size)):
        yield [noise(tensor, batch_size, seed) for tensor in inputs]


def is_real(tensor: Tensor) -> bool:
    """Whether a tensor takes real numbers, as they are or quantized."""
    return tensor.dtype.kind == "f" or tensor.scale is not None
