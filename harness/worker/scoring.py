"""Scores of the outputs on the test set, and the outputs kept for comparisons."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

import numpy as np

from harness.engines.base import Array, Session, Tensor
from harness.errors import EngineError
from harness.schema.worker import MeasureTask
from harness.worker.inputs import encode, is_real, noises
from harness.workloads.data import batches
from harness.workloads.metrics import Metric

OUTPUT_BYTES = 4 * 2**20
"""Size up to which the scored output is kept for a comparison with other variants."""
CHECKED_MAPS = 64
"""Number of labels that are tried before the measurement if they are maps or sequences."""


def references(metric: Metric, data: Sequence[Array], labels: Array) -> Array:
    """Values that a metric compares the outputs with, first axis the sample."""
    return labels if metric.against == "labels" else data[0]


def choose_output(outputs: Sequence[Tensor], answers: Sequence[Array], name: str, metric: Metric, labels: Array, batch_size: int) -> int:
    """Index of the first output that the metric can compare with the labels.

    Outputs with one number a class come first; the sample with the largest label is tried.

    Raises:
        EngineError: No output can be compared; gives a reason for each.
    """
    numbers = labels.dtype.kind in "iufb" and bool(labels.size)
    rows = labels.reshape(len(labels), -1)
    hardest = int(np.argmax(rows.max(axis=1))) if numbers else 0
    classes = rows.shape[1] if rows.shape[1] > 1 or not numbers else int(rows.max()) + 1
    reasons, hints = [], []
    for index in sorted(range(len(outputs)), key=lambda i: np.size(answers[i]) != classes * batch_size):
        try:
            answer = decoded(outputs[index], answers[index], batch_size)[:1]
            if metric.checked:  # against all labels, or some if they are maps
                checked = labels[:CHECKED_MAPS] if metric.cuts == "positions" else labels
                metric.per_sample(np.broadcast_to(answer, (len(checked), *answer.shape[1:])), checked)
            else:
                metric.per_sample(answer, labels[hardest : hardest + 1])
        except EngineError as error:
            reasons.append(f"{outputs[index].name}: {error.what}")
            hints.append(error.hint)
        else:
            if not (metric.cuts == "sample" and _is_detection(answers, index, batch_size)):
                return index
            reasons.append(f"{outputs[index].name}: its {answer.size} numbers belong to one box each and are not classes")
            hints.append("for a detector use a metric function, or no metric (`metric: null`)")
    hint = hints[0] if len(set(hints)) == 1 and hints[0] else "correct `data.test.labels`, or measure no quality (`metric: null`)"
    raise EngineError(f"{name} cannot be measured: {'; '.join(reasons)}", hint, refused=True)


def _is_detection(answers: Sequence[Array], index: int, batch_size: int) -> bool:
    """Whether an output has one number for each box of another output."""
    count = np.size(answers[index]) // batch_size
    others = [np.shape(answer) for place, answer in enumerate(answers) if place != index]
    return count > 1 and any(shape[-2:] == (count, 4) and np.prod(shape) == 4 * count * batch_size for shape in others)


def decoded(tensor: Tensor, array: Array, batch_size: int) -> Array:
    """A copy of an output in real values; the first axis is the sample.

    Raises:
        EngineError: It has no row for each sample.
    """
    if not isinstance(array, np.ndarray | np.generic):
        raise EngineError(f"it is a {type(array).__name__}, not a tensor")
    values = tensor.decode(np.array(array))
    if batch_size == 1 and values.shape[:1] != (1,):
        values = values[np.newaxis]
    if values.shape[:1] != (batch_size,):
        raise EngineError(f"its shape {values.shape} has no row for each of {batch_size} samples")
    return values


def scores(metric: Metric, outputs: Array, data: Sequence[Array], labels: Array) -> Array:
    """Score of each test sample, shape (n,)."""
    numbers = metric.per_sample(outputs, references(metric, data, labels))
    return metric.across(numbers, labels) if metric.across else numbers


def answers_to(
    session: Session, samples: Iterable[Sequence[Array]], batch_size: int, scored: int, until_s: float = math.inf, most: float = math.inf
) -> Array:
    """StoredOutputs of one output to batches of samples.

    Args:
        session: Open session of the engine.
        samples: Batches, one array for each input; at least one batch.
        batch_size: Samples a query.
        scored: Index of the output.
        until_s: Time on CLOCK_MONOTONIC after which no more batch is sent.
        most: Number of samples after which no more batch is sent.

    Returns:
        Real values, first axis the sample, including the padding of the last batch.
    """
    answers: list[Array] = []
    for batch in samples:
        answers.append(decoded(session.outputs[scored], session.answer(encode(session.inputs, batch, batch_size))[scored], batch_size))
        if time.monotonic() > until_s or len(answers) * batch_size >= most:
            break
    return np.concatenate(answers)


def answer_unlabelled(
    session: Session, inputs: Sequence[Tensor], data: Sequence[Array], answers: Sequence[Array], task: MeasureTask
) -> None:
    """Run inputs without labels, or noise, and keep the output.

    Nothing is kept if no output is numeric, or if no input is: noise would then be zeros, and every sample the same.
    """
    batch_size = task.batch_size
    scored = next((i for i, tensor in enumerate(session.outputs) if _is_numeric(tensor, answers[i], batch_size)), None)
    if scored is None or not (data or any(is_real(tensor) for tensor in session.inputs)):
        return
    fitting = OUTPUT_BYTES // max(1, answers[scored].nbytes // batch_size)
    samples = batches(data, batch_size) if data else noises(inputs, batch_size)
    outputs = answers_to(session, samples, batch_size, scored, time.monotonic() + task.answer_s, fitting)
    keep_outputs(outputs[: len(data[0])] if data else outputs, task)


def _is_numeric(tensor: Tensor, answer: Array, batch_size: int) -> bool:
    """Whether an output gives numbers for each sample."""
    try:
        return decoded(tensor, answer, batch_size).dtype.kind in "fiub"
    except EngineError:
        return False


def keep_outputs(outputs: Array, task: MeasureTask) -> None:
    """Save the first samples that fit, if the task asks for them."""
    if not task.outputs_path or outputs.dtype.kind not in "fiub":
        return
    values = outputs.astype(np.float32 if outputs.dtype.kind == "f" else np.int64)
    np.save(task.outputs_path, values[: OUTPUT_BYTES // max(1, values[:1].nbytes)])
