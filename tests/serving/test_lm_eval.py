"""Quality of a served model by a program with the command line and the files of lm_eval."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import psutil
import pytest

from harness.errors import EngineError
from harness.schema.worker import Evaluation
from harness.serving.base import Endpoint
from harness.serving.lm_eval import Client, command, evaluate
from tests import fake_lm_eval
from tests.asked import asked


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Interpreter of an environment with the program."""
    return str(fake_lm_eval.install(tmp_path_factory.mktemp("lm") / "env") / "bin" / "python")


@pytest.fixture
def server():
    """A server that keeps the requests, and refuses all if `refuse` is set."""
    with asked() as running:
        yield running


def run(server, python, task, limit=8, timeout_s=60.0, chat=False, **fields):
    path = "/v1/chat/completions" if chat else "/v1/completions"
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}{path}", "llama", chat)
    return evaluate(Evaluation(task=task, limit=limit, python=python, timeout_s=timeout_s, **fields), Client(endpoint, 4))


def test_the_value_is_that_of_the_main_metric(server, python):
    """With its standard error, the direction, the number of samples, and the score of each sample in the order of the task."""
    results = run(server, python, "copy")
    scores = results.scores
    assert (scores.metric, scores.direction) == ("lm_eval/copy/exact_match", "higher")
    assert (scores.evaluated.value, scores.evaluated.samples) == (0.75, 8)
    assert scores.evaluated.stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 7))
    np.testing.assert_array_equal(results.per_sample, [0, 1, 1, 1, 0, 1, 1, 1])
    assert results.facts == {
        "lm_eval_version": "0.4.13", "lm_eval_task": "copy", "lm_eval_task_version": 1.0, "lm_eval_task_hash": "4e49ed", "lm_eval_fewshot": 0,
        "lm_eval_limit": 8, "lm_eval_available_samples": 16,
    }  # fmt: skip
    assert json.loads(results.text)["n-samples"]["copy"]["effective"] == 8


@pytest.mark.parametrize("chat", [False, True])
def test_it_asks_the_server_of_the_case(server, python, chat, monkeypatch):
    """On the API of the case, with the key that is meant for the server and not another one."""
    monkeypatch.setenv("OPENAI_API_KEY", "of somebody else")
    monkeypatch.setenv("HARNESS_API_KEY", "ours")
    run(server, python, "copy", limit=2, chat=chat)
    assert [path for path, _, _ in server.seen] == ["/v1/chat/completions" if chat else "/v1/completions"] * 2
    assert {(body["model"], key) for _, body, key in server.seen} == {("llama", "Bearer ours")}


def test_all_samples_without_a_limit(server, python):
    """And a value that is not the mean of its samples keeps none of them."""
    results = run(server, python, "bleu", limit=None)
    assert (results.scores.evaluated.value, results.scores.evaluated.stderr, results.scores.evaluated.samples) == (31.5, 1.25, 16)
    assert results.per_sample.size == 0
    assert results.facts["lm_eval_limit"] is None


def test_a_group_counts_the_samples_of_its_tasks(server, python):
    """Its samples are not kept: a group may weight them."""
    results = run(server, python, "group", limit=4)
    assert (results.scores.metric, results.scores.evaluated.samples) == ("lm_eval/group/exact_match", 8)
    assert results.per_sample.size == 0


def test_a_file_of_the_user_is_the_task(server, python, tmp_path):
    """In its own folder, so that its data may be named relative to it."""
    assert run(server, python, "copy", path=str(tmp_path / "copy.yaml"), sha256="0").scores.metric == "lm_eval/copy/exact_match"


@pytest.mark.parametrize(
    ("task", "what", "hint"),
    [
        ("nonesuch", "it has no task nonesuch", "ls tasks"),
        ("choose", "does not report the log-likelihood of a given text", "generates text"),
        ("absent", "data of the task are not available: Couldn't reach 'openai/gsm8k' on the Hub", "local data"),
        ("crash", "it ended with exit code 1: RuntimeError: something else", "by hand"),
        ("nothing", "it wrote no results", "make lm-eval"),
        ("damaged", "its results cannot be read: JSONDecodeError", "another version"),
        ("nan", "exact_match of nan is nan, not a number", "limit"),
        ("aimless", "does not report whether a higher exact_match of aimless is better", "higher_is_better"),
    ],
)
def test_what_goes_wrong_is_a_sentence(server, python, task, what, hint):
    """With the next step."""
    with pytest.raises(EngineError) as error:
        run(server, python, task, limit=2)
    assert what in error.value.what and hint in error.value.hint


def test_a_request_that_the_server_refuses_is_a_sentence(server, python):
    """With its answer: few-shot prompts may be longer than the context that the load needs."""
    server.refuse = True
    with pytest.raises(EngineError, match="refused a request: the request exceeds the context size") as error:
        run(server, python, "copy")
    assert "`context`" in error.value.hint


def test_one_that_hangs_is_ended_with_all_that_it_started(server, python, tmp_path, monkeypatch):
    """A process in a session of its own too."""
    pids = tmp_path / "pids"
    monkeypatch.setenv("FAKE_LM_EVAL_PIDS", str(pids))
    before = set(psutil.pids())
    with pytest.raises(EngineError, match="did not end within 3 s") as error:
        run(server, python, "hang", timeout_s=3.0)
    assert "lm_eval_timeout_s: 6" in error.value.hint
    assert pids.exists() and not psutil.pid_exists(int(pids.read_text()))
    until_s = time.monotonic() + 5
    while (left := _sleepers(set(psutil.pids()) - before)) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not left


def _sleepers(pids: set[int]) -> list[int]:
    lines = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and "time.sleep(600)" in " ".join(process.cmdline()):
                lines.append(pid)
        except psutil.Error:
            continue
    return lines


def test_without_its_environment_it_is_missing(server):
    """Before anything is started."""
    with pytest.raises(EngineError, match="does not exist"):
        run(server, None, "copy", missing="the virtual environment does not exist", remedy="make lm-eval")


def test_a_program_that_cannot_be_started_is_a_sentence(server, tmp_path):
    """Such as an interpreter that is gone."""
    with pytest.raises(EngineError, match="it cannot be started"):
        run(server, str(tmp_path / "python"), "copy")


def test_the_tokenizer_of_a_folder_counts_tokens(tmp_path):
    """So that multiple-choice tasks are possible, with prompts up to the context; chats are text."""
    evaluation = Evaluation(task="t", python="p", timeout_s=1)

    def arguments(chat):
        words = command(evaluation, Client(Endpoint("u", "m", chat), 2, tokenizer="/hf", context=4096), tmp_path)
        return json.loads(words[words.index("--model_args") + 1])

    assert arguments(False) == {
        "base_url": "u", "model": "m", "num_concurrent": 2, "tokenizer_backend": "huggingface", "tokenizer": "/hf", "max_length": 4096,
    }  # fmt: skip
    assert arguments(True)["tokenizer_backend"] == "none"
