"""CHILD: an artifact -> a session -> a scenario, and the quality of the same process. Imports one engine and no sensor."""

from __future__ import annotations

import itertools
import math
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Parent
from harness.child import outcome
from harness.engines.base import Array, Load, Session, Tensor
from harness.errors import EngineError
from harness.formats.inputs import positions
from harness.formats.reading import first_line, reading
from harness.formats.shapes import fit_shape
from harness.formats.stored import stored_types
from harness.scenario import SCENARIOS, Completions, shifted
from harness.schema import Kernel
from harness.workloads.data import batches, load_array
from harness.workloads.metrics import Metric, metric_named

QUERY_POOL_BYTES = 64 * 2**20
QUERY_POOL = 256
OUTPUT_BYTES = 4 * 2**20
"""How much of the scored output is kept, so that other variants can be compared with it sample by sample."""
NOISE_SAMPLES = 64
"""Answered where the suite has no test data."""
ANSWERS = (
    "a model that answers its first query",
    "the file may be damaged; if the engine's own tool runs it on the same input, look at `data.test` in the suite",
)
PROFILE_QUERIES = 4
"""The first warms up."""
PROFILE_S = 0.5


def main() -> None:
    """Do the task on standard input, and say how it went."""
    channel, task = Parent.from_argv()
    profiles: list[Profile] = []
    channel.send("result", **outcome(lambda: measure(channel, task, profiles.append), task["memory_bytes"]))
    channel.leave(lambda: {**profiled(profiles[0]), "stored": stored(task["artifact"])})


Profile = Callable[[], Sequence[Kernel]]


def measure(channel: Parent, task: dict[str, Any], offer: Callable[[Profile], None]) -> dict[str, Any]:
    """Load, then answer queries until told to stop, then measure quality.

    Args:
        channel: To the parent.
        task: `case`, `artifact`, `data`, and where to leave completions, per-sample quality and, where it is asked for, the scored output.
        offer: Given what profiles the session, for later.
    """
    channel.mark("load")
    before_bytes = rss_bytes()
    session = open_session(task)
    opened_bytes = rss_bytes()
    data = load_data(session.inputs, task["inputs"], task["batch_size"])
    labels = load_labels(task, data)
    queries = make_queries(session.inputs, data, task["batch_size"])
    loaded_bytes = rss_bytes()
    with reading(Path(task["artifact"]["path"]), *ANSWERS):
        answers, first_query_s = [timed(session, queries[0]) for _ in range(2)][-1]
    resident_bytes = grown(before_bytes, opened_bytes, loaded_bytes, rss_bytes())
    offer(lambda: session.profile(list(itertools.islice(itertools.cycle(queries), PROFILE_QUERIES)), PROFILE_S))
    facts = session.facts()
    scored, metric = 0, None
    if labels is not None:
        metric = metric_named(task["metric"], task.get("metric_direction", "higher"), task.get("code_folder"))
        scored = choose_output(session.outputs, answers, task["metric"], metric, references(metric, data, labels), task["batch_size"])
        facts |= {"scored_output": session.outputs[scored].name} if len(session.outputs) > 1 else {}
    channel.send("ready", first_query_s=first_query_s, precision=session.precision(), facts=facts)
    completions = answer(channel, session, queries, task["scenario"])
    np.save(task["completions_path"], np.array([completions.start_ns, completions.end_ns, completions.count], dtype=np.int64))
    quality = None
    if labels is not None and metric is not None:
        channel.mark("quality")
        given = answers_to(session, batches(data, task["batch_size"]), task["batch_size"], scored)[: len(labels)]
        per_sample = scores(metric, given, data, labels)
        np.save(task["per_sample_path"], per_sample)
        keep_outputs(given, task)
        channel.mark("quality_end")
        quality = {"metric": task["metric"], "direction": metric.direction}
    elif task.get("outputs_path"):
        channel.mark("quality")
        answer_unlabelled(session, data, answers, task)
        channel.mark("quality_end")
    return {"quality": quality, "peak_memory_bytes": peak_memory_bytes(), "resident_bytes": resident_bytes}


def profiled(profile: Profile) -> Mapping[str, Any]:
    """The kernels that ran, or why they are not known: whatever goes wrong in a profiler, the case has been measured."""
    try:
        return {"kernels": [kernel.model_dump() for kernel in profile()]}
    except Exception as error:
        return {"kernels": [], "reason": f"{type(error).__name__}: {first_line(error)}"}


def stored(artifact: Mapping[str, str]) -> list[str] | None:
    """The types of the numbers that the artifact stores, whatever its engine says; null where they are not known."""
    try:
        types = stored_types(Path(artifact["path"]), artifact["format"])
    except EngineError:
        return None
    return None if types is None else sorted(types)


def open_session(task: dict[str, Any]) -> Session:
    """The engine's session for this task."""
    engine = plugins.load("engines", task["engine"])
    load = Load(
        path=Path(task["artifact"]["path"]),
        format=task["artifact"]["format"],
        device=task["device"],
        batch_size=task["batch_size"],
        threads=task["threads"],
        options=engine.spec.parameters(**task["engine_options"]) if engine.spec.parameters else None,
        trusted=task["trusted"],
    )
    session: Session = engine().open(load)
    return session


def timed(session: Session, query: Sequence[Array]) -> tuple[Sequence[Array], float]:
    """The answer to one query, and how long it took, s."""
    began = time.monotonic()
    answers = session.run(query)
    session.synchronize()
    return answers, time.monotonic() - began


# --- data in ------------------------------------------------------------------------------------------------------------


def load_data(inputs: Sequence[Tensor], refs: Sequence[dict[str, Any]], batch_size: int) -> list[Array]:
    """The test inputs, one array for each of the model's inputs, in its order and shapes; empty where the suite gives none."""
    if not inputs or not refs:
        return []
    if len(refs) != len(inputs):
        raise EngineError(
            f"the model has {len(inputs)} inputs ({_names(inputs)}), the data {len(refs)} arrays",
            "list one array for each input, in this order",
        )
    order = positions([tensor.name for tensor in inputs], [ref.get("name") for ref in refs])
    arrays = [load_array(refs[index]["path"], refs[index]["key"]) for index in order]
    if len({array.shape[:1] for array in arrays}) > 1 or not all(array.ndim and len(array) for array in arrays):
        raise EngineError(
            f"the input arrays have {[array.shape[:1] for array in arrays]} samples", "the first axis is the sample, and of one length"
        )
    return [fit(tensor, array, batch_size) for tensor, array in zip(inputs, arrays, strict=True)]


def load_labels(task: dict[str, Any], data: Sequence[Array]) -> Array | None:
    """The test labels, one for each sample; null where quality is not asked for."""
    if not task["metric"] or not task["labels"] or not data:
        return None
    labels = load_array(task["labels"]["path"], task["labels"]["key"])
    if labels.shape[:1] != (len(data[0]),):
        raise EngineError(f"labels of shape {labels.shape} for {len(data[0])} samples", "the first axis of inputs and labels is the sample")
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
        )
    text, numbers = array.dtype.kind in "OUS", tensor.dtype.kind != "O"
    fractions = array.dtype.kind == "f" and tensor.dtype.kind in "iu" and tensor.scale is None and bool((array % 1).any())
    if text == numbers or fractions:
        raise EngineError(f"input {tensor.name!r} is of type {tensor.dtype}, the data is {array.dtype}", "convert the array in the .npz")
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
            f"input {tensor.name!r} has an open shape {tensor.shape}", "give `data.test` in the suite, so that its size is known"
        )
    if _is_real(tensor):
        return np.random.default_rng(seed).random((batch_size, *sizes), dtype=np.float32)
    return np.full((batch_size, *sizes), "" if tensor.dtype.kind == "O" else 0, dtype=tensor.dtype)


def noises(inputs: Sequence[Tensor], batch_size: int) -> Iterator[list[Array]]:
    """Batches of noise, each of its own seed, of `NOISE_SAMPLES` samples or more."""
    for seed in range(-(-NOISE_SAMPLES // batch_size)):
        yield [noise(tensor, batch_size, seed) for tensor in inputs]


def _is_real(tensor: Tensor) -> bool:
    return tensor.dtype.kind == "f" or tensor.scale is not None


# --- the queries ----------------------------------------------------------------------------------------------------------


def answer(channel: Parent, session: Session, queries: list[list[Array]], scenario: str) -> Completions:
    """Warm up as long as the parent says, then keep every completion until it says `close`.

    The completions reach over both edges of the parent's window, however long a busy machine keeps this process waiting.
    """
    play, source, marked = SCENARIOS[scenario], itertools.cycle(queries), False
    while (message := channel.receive())["kind"] == "more":
        if not marked:
            channel.mark("warmup")
            marked = True
        until = time.monotonic() + message["seconds"]
        round_ = Completions()
        play(session, source, partial(_over, channel, until), round_)
        channel.send("done", n=sum(round_.count))
    completions = Completions()
    if message["kind"] == "go":
        if not marked:
            channel.mark("warmup")
        play(session, source, _at_once, completions)
        channel.mark("go")
        steady = shifted(play, message["shift_s"], message["group"]) if message.get("shift_s") else play
        steady(session, source, channel.closing.is_set, completions)
        if completions.end_ns[-1] * 1e-9 < channel.receive().get("until_s", 0.0):
            play(session, source, _at_once, completions)
    channel.send("done", n=sum(completions.count))
    return completions


def _at_once() -> bool:
    """Stop after the first query."""
    return True


def _over(channel: Parent, until_s: float) -> bool:
    """Whether a round of warm-up is over."""
    return time.monotonic() >= until_s or channel.closing.is_set()


# --- quality ------------------------------------------------------------------------------------------------------------


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
    reasons = []
    for index in sorted(range(len(outputs)), key=lambda i: np.size(answers[i]) != classes * batch_size):
        try:
            metric.per_sample(decoded(outputs[index], answers[index], batch_size)[:1], labels[hardest : hardest + 1])
        except EngineError as error:
            reasons.append(f"{outputs[index].name}: {error.what}")
        else:
            return index
    raise EngineError(
        f"{name} cannot be measured: {'; '.join(reasons)}", "correct `data.test.labels`, or leave the metric out (`metric: null`)"
    )


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


def answer_unlabelled(session: Session, data: Sequence[Array], answers: Sequence[Array], task: dict[str, Any]) -> None:
    """Answer inputs without labels, or seeded noise where there are none, and keep the output: agreement with dense is then the quality.

    Nothing is kept where no output is of numbers, and where the noise of all inputs is zeros, so that every sample would be the same.
    """
    batch_size = task["batch_size"]
    scored = next((i for i, tensor in enumerate(session.outputs) if _is_comparable(tensor, answers[i], batch_size)), None)
    if scored is None or not (data or any(_is_real(tensor) for tensor in session.inputs)):
        return
    fitting = OUTPUT_BYTES // max(1, answers[scored].nbytes // batch_size)
    asked = batches(data, batch_size) if data else noises(session.inputs, batch_size)
    given = answers_to(session, asked, batch_size, scored, time.monotonic() + task["answer_s"], fitting)
    keep_outputs(given[: len(data[0])] if data else given, task)


def _is_comparable(tensor: Tensor, answer: Array, batch_size: int) -> bool:
    """Whether an output gives numbers for each sample."""
    try:
        return decoded(tensor, answer, batch_size).dtype.kind in "fiub"
    except EngineError:
        return False


def keep_outputs(given: Array, task: dict[str, Any]) -> None:
    """Leave the samples that fit, from the first, to the parent: fractions as float32, whole numbers as they are.

    Args:
        given: First axis the sample.
        task: With `outputs_path` where they are wanted.
    """
    if not task.get("outputs_path") or given.dtype.kind not in "fiub":
        return
    values = given.astype(np.float32 if given.dtype.kind == "f" else np.int64)
    np.save(task["outputs_path"], values[: OUTPUT_BYTES // max(1, values[:1].nbytes)])


def peak_memory_bytes() -> int | None:
    """Largest resident set of this process; null where the system does not tell.

    Linux: VmHWM, because `ru_maxrss` keeps the size of the parent that this process was forked from.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if sys.platform == "darwin" else _status_bytes("VmHWM:")


def rss_bytes() -> int | None:
    """Resident set of this process now; null where the system does not tell."""
    return _status_bytes("VmRSS:")


def grown(before: int | None, opened: int | None, loaded: int | None, after: int | None) -> int | None:
    """What opening and answering added to the resident set, bytes, without what reading the data between them did; null where one is not known."""
    if before is None or opened is None or loaded is None or after is None:
        return None
    return opened - before + after - loaded


def _status_bytes(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


if __name__ == "__main__":
    main()
