"""Child process: generates text under a load, logs every token, and takes greedy answers for the quality.

The load does not stop between warm-up and window:

    requests  |-----|-----|-----|-----|-----|-----|-----|-----|-----|
              |--------|--------|--------|--------|--------|--------|
    Go ->     warm-up: see `Warmup`  -> mark go ... window ... Close -> drain -> Done
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.analysis.agreement import common_prefix
from harness.channel import Parent
from harness.engines.base import Load
from harness.engines.cuda import visible_uuids
from harness.engines.tokens import TokenEngine
from harness.errors import EngineError
from harness.schema.served import COMPLETED, REQUEST_COLUMNS, SHORT, TokenLoad
from harness.schema.worker import Close, Done, Go, Kernels, Ready, Scores, ServeTask, Warmed
from harness.serving import lm_eval, processes
from harness.serving.answers import as_array, mean_logprob
from harness.serving.base import Load as Requests
from harness.serving.base import Prompt, TokenSession
from harness.serving.cpu import cpu_s
from harness.serving.log import TokenLog
from harness.serving.prompts import Tokenization, calibrated, prompts
from harness.userfiles import system_number
from harness.worker.measure import peak_memory_bytes, profiled
from harness.worker.outcome import outcome
from harness.worker.warmup import Warmup
from harness.workloads.functions import make_importable

PROFILE_S = 2.0
"""Time limit of profiling, in seconds."""
QUALITY_PROMPTS, QUALITY_TOKENS, QUALITY_CHARACTERS = 16, 32, 120
"""Number of the fixed prompts of the quality, tokens of their answers, characters of a prompt: the same in every case of a model."""
CALIBRATION_CHARACTERS, LONGEST_CHARACTERS = 40, 2000
"""Length of a first prompt that shows how many characters a token has, and the largest one of a second, which shows how many tokens a template adds."""
COVER_S = 30.0
"""Longest time after the window in which a token is awaited that covers its end."""


def main() -> None:
    """Run the task on standard input, and report the result."""
    channel, task = Parent.from_argv(ServeTask)
    child = _Child(channel, task)
    channel.send(outcome(child.run, task.memory_bytes))
    channel.leave(child.end)


class _Child:
    """One repetition of a case."""

    def __init__(self, channel: Parent, task: ServeTask) -> None:
        self.channel, self.task = channel, task
        self.session: TokenSession | None = None

    def run(self) -> dict[str, Any]:
        """Load the model, generate text until `Close`, then measure the quality; the fields of the result."""
        channel, task = self.channel, self.task
        channel.send_mark("load")
        session = self.session = open_session(task)
        tokenization, first_s, alone_s = calibrate(session, task.load)
        facts = session.facts() | {"alone_s": alone_s} | ({} if task.device == "cpu" else {"device_uuids": visible_uuids()})
        channel.send(Ready(first_query_s=first_s, precision=session.precision(), facts=facts))
        log = TokenLog()
        try:
            facts = self._generate(session, log, tokenization) if isinstance(channel.receive(), Go) else {}
        finally:  # also what was generated before a server died
            np.save(task.completions_path, log.completions())
            np.save(task.requests_path, log.requests())
        channel.send(Done(n=log.completions().shape[1]))
        if task.outputs_path:
            channel.send_mark("quality")
            facts |= take_answers(session, task)
        external = session.facts().get("server") == "external"
        peak_bytes = None if external else server_peak_bytes() or peak_memory_bytes()  # before lm_eval has processes of its own
        scores, evaluated = take_quality(session, task)
        if task.outputs_path:
            channel.send_mark("quality_end")
        return {"peak_memory_bytes": peak_bytes, "facts": facts | evaluated, "quality": scores}

    def _generate(self, session: TokenSession, log: TokenLog, tokenization: Tokenization) -> dict[str, Any]:
        """Run the load until the window is over; facts about it."""
        task, before = self.task, session.totals()
        control = Control(self.channel, log, task.load.concurrency or 1, task.warm_s)
        load = Requests(task.load, prompts(task.load, tokenization, task.seed), log, control.stop, task.drain_s, task.seed)
        self.channel.send_mark("warmup")
        session.run(load)
        after = session.totals()
        table = dict(zip(REQUEST_COLUMNS, log.requests(), strict=True))
        answered = (table["status"] == COMPLETED) | (table["status"] == SHORT)
        facts: dict[str, Any] = {
            **client_cpu(load.cpu, control),
            "tokens_estimated": log.estimated,
            "usage_disagreements": log.disagreeing,
            "request_errors": dict(log.errors),
            "tokens_unknown": int((answered & (table["output_tokens"] < 0)).sum()),
            "requests_ended": int(answered.sum()),
            "counted_tokens": int(table["output_tokens"][table["output_tokens"] > 0].sum()),
            "server_running": [[each.t_ns * 1e-9, each.running] for each in load.totals if each.running is not None],
        }
        if before and after and before.output_tokens is not None and after.output_tokens is not None:
            facts["server_tokens"] = after.output_tokens - before.output_tokens
        return facts

    def end(self) -> Kernels:
        """The kernels that ran, if they are asked for, and the end of the server."""
        session = self.session
        assert session
        kernels = profiled(lambda: session.profile(PROFILE_S), None) if self.task.outputs_path else Kernels()
        return kernels.model_copy(update={"facts": session.close()})


class Control:
    """Decides in the load's own loop when the window begins and when the load ends.

    Args:
        channel: Channel to the parent.
        log: Log of the load.
        streams: Requests that must each have ended before the window.
        warm_s: Time limit of the warm-up, s.

    Attributes:
        span_ns: Start and end of the window as the child sees it, ns on CLOCK_MONOTONIC; None if it was not reached.
        tokens: Tokens in that span.
    """

    def __init__(self, channel: Parent, log: TokenLog, streams: int, warm_s: float) -> None:
        self._channel, self._log = channel, log
        self._warmup: Warmup | None = Warmup(log, streams, time.monotonic_ns(), warm_s)
        self._until_s: float | None = None
        self._from_ns: int | None = None
        self.span_ns: tuple[int, int] | None = None
        self.tokens = 0.0

    def stop(self) -> bool:
        """Whether the load ends now.

        Raises:
            EngineError: The warm-up does not come to an end.
        """
        if self._until_s is not None:
            return self._log.last_ns > self._until_s * 1e9 or time.monotonic() > self._until_s + COVER_S
        if self._channel.closing.is_set():
            return self._close()
        if self._warmup and self._warmup.is_over(time.monotonic_ns()):
            self._channel.send(Warmed(request_s=self._warmup.request_s, steady=self._warmup.steady))
            self._channel.send_mark("go")
            self._warmup, self._from_ns = None, time.monotonic_ns()
        return False

    def _close(self) -> bool:
        """Take the parent's `Close`; a load that is cut off ends at once."""
        message = self._channel.receive()
        self._until_s = message.until_s if isinstance(message, Close) else 0.0
        if self._from_ns is not None:
            self.span_ns, self.tokens = (self._from_ns, time.monotonic_ns()), self._log.count_since(self._from_ns)
        return False


def client_cpu(readings: Sequence[tuple[int, int]], control: Control) -> dict[str, Any]:
    """CPU time of the load generator in the window, with the length and the tokens of that span; empty if it was not measured.

    Args:
        readings: Times on CLOCK_MONOTONIC with the CPU time until then, in ns.
        control: Control of the load.
    """
    used_s = cpu_s(readings, *control.span_ns) if control.span_ns else None
    if used_s is None or control.span_ns is None:
        return {}
    return {
        "client_span_s": (control.span_ns[1] - control.span_ns[0]) * 1e-9,
        "client_cpu_s": used_s,
        "client_tokens": control.tokens,
    }


def server_peak_bytes() -> int | None:
    """Sum of the largest resident sets of the processes that this one has started; None without one. Shared pages count in each."""
    started = processes.descendants({os.getpid()}, processes.table())
    kibibytes = [number for pid in started if (number := system_number(f"/proc/{pid}/status", "VmHWM:")) is not None]
    return sum(kibibytes) * 1024 if kibibytes else None


def open_session(task: ServeTask) -> TokenSession:
    """The engine's session for this task."""
    if task.trusted and task.code_folder:
        make_importable(task.code_folder)
    engine: type[TokenEngine] = plugins.load("engines", task.engine)
    load = Load(
        path=Path(task.artifact.path),
        format=task.artifact.format,
        device=task.device,
        batch_size=1,
        threads=task.threads,
        options=engine.spec.parameters(**task.engine_options) if engine.spec.parameters else None,
        trusted=task.trusted,
    )
    return engine().open_tokens(load, task.load)


def calibrate(session: TokenSession, load: TokenLoad) -> tuple[Tokenization, float, float]:
    """How long texts are in tokens, by two prompts; the duration of the first answer in seconds, and that of one token after the longest prompt of the load.

    Args:
        session: The model, without any load.
        load: Load that will follow.
    """
    began_s = time.monotonic()
    first = _prompt_tokens(session, CALIBRATION_CHARACTERS)
    first_s = time.monotonic() - began_s
    longest = load.input_tokens * (1 + load.spread)
    characters = max(
        2 * CALIBRATION_CHARACTERS, min(LONGEST_CHARACTERS, round(longest * CALIBRATION_CHARACTERS / (first or CALIBRATION_CHARACTERS)))
    )
    second = _prompt_tokens(session, characters)
    lengths = [(length, tokens) for length, tokens in ((CALIBRATION_CHARACTERS, first), (characters, second)) if tokens]
    tokenization = calibrated(lengths) if lengths else Tokenization()
    began_s = time.monotonic()
    _prompt_tokens(session, tokenization.characters(round(longest)))
    return tokenization, first_s, time.monotonic() - began_s


def _prompt_tokens(session: TokenSession, characters: int) -> int | None:
    """Length in tokens of a prompt of so many characters, which is answered with a single token; None if it is not reported."""
    (reply,) = session.answer([synthetic(characters, 1, seed=characters)], 1)
    return reply.prompt_tokens


def synthetic(characters: int, output_tokens: int, seed: int) -> Prompt:
    """A prompt of so many characters, the same for a seed."""
    load = TokenLoad(concurrency=1, input_tokens=characters, output_tokens=output_tokens, spread=0.0)
    return next(prompts(load, Tokenization(tokens_per_character=1.0), seed))


def take_answers(session: TokenSession, task: ServeTask) -> dict[str, Any]:
    """Keep greedy answers to the fixed prompts; facts: their agreement with a second round, and their mean log-likelihood.

    Both rounds run at the concurrency of the case, whose batches make the sums of floating-point numbers differ.
    """
    assert task.outputs_path
    fixed = [synthetic(QUALITY_CHARACTERS, QUALITY_TOKENS, seed) for seed in range(QUALITY_PROMPTS)]
    concurrency = task.load.concurrency or QUALITY_PROMPTS
    try:
        first, second = session.answer(fixed, concurrency), session.answer(fixed, concurrency)
    except EngineError as error:
        return {"answers_failed": error.what}
    outputs = as_array(first, QUALITY_TOKENS)
    np.save(task.outputs_path, outputs)
    again = as_array(second, QUALITY_TOKENS)
    return {"repeat_agreement": float(np.mean(common_prefix(outputs, again))), "mean_logprob": mean_logprob(first)}


def take_quality(session: TokenSession, task: ServeTask) -> tuple[Scores | None, dict[str, Any]]:
    """Evaluate the model with lm_eval, and keep its results; the scores and facts, or why there are none."""
    evaluation, endpoint = task.evaluation, session.endpoint()
    if evaluation is None or endpoint is None:
        return None, {}
    known = session.facts()
    client = lm_eval.Client(
        endpoint,
        task.load.concurrency or QUALITY_PROMPTS,
        tokenizer=task.artifact.path if task.artifact.format == "hf" else None,
        context=known.get("context") or known.get("context_asked"),
    )
    try:
        results = lm_eval.evaluate(evaluation, client)
    except EngineError as error:
        return None, {"lm_eval_failed": error.what, "lm_eval_remedy": error.hint}
    np.save(task.per_sample_path, results.per_sample)
    Path(task.evaluation_path).write_text(results.text, encoding="utf-8")
    return results.scores, results.facts


if __name__ == "__main__":
    main()
