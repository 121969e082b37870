"""CHILD: an artifact -> a session -> a scenario, and the quality of the same process. Imports one engine and no sensor."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Parent
from harness.engines.base import Array, Load, Session, Tensor
from harness.errors import EngineError, HarnessError
from harness.scenario import SCENARIOS, Completions
from harness.workloads.data import batches, load_array
from harness.workloads.metrics import METRICS

QUERY_POOL_BYTES = 64 * 2**20
QUERY_POOL = 256


def main() -> None:
    """Do the task on standard input, and say how it went."""
    channel, task = Parent.from_argv()
    channel.send("result", **outcome(lambda: measure(channel, task), task["memory_bytes"]))
    channel.receive()


def outcome(work: Any, memory_bytes: int | None) -> dict[str, Any]:
    """Run a child's work under its memory ceiling; what it gives, or the status and the reason of its failure."""
    limit_memory(memory_bytes)
    try:
        return {"status": "ok", **work()}
    except EngineError as error:
        return {"status": "refused" if error.refused else "failed", "reason": str(error)}
    except HarnessError as error:
        return {"status": "failed", "reason": str(error)}
    except MemoryError as error:
        return {"status": "oom", "reason": f"out of memory: {error or 'an allocation failed'}"}
    except Exception as error:  # an engine may raise anything; the record keeps it
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}"
        return {"status": "oom" if is_out_of_memory(text) else "failed", "reason": text[:2000]}


def is_out_of_memory(text: str) -> bool:
    """Whether an engine's message means that memory ran out."""
    return any(
        words in text
        for words in ("bad_alloc", "bad allocation", "ResourceExhausted", "Failed to allocate memory", "out of memory", "OOM when")
    )


def limit_memory(limit_bytes: int | None) -> None:
    """Let an allocation beyond the limit fail in this process instead of the machine's memory running out."""
    if limit_bytes and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def measure(channel: Parent, task: dict[str, Any]) -> dict[str, Any]:
    """Load, then answer queries until told to stop, then measure quality.

    Args:
        channel: To the parent.
        task: `case`, `artifact`, `data`, and where to leave completions and per-sample quality.
    """
    channel.mark("load")
    session = open_session(task)
    data = [load_array(ref["path"], ref["key"]) for ref in task["inputs"]]
    queries = make_queries(session.inputs, data, task["batch_size"])
    first_query_s = [timed(session, queries[0]) for _ in range(2)][-1]
    channel.send("ready", first_query_s=first_query_s, precision=session.precision(), facts=session.facts())
    completions = answer(channel, session, queries, task["scenario"])
    np.save(task["completions_path"], np.array([completions.start_ns, completions.end_ns, completions.count], dtype=np.int64))
    quality = measure_quality(channel, session, data, task)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"quality": quality, "peak_memory_bytes": peak}


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


def timed(session: Session, query: Sequence[Array]) -> float:
    """How long one query takes, s."""
    began = time.monotonic()
    session.run(query)
    session.synchronize()
    return time.monotonic() - began


def make_queries(inputs: Sequence[Tensor], data: Sequence[Array], batch_size: int) -> list[list[Array]]:
    """Batches of encoded samples to take in turn: the test inputs, or seeded noise where the suite gives none."""
    if not inputs:
        return [[]]
    if not data:
        data = [noise(tensor, batch_size) for tensor in inputs]
    data = fit(inputs, data)
    sample_bytes = sum(array[:1].nbytes for array in data)
    samples = max(batch_size, min(QUERY_POOL * batch_size, QUERY_POOL_BYTES // max(sample_bytes, 1)))
    return [encode(inputs, batch) for batch in batches([array[:samples] for array in data], batch_size)]


def encode(inputs: Sequence[Tensor], batch: Sequence[Array]) -> list[Array]:
    """One batch as the model takes it."""
    return [tensor.encode(array) for tensor, array in zip(inputs, batch, strict=True)]


def noise(tensor: Tensor, batch_size: int) -> Array:
    """Seeded samples of an input's shape."""
    shape = tensor.shape[1:]
    if any(size is None for size in shape):
        raise EngineError(
            f"input {tensor.name!r} has an open shape {tensor.shape}", "give `data.test` in the suite, so that its size is known"
        )
    rng = np.random.default_rng(0)
    values = rng.random((batch_size, *[int(size or 1) for size in shape]), dtype=np.float32)
    return values if np.issubdtype(tensor.dtype, np.floating) or tensor.scale else np.zeros_like(values, dtype=tensor.dtype)


def fit(inputs: Sequence[Tensor], data: Sequence[Array]) -> list[Array]:
    """The data in the model's shapes: a missing or superfluous axis of 1 is mended, anything else is refused."""
    if len(data) != len(inputs):
        names = ", ".join(tensor.name for tensor in inputs)
        raise EngineError(
            f"the model has {len(inputs)} inputs ({names}), the data {len(data)} arrays", "list one array for each input, in this order"
        )
    if len({len(array) for array in data}) > 1:
        raise EngineError(
            f"the input arrays have different numbers of samples: {[len(array) for array in data]}", "the first axis is the sample"
        )
    fitted = []
    for tensor, array in zip(inputs, data, strict=True):
        wanted = tensor.shape[1:]
        shape = (
            [have if want is None else want for want, have in zip(wanted, array.shape[1:], strict=False)]
            if len(wanted) == array.ndim - 1
            else wanted
        )
        if any(size is None for size in shape) or np.prod(array.shape[1:]) != np.prod([int(s or 0) for s in shape]):
            raise EngineError(
                f"input {tensor.name!r} wants samples of shape {tuple(wanted)}, the data has {array.shape[1:]}",
                "reshape the array in the .npz; the first axis is the sample",
            )
        fitted.append(array.reshape(len(array), *[int(s or 0) for s in shape]))
    return fitted


def answer(channel: Parent, session: Session, queries: list[list[Array]], scenario: str) -> Completions:
    """Warm up as long as the parent says, then keep every completion until it says `close`."""
    play = SCENARIOS[scenario]
    while (message := channel.receive())["kind"] == "more":
        until = time.monotonic() + message["seconds"]
        round_ = Completions()
        play(session, queries, partial(_over, channel, until), round_)
        channel.send("done", n=sum(round_.count))
    completions = Completions()
    if message["kind"] == "go":
        channel.mark("warmup")
        play(session, queries, channel.closing.is_set, completions)
        channel.receive()
    channel.send("done", n=sum(completions.count))
    return completions


def _over(channel: Parent, until_s: float) -> bool:
    """Whether a round of warm-up is over."""
    return time.monotonic() >= until_s or channel.closing.is_set()


def measure_quality(channel: Parent, session: Session, data: Sequence[Array], task: dict[str, Any]) -> dict[str, Any] | None:
    """Answer the whole test set once and compare; per-sample values go to a file."""
    if not task["metric"] or not task["labels"] or not data:
        return None
    channel.mark("quality")
    metric = METRICS[task["metric"]]
    labels = load_array(task["labels"]["path"], task["labels"]["key"])
    if len(labels) != len(data[0]):
        raise EngineError(f"{len(labels)} labels for {len(data[0])} samples", "the first axis of inputs and labels is the sample")
    answers = [
        session.outputs[0].decode(np.array(session.run(encode(session.inputs, batch))[0]))
        for batch in batches(fit(session.inputs, data), task["batch_size"])
    ]
    per_sample = metric.per_sample(np.concatenate(answers)[: len(labels)], labels)
    np.save(task["per_sample_path"], per_sample)
    channel.mark("quality_end")
    return {"metric": task["metric"], "direction": metric.direction, "value": float(np.mean(per_sample)), "samples": len(labels)}


if __name__ == "__main__":
    main()
