"""What a session answers to the test set -> the quality of each sample, and the outputs that other variants are compared with."""

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
"""How much of the scored output is kept, so that other variants can be compared with it sample by sample."""

CHECKED_MAPS = 64
"""How many labels that are maps or sequences are looked at before anything is measured."""


def references(metric: Metric, data: Sequence[Array], labels: Array) -> Array:
    """What a metric compares the outputs with, first axis the sample."""
    return labels if metric.against == "labels" else data[0]


def choose_output(outputs: Sequence[Tensor], answers: Sequence[Array], name: str, metric: Metric, labels: Array, batch_size: int) -> int:
    """The output that the metric can compare with the labels, tried on the sample with the largest label: before others one with a number for each class.

    Args:
        outputs: Of the model.
        answers: One array for each, to one query.
        name: Of the metric.
        metric: The metric.
        labels: Or whatever it compares with, first axis the sample.
        batch_size: Samples a query.

    Raises:
        EngineError: None can be, each with its reason.
    """
    numbers = labels.dtype.kind in "iufb" and bool(labels.size)
    rows = labels.reshape(len(labels), -1)
    hardest = int(np.argmax(rows.max(axis=1))) if numbers else 0
    classes = rows.shape[1] if rows.shape[1] > 1 or not numbers else int(rows.max()) + 1
    reasons, hints = [], []
    for index in sorted(range(len(outputs)), key=lambda i: np.size(answers[i]) != classes * batch_size):
        try:
            answer = decoded(outputs[index], answers[index], batch_size)[:1]
            if metric.checked:  # all labels, of maps some, against the same answer
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
            reasons.append(f"{outputs[index].name}: its {answer.size} numbers belong to boxes, one each, and are no classes")
            hints.append("measure a detector with a function of your own, or without a metric (`metric: null`)")
    hint = hints[0] if len(set(hints)) == 1 and hints[0] else "correct `data.test.labels`, or leave the metric out (`metric: null`)"
    raise EngineError(f"{name} cannot be measured: {'; '.join(reasons)}", hint, refused=True)


def _is_detection(answers: Sequence[Array], index: int, batch_size: int) -> bool:
    """Whether an output has a number for each box that another output has the four corners of."""
    count = np.size(answers[index]) // batch_size
    others = [np.shape(answer) for place, answer in enumerate(answers) if place != index]
    return count > 1 and any(shape[-2:] == (count, 4) and np.prod(shape) == 4 * count * batch_size for shape in others)


def decoded(tensor: Tensor, array: Array, batch_size: int) -> Array:
    """One output's answer to one query as real values, a copy, first axis the sample.

    Raises:
        EngineError: It has no row for each sample.
    """
    if not isinstance(array, np.ndarray | np.generic):
        raise EngineError(f"it is a {type(array).__name__}, no tensor")
    values = tensor.decode(np.array(array))
    if batch_size == 1 and values.shape[:1] != (1,):
        values = values[np.newaxis]
    if values.shape[:1] != (batch_size,):
        raise EngineError(f"its shape {values.shape} has no row for each of {batch_size} samples")
    return values


def scores(metric: Metric, given: Array, data: Sequence[Array], labels: Array) -> Array:
    """The metric for each sample, shape (n,), of what an output said to the whole test set."""
    numbers = metric.per_sample(given, references(metric, data, labels))
    return metric.across(numbers, labels) if metric.across else numbers


def answers_to(
    session: Session, asked: Iterable[Sequence[Array]], batch_size: int, scored: int, until_s: float = math.inf, most: float = math.inf
) -> Array:
    """What one output says to batches of samples, each asked once.

    Args:
        session: Of the engine.
        asked: Batches, one array for each input; at least one.
        batch_size: Samples a query.
        scored: Which of the outputs.
        until_s: The time on CLOCK_MONOTONIC after which no more is asked.
        most: The number of samples after which no more is asked.

    Returns:
        Real values, first axis the sample; with what filled up the last batch.
    """
    answers: list[Array] = []
    for batch in asked:
        answers.append(decoded(session.outputs[scored], session.run(encode(session.inputs, batch, batch_size))[scored], batch_size))
        if time.monotonic() > until_s or len(answers) * batch_size >= most:
            break
    return np.concatenate(answers)


def answer_unlabelled(
    session: Session, inputs: Sequence[Tensor], data: Sequence[Array], answers: Sequence[Array], task: MeasureTask
) -> None:
    """Answer inputs without labels, or seeded noise where there are none, and keep the output: agreement with dense is then the quality.

    Nothing is kept where no output is of numbers, and where the noise of all inputs is zeros, so that every sample would be the same.

    Args:
        session: Of the engine.
        inputs: Its inputs, with the sizes that the suite gives them.
        data: Test inputs; empty: noise.
        answers: To the first query.
        task: As the child was given it.
    """
    batch_size = task.batch_size
    scored = next((i for i, tensor in enumerate(session.outputs) if _is_comparable(tensor, answers[i], batch_size)), None)
    if scored is None or not (data or any(is_real(tensor) for tensor in session.inputs)):
        return
    fitting = OUTPUT_BYTES // max(1, answers[scored].nbytes // batch_size)
    asked = batches(data, batch_size) if data else noises(inputs, batch_size)
    given = answers_to(session, asked, batch_size, scored, time.monotonic() + task.answer_s, fitting)
    keep_outputs(given[: len(data[0])] if data else given, task)


def _is_comparable(tensor: Tensor, answer: Array, batch_size: int) -> bool:
    """Whether an output gives numbers for each sample."""
    try:
        return decoded(tensor, answer, batch_size).dtype.kind in "fiub"
    except EngineError:
        return False


def keep_outputs(given: Array, task: MeasureTask) -> None:
    """Leave the samples that fit, from the first, to the parent: fractions as float32, whole numbers as they are.

    Args:
        given: First axis the sample.
        task: With `outputs_path` where they are wanted.
    """
    if not task.outputs_path or given.dtype.kind not in "fiub":
        return
    values = given.astype(np.float32 if given.dtype.kind == "f" else np.int64)
    np.save(task.outputs_path, values[: OUTPUT_BYTES // max(1, values[:1].nbytes)])
