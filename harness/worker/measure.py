"""Child process: opens an artifact in a session, runs a scenario and scores the quality."""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Parent
from harness.engines.base import Array, Load, Session
from harness.engines.cuda import visible_uuids
from harness.errors import EngineError
from harness.formats.libraries import first_line, reading
from harness.formats.stored_types import stored_types
from harness.schema import Kernel
from harness.schema.suite import Timed
from harness.schema.worker import Close, Done, Go, Kernels, MeasureTask, ModelFile, More, Ready, Scores
from harness.userfiles import system_number
from harness.worker.inputs import load_data, load_labels, make_queries, sized
from harness.worker.outcome import outcome
from harness.worker.repeatability import SAME, beginnings, largest_difference
from harness.worker.scenario import Completions, Queue, scenario_of, shifted
from harness.worker.scoring import answer_unlabelled, answers_to, choose_output, decoded, keep_outputs, references, scores
from harness.worker.thresholds import check_range, choose_threshold, quality_fields
from harness.workloads.data import batches
from harness.workloads.functions import make_importable
from harness.workloads.metrics import metric_named

ANSWERS = (
    "a model that answers its first query",
    "the file may be damaged; if the engine's own tool runs it on the same input, check `data.test` in the suite",
)
PROFILE_QUERIES = 4
"""Number of profiled queries; the first warms up."""
PROFILE_S = 0.5
"""Time limit of profiling, in seconds."""

Profiler = Callable[[], Sequence[Kernel]]


def main() -> None:
    """Measure the task on standard input, and report the result."""
    channel, task = Parent.from_argv(MeasureTask)
    profilers: list[Profiler] = []
    channel.send(outcome(lambda: measure(channel, task, profilers.append), task.memory_bytes))
    channel.leave(lambda: profiled(profilers[0], stored(task.artifact)))


def measure(channel: Parent, task: MeasureTask, keep_profiler: Callable[[Profiler], None]) -> dict[str, Any]:
    """Load the model, answer queries until `Close`, then measure the quality.

    Returns:
        The fields of the result: `quality`, `peak_memory_bytes`, `resident_bytes`.
    """
    channel.send_mark("load")
    before_bytes = rss_bytes()
    session = open_session(task)
    opened_bytes = rss_bytes()
    data = load_data(session.inputs, task.inputs, task.batch_size)
    labels = load_labels(task, data)
    inputs = sized(session.inputs, {} if data else task.input_shapes or {}, task.batch_size)
    queries = make_queries(inputs, data, task.batch_size)
    loaded_bytes = rss_bytes()
    with reading(Path(task.artifact.path), *ANSWERS):
        first = beginnings(timed(session, queries[0])[0])
        answers, first_query_s = timed(session, queries[0])
    differing = largest_difference(first, beginnings(answers))
    resident_bytes = grown(before_bytes, opened_bytes, loaded_bytes, rss_bytes())
    keep_profiler(lambda: session.profile(list(itertools.islice(itertools.cycle(queries), PROFILE_QUERIES)), PROFILE_S))
    facts = session.facts() | ({"answers_differ": differing} if differing > SAME else {})
    if task.device != "cpu":
        facts |= {"device_uuids": visible_uuids()}
    scored, decision = 0, None
    if labels is not None and task.metric:
        metric = metric_named(task.metric, task.metric_direction, task.code_folder, task.metric_ignore)
        targets = references(metric, data, labels)
        scored = choose_output(session.outputs, answers, task.metric, metric, targets, task.batch_size)
        answer = decoded(session.outputs[scored], answers[scored], task.batch_size)
        decision = choose_threshold(session, scored, answer, metric, targets, task)
        facts |= {"scored_output": session.outputs[scored].name} if len(session.outputs) > 1 else {}
    channel.send(Ready(first_query_s=first_query_s, precision=session.precision(), facts=facts))
    completions = answer_queries(channel, *timed_calls(session, queries, task), task.scenario, task.in_flight)
    np.save(task.completions_path, np.array([completions.start_ns, completions.end_ns, completions.count], dtype=np.int64))
    quality = None
    if labels is not None and decision is not None and task.metric:
        channel.send_mark("quality")
        outputs = answers_to(session, batches(data, task.batch_size), task.batch_size, scored)[: len(labels)]
        check_range(outputs, decision, session.outputs[scored].name, task)
        np.save(task.per_sample_path, scores(decision.metric, outputs, data, labels))
        keep_outputs(outputs, task)
        fields = quality_fields(decision, outputs, targets, labels)
        quality = Scores(metric=task.metric, direction=decision.metric.direction, **fields)
        channel.send_mark("quality_end")
    elif task.outputs_path:
        channel.send_mark("quality")
        answer_unlabelled(session, inputs, data, answers, task)
        channel.send_mark("quality_end")
    return {"quality": quality, "peak_memory_bytes": peak_memory_bytes(), "resident_bytes": resident_bytes}


def profiled(profile: Profiler, types: tuple[str, ...] | None) -> Kernels:
    """The kernels that ran, or why they are unknown; never raises."""
    try:
        return Kernels(kernels=tuple(profile()), stored=types)
    except Exception as error:
        return Kernels(reason=f"{type(error).__name__}: {first_line(error)}", stored=types)


def stored(artifact: ModelFile) -> tuple[str, ...] | None:
    """Types of the numbers stored in the artifact; None if unknown."""
    try:
        types = stored_types(Path(artifact.path), artifact.format)
    except EngineError:
        return None
    return None if types is None else tuple(sorted(types))


def open_session(task: MeasureTask) -> Session:
    """The engine's session for this task."""
    if task.trusted and task.code_folder:
        make_importable(task.code_folder)
    engine = plugins.load("engines", task.engine)
    load = Load(
        path=Path(task.artifact.path),
        format=task.artifact.format,
        device=task.device,
        batch_size=task.batch_size,
        threads=task.threads,
        options=engine.spec.parameters(**task.engine_options) if engine.spec.parameters else None,
        trusted=task.trusted,
        prepared=Path(task.prepared) if task.prepared else None,
    )
    session: Session = engine().open(load)
    return session


def timed(session: Session, query: Sequence[Array]) -> tuple[Sequence[Array], float]:
    """Outputs of one query, and its latency in seconds."""
    began = time.monotonic()
    answers = session.answer(query)
    return answers, time.monotonic() - began


def timed_calls(session: Session, queries: Sequence[Sequence[Array]], task: Timed) -> tuple[Queue, Sequence[Any]]:
    """What a scenario calls for a query, and the queries that it takes.

    With copies outside, inputs are staged before anything is timed and no answer is fetched; with copies inside a query is timed from host
    arrays to host arrays. A scenario reads the clock after the answer is complete in either case.
    """
    if task.copies == "outside":
        staged = [session.stage(query) for query in queries]
        session.synchronize()
        return _calls(session, session.run, fetch=_nothing), staged
    if task.in_flight == 1:
        return _calls(session, session.answer, synchronize=_nothing), queries
    return _calls(session, lambda query: session.run(session.stage(query))), queries


def _calls(session: Session, run: Callable[[Any], Any], **changes: Callable[..., None]) -> Any:
    """Methods of a session, with another `run` and changes."""
    return SimpleNamespace(**{"run": run, "synchronize": session.synchronize, "event": session.event, "fetch": session.fetch, **changes})


def _nothing(*_: Any) -> None:
    """Take the place of a call that is not needed, or not timed."""


def answer_queries(channel: Parent, session: Queue, queries: Sequence[Any], scenario: str, in_flight: int = 1) -> Completions:
    """Warm up while the parent asks, then keep every completion until `Close`.

    The completions extend beyond both edges of the parent's window, however long a busy machine delays this process.
    """
    play, source, marked = scenario_of(scenario, in_flight), itertools.cycle(queries), False
    while isinstance(message := channel.receive(), More):
        if not marked:
            channel.send_mark("warmup")
            marked = True
        until = time.monotonic() + message.seconds
        round_ = Completions()
        play(session, source, partial(_over, channel, until), round_)
        channel.send(Done(n=sum(round_.count)))
    completions = Completions()
    if isinstance(message, Go):
        if not marked:
            channel.send_mark("warmup")
        play(session, source, lambda: True, completions)
        channel.send_mark("go")
        steady = shifted(play, message.shift_s, message.group) if message.shift_s else play
        steady(session, source, channel.closing.is_set, completions)
        ended = channel.receive()
        if isinstance(ended, Close) and completions.end_ns[-1] * 1e-9 < ended.until_s:
            play(session, source, lambda: True, completions)
    channel.send(Done(n=sum(completions.count)))
    return completions


def _over(channel: Parent, until_s: float) -> bool:
    """Whether a round of warm-up is over."""
    return time.monotonic() >= until_s or channel.closing.is_set()


def peak_memory_bytes() -> int | None:
    """Peak resident set size of this process; None if unknown.

    On Linux VmHWM, because `ru_maxrss` includes the parent that this process was forked from.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if sys.platform == "darwin" else _status_bytes("VmHWM:")


def rss_bytes() -> int | None:
    """Current resident set size of this process; None if unknown."""
    return _status_bytes("VmRSS:")


def grown(before: int | None, opened: int | None, loaded: int | None, after: int | None) -> int | None:
    """Growth of the resident set without that from reading data; None if unknown."""
    if before is None or opened is None or loaded is None or after is None:
        return None
    return opened - before + after - loaded


def _status_bytes(field: str) -> int | None:
    kibibytes = system_number("/proc/self/status", field)
    return None if kibibytes is None else kibibytes * 1024


if __name__ == "__main__":
    main()
