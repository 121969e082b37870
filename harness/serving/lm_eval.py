"""Quality of a served model by EleutherAI's `lm_eval`: its command, its end, and its results.

lm_eval has a virtual environment of its own and is a client of the server like any other. It runs under the guardian process of servers, so that it and
all that it starts end with the process that measures.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from harness.errors import EngineError
from harness.schema.measured import Evaluated
from harness.schema.worker import Evaluation, Scores
from harness.serving import processes
from harness.serving.base import Endpoint
from harness.serving.reports import KEY
from harness.text import plain

PREFIX = "lm_eval/"
"""Begin of the names of its metrics: `lm_eval/TASK/METRIC`."""
END_S = 20.0
"""Time that the guardian has to end it, s."""
OUTPUT_BYTES, WHY_CHARACTERS = 65_536, 300
SAME = 1e-9
"""Largest difference between a value and the mean of its samples, relative to the larger of the value and 1."""
NO_LOGPROBS = (
    "the server does not report the log-likelihood of a given text, which this task needs",
    "use a task that generates text (output_type generate_until), or a server that echoes log-likelihoods, such as vLLM with a Hugging Face folder",
)
CAUSES: Sequence[tuple[str, tuple[str, str]]] = (
    (r"No module named '?lm_eval\b", ("the virtual environment has no lm_eval", "run `make lm-eval`")),
    (r"Tasks? not found: (?P<what>[^\n]*)", ("it has no task {what}", "list its tasks with `.venv-lm-eval/bin/lm_eval ls tasks`")),
    (r"Tokenizer is required for loglikelihood|Loglikelihood is not supported|Context length must be greater than 0", NO_LOGPROBS),
    (r"KeyError\(?:? ?'(token_logprobs|top_logprobs|logprobs)'|'NoneType' object is not (subscriptable|iterable)", NO_LOGPROBS),
    (
        r"API request failed[^\n]*?(?:message|text): (?P<what>[^\n]*?)(?:\. Retrying\.\.\.)?\n",
        ("the server refused a request: {what}", "raise the option `context` of the engine if the prompts of the task do not fit"),
    ),
    (
        r"(?P<what>Couldn't reach[^\n]*|OfflineModeIsEnabled|LocalEntryNotFoundError|(?:Temporary failure in n|N)ame[^\n]*resolution|"
        r"Network is unreachable|Cannot send a request[^\n]*|(?:DatasetNotFoundError|FileNotFoundError|GatedRepoError): [^\n]*)",
        (
            "the data of the task are not available: {what}",
            "run it once with a network, or define a task with local data (see docs/llm.md)",
        ),
    ),
    (r"(?P<what>Cannot connect to host[^\n]*|Connection refused|ServerDisconnectedError)", ("it lost the server: {what}", "run again")),
    (r"confirm_run_unsafe_code", ("the task runs code that the model writes, which is not allowed here", "choose another task")),
)
"""Patterns in the output of an lm_eval that failed, with what is wrong and a hint."""


class Results(NamedTuple):
    """Results of an evaluation.

    Attributes:
        scores: How the model was scored, with the value.
        per_sample: Score of each sample in the order of the task, shape (n,); empty if the value is not their mean.
        facts: Versions and settings.
        text: The results file as lm_eval wrote it.
    """

    scores: Scores
    per_sample: np.ndarray
    facts: dict[str, Any]
    text: str


class Client(NamedTuple):
    """How lm_eval asks the server.

    Attributes:
        endpoint: The server.
        concurrency: Requests in progress.
        tokenizer: Folder of the model's tokenizer; None: the server's tokens cannot be counted.
        context: Tokens of one request; None: unknown.
    """

    endpoint: Endpoint
    concurrency: int
    tokenizer: str | None = None
    context: int | None = None


def evaluate(evaluation: Evaluation, client: Client) -> Results:
    """Run lm_eval against a server.

    Raises:
        EngineError: It is not installed, fails, takes too long, or its results cannot be used.
    """
    if evaluation.python is None:
        raise EngineError(evaluation.missing, evaluation.remedy)
    with tempfile.TemporaryDirectory(prefix="harness-lm-eval-") as name:
        folder = Path(name)
        output = _run(command(evaluation, client, folder), evaluation, client, folder)
        return read(folder, evaluation, output)


def command(evaluation: Evaluation, client: Client, folder: Path) -> list[str]:
    """The command line of lm_eval.

    Args:
        evaluation: Task and interpreter.
        client: Server and number of requests.
        folder: Folder of its results.
    """
    endpoint, by_tokens = client.endpoint, client.tokenizer is not None and not client.endpoint.chat
    arguments: dict[str, Any] = {"base_url": endpoint.url, "model": endpoint.model, "num_concurrent": client.concurrency}
    arguments |= {"tokenizer_backend": "huggingface", "tokenizer": client.tokenizer} if by_tokens else {"tokenizer_backend": "none"}
    arguments |= {"max_length": client.context} if client.context else {}
    return [
        *(str(evaluation.python), "-P", "-m", "lm_eval"),
        *("--model", "local-chat-completions" if endpoint.chat else "local-completions"),
        *("--model_args", json.dumps(arguments)),
        *("--tasks", evaluation.path or evaluation.task),
        *(("--limit", str(evaluation.limit)) if evaluation.limit else ()),
        *(("--apply_chat_template",) if endpoint.chat else ()),
        *("--output_path", str(folder / "lm_eval.json"), "--log_samples"),
    ]


def _run(arguments: Sequence[str], evaluation: Evaluation, client: Client, folder: Path) -> str:
    """Run it until its end; its output."""
    with (folder / "output.txt").open("w+b") as log:
        guardian = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.serving.guardian", "--", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # as of servers: it must survive a signal to our group, to kill what it has started
            cwd=Path(evaluation.path).parent if evaluation.path else folder,  # a task of the user's names its data relative to itself
            env=_environment(client),
        )
        try:
            guardian.wait(evaluation.timeout_s)
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"it did not end within {evaluation.timeout_s:g} s",
                f"use a smaller `limit` of samples, or set `limits: {{lm_eval_timeout_s: {2 * evaluation.timeout_s:g}}}` in the suite",
            ) from None
        finally:
            messages = _end(guardian)
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - OUTPUT_BYTES))
        output = log.read().decode(errors="replace").replace("\r", "\n")
    if error := messages.get("error"):
        raise EngineError(f"it cannot be started: {error}", "run `make lm-eval`")
    if messages.get("exit") != 0:
        raise _failure(messages.get("exit"), output)
    return output


def _end(guardian: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the guardian reports, after the end of it and of all that it started."""
    assert guardian.stdin and guardian.stdout
    guardian.stdin.close()
    try:
        guardian.wait(END_S)
    except subprocess.TimeoutExpired:
        guardian.kill()
        guardian.wait()
    messages: dict[str, Any] = {}
    for line in guardian.stdout.read().splitlines():
        messages |= json.loads(line)
    guardian.stdout.close()
    return messages


def _environment(client: Client) -> dict[str, str]:
    """Its environment: no GPU, no proxy before the server, and no key but the one that is meant for the server."""
    host = urlsplit(client.endpoint.url).hostname or ""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "OPENAI_API_KEY")}
    excepted = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), host)))
    return {
        **own,
        "CUDA_VISIBLE_DEVICES": "-1",
        "OPENAI_API_KEY": os.environ.get(KEY, ""),
        "NO_PROXY": excepted,
        "no_proxy": excepted,
        processes.MARK: f"lm-eval-{os.getpid()}-{secrets.token_hex(8)}",
    }


def _failure(code: int | None, output: str) -> EngineError:
    """Why lm_eval failed, by its output."""
    for pattern, (what, hint) in CAUSES:
        if match := re.search(pattern, output):
            why = (match.groupdict().get("what") or "").strip()
            return EngineError(what.replace("{what}", plain(why)[:WHY_CHARACTERS]), hint)
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "it printed nothing")
    how = "was killed" if code is None else f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    return EngineError(f"it {how}: {plain(last)[:WHY_CHARACTERS]}", "run its command by hand to see all of its output")


# --- results --------------------------------------------------------------------------------------------------------------


def read(folder: Path, evaluation: Evaluation, output: str = "") -> Results:
    """Read the results of an evaluation.

    Args:
        folder: Folder of the results.
        evaluation: What was evaluated.
        output: What lm_eval printed.

    Raises:
        EngineError: There are none, or the main metric has no value or no direction.
    """
    files = sorted(folder.glob("lm_eval_*.json"))
    if not files:
        raise EngineError(f"it wrote no results: {_failure(0, output).what}", "use lm_eval 0.4.10 or later: run `make lm-eval`")
    text = files[-1].read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        task = _task(content, evaluation)
        key, value, stderr = _main(content, task)
        samples = _samples(content, task)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise EngineError(f"its results cannot be read: {type(error).__name__}: {error}", "use another version of lm_eval") from None
    metric, filter_ = key.split(",", 1)
    direction = _direction(content, task, metric)
    per_sample = _per_sample(folder, metric, filter_, samples, value)
    name = f"{PREFIX}{task}/{metric}" + ("" if filter_ == "none" else f",{filter_}")
    scores = Scores(metric=name, direction=direction, evaluated=Evaluated(value=value, stderr=stderr, samples=samples))
    return Results(scores, per_sample, _facts(content, task, evaluation), text)


def _task(content: Mapping[str, Any], evaluation: Evaluation) -> str:
    """Name of the task in the results; a file may define it by another name than its own."""
    results = content["results"]
    return evaluation.task if evaluation.task in results or not evaluation.path else str(next(iter(results)))


def _main(content: Mapping[str, Any], task: str) -> tuple[str, float, float | None]:
    """Main metric with its filter, value and standard error: the first metric of the task, after the first of its filters."""
    results = {**content["results"][task], **content.get("groups", {}).get(task, {})}
    configs = content.get("configs", {})
    config = configs.get(task) or configs.get(_members(content, task)[0], {})  # a group has the metrics of its tasks
    keys = [key for key, value in results.items() if "," in key and "_stderr," not in key]
    metrics = [str(each.get("metric")) for each in config.get("metric_list") or ()]
    filters = [str(each.get("name")) for each in config.get("filter_list") or ()]

    def place(key: str) -> tuple[int, int]:
        metric, filter_ = key.split(",", 1)
        return tuple(names.index(name) if name in names else len(names) for names, name in ((metrics, metric), (filters, filter_)))  # type: ignore[return-value]

    if not keys:
        raise EngineError(f"{task} has no metric of its own in its results", "name one of the tasks of that group")
    key = min(keys, key=place)
    value = results[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EngineError(f"{key.split(',')[0]} of {task} is {value!r}, not a number", "use a larger `limit` of samples, or another task")
    metric, filter_ = key.split(",", 1)
    stderr = results.get(f"{metric}_stderr,{filter_}")
    known = isinstance(stderr, int | float) and math.isfinite(stderr)
    return key, float(value), float(stderr) if known and stderr is not None else None


def _members(content: Mapping[str, Any], task: str) -> list[str]:
    """The tasks of a group at any depth; of a single task itself."""
    below = content.get("group_subtasks", {}).get(task) or []
    return [member for each in below for member in _members(content, each)] if below else [task]


def _samples(content: Mapping[str, Any], task: str) -> int:
    """Number of samples that were evaluated."""
    return sum(int(content["n-samples"][member]["effective"]) for member in _members(content, task))


def _direction(content: Mapping[str, Any], task: str, metric: str) -> Literal["higher", "lower"]:
    """Direction in which the metric improves."""
    known = {content.get("higher_is_better", {}).get(each, {}).get(metric) for each in {task, *_members(content, task)}} - {None}
    if known == {True}:
        return "higher"
    if known == {False}:
        return "lower"
    raise EngineError(
        f"it does not report whether a higher {metric} of {task} is better", "set `higher_is_better` in the task, or use another one"
    )


def _per_sample(folder: Path, metric: str, filter_: str, samples: int, value: float) -> np.ndarray:
    """The metric of each sample; empty if the value is not their mean, or they were not kept as numbers."""
    files, empty = list(folder.glob("samples_*.jsonl")), np.zeros(0)
    if len(files) != 1:  # a group, whose value may be weighted
        return empty
    try:
        lines = [json.loads(line) for line in files[0].read_text(encoding="utf-8").split("\n") if line]
        chosen = sorted((each for each in lines if each.get("filter", filter_) == filter_), key=lambda each: int(each["doc_id"]))
        scores = np.asarray([float(each[metric]) for each in chosen])
    except (KeyError, TypeError, ValueError):
        return empty
    if len(scores) != samples or not np.isfinite(scores).all() or abs(scores.mean() - value) > SAME * max(1.0, abs(value)):
        return empty
    return scores


def _facts(content: Mapping[str, Any], task: str, evaluation: Evaluation) -> dict[str, Any]:
    """Versions and settings of the evaluation, for the record."""
    members = _members(content, task)
    shots = sorted({content.get("n-shot", {}).get(member) for member in members} - {None})
    return {
        "lm_eval_version": content.get("lm_eval_version"),
        "lm_eval_task": task,
        "lm_eval_task_version": content.get("versions", {}).get(task),
        "lm_eval_task_hash": content.get("task_hashes", {}).get(task),
        "lm_eval_fewshot": shots[0] if len(shots) == 1 else shots or None,
        "lm_eval_limit": evaluation.limit,
        "lm_eval_available_samples": sum(content["n-samples"][member].get("original", 0) for member in members),
    }
