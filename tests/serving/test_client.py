"""The client against a server that is honest or wrong in one way: every wrong count ends as an error, a mark or a short request."""

import itertools
import math
import socket

import numpy as np
import pytest

from harness.errors import EngineError
from harness.schema.served import COMPLETED, CUT, FAILED, REQUEST_COLUMNS, SHORT, TokenLoad
from harness.serving.base import Load, Prompt
from harness.serving.client import OpenAiSession
from harness.serving.log import TokenLog
from harness.serving.presets import Preset
from tests.serving.lying import serving

COUNTING = Preset(
    "lying", "Lying server", (), (), "/", "continuous_usage", metrics_path="/metrics", generated_metric="served_tokens_total",
    running_metric="served_running", fields={"stream_options": {"include_usage": True}}, length_fields={"min_tokens": "{output_tokens}"},
)  # fmt: skip
FINAL = Preset("lying", "Lying server", (), (), "/", "final_usage")
ASKED = 6


def session_of(port: int, model: str, preset: Preset = COUNTING, **options) -> OpenAiSession:
    return OpenAiSession(f"http://127.0.0.1:{port}", preset, model, **options)


def run(session: OpenAiSession, requests: int = 4, *, drain_s: float = 2.0, polls: int = 10**6, **load) -> Load:
    """Run a load until so many requests have ended, or so many polls were made."""
    log, calls = TokenLog(), itertools.count()
    prompts = (Prompt(f"prompt {number}", ASKED) for number in itertools.count())
    made = Load(
        TokenLoad(**({"concurrency": 2} | load), input_tokens=2, output_tokens=ASKED), prompts, log,
        lambda: log.have_ended(requests) or next(calls) > polls, drain_s,
    )  # fmt: skip
    session.run(made)
    return made


def loaded(model: str, preset: Preset = COUNTING, **options) -> TokenLog:
    """The log of some requests of a server that is wrong in one way."""
    with serving() as server:
        session = session_of(server.port, model, preset, **options)
        try:
            return run(session).log
        finally:
            session.close()


def column(log: TokenLog, name: str) -> np.ndarray:
    return log.requests()[REQUEST_COLUMNS.index(name)]


@pytest.mark.parametrize("api", ["completions", "chat"])
@pytest.mark.parametrize("model", ["honest", "several", "no_done", "done_first", "comments", "one_read"])
def test_streams_that_are_counted_right(model, api):
    """Several tokens in a chunk, keep-alive comments, `[DONE]` early or never, all in one read: the count is right."""
    log = loaded(model, api=api)
    assert set(column(log, "status")) == {COMPLETED}
    assert set(column(log, "output_tokens")) == {ASKED} and set(column(log, "prompt_tokens")) == {7}
    assert log.completions()[2].sum() == ASKED * log.requests().shape[1]
    assert not log.disagreeing and not log.errors
    assert not log.estimated


@pytest.mark.parametrize(
    ("model", "preset", "status", "disagreeing", "estimated"),
    [
        ("usage_high", COUNTING, COMPLETED, True, False),
        ("usage_low", COUNTING, SHORT, True, False),
        ("final", COUNTING, COMPLETED, False, True),
        ("final", FINAL, COMPLETED, False, True),
        ("final_high", FINAL, COMPLETED, True, True),
        ("final_low", FINAL, SHORT, True, True),
        ("repeated", COUNTING, COMPLETED, True, True),
        ("repeated", FINAL, COMPLETED, True, True),
        ("short", COUNTING, SHORT, False, False),
        ("long", COUNTING, COMPLETED, True, False),
        ("constant", COUNTING, COMPLETED, False, True),
    ],
)
def test_wrong_counts_are_marked(model, preset, status, disagreeing, estimated):
    """None is silent."""
    log = loaded(model, preset)
    assert set(column(log, "status")) == {status}
    assert (log.disagreeing > 0, log.estimated) == (disagreeing or (status == SHORT and log.disagreeing > 0), estimated)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("early_done", "the stream ended with [DONE] but without a finish_reason, after 3 of 6 tokens"),
        ("silent_usage", "the server does not report how many tokens it generated"),
        ("cut", "the connection was cut after 3 of 6 tokens"),
        ("error", "the server reports an error in the stream: out of memory"),
        ("abort", "finish_reason abort"),
        ("not_json", "data that is not JSON: oops"),
        ("no_stream", "the server does not stream: Expected response header Content-Type"),
        ("unknown_field", 'HTTP 422: [{"loc": ["body", "ignore_eos"], "msg": "extra inputs are not permitted"}]'),
        ("context", "HTTP 400: the context has 2048 tokens"),
        ("key", "HTTP 401: missing key"),
        ("broken", "HTTP 500: Internal Server Error"),
    ],
)
def test_failures_have_a_reason(model, reason):
    """The tokens of such requests are not counted."""
    log = loaded(model)
    assert set(column(log, "status")) == {FAILED}
    assert reason in next(iter(log.errors)) and len(log.errors) == 1
    assert not log.completions().size


def test_a_server_that_refuses_every_request_ends_the_load():
    """With its message."""
    with serving() as server:
        session = session_of(server.port, "key")
        with pytest.raises(EngineError, match=r"Lying server answers no request: 2. in a row failed, the last one: HTTP 401: missing key"):
            run(session, 10**6, concurrency=8)
        session.close()


def test_no_server():
    """A port without a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    session = session_of(port, "honest")
    with pytest.raises(EngineError, match="no connection to the server"):
        run(session, 10**6, concurrency=16)
    with pytest.raises(EngineError, match="no connection to the server"):
        session.answer([Prompt("x", 2)], 1)
    assert session.totals() is None
    session.close()


def test_a_server_that_has_died_ends_the_load():
    """As soon as its process has ended."""
    with serving() as server:
        session = session_of(server.port, "slow", died=lambda: "killed by signal 9" if server.tokens > 3 else None)
        with pytest.raises(EngineError, match="the server has died: killed by signal 9"):
            run(session, 10**6)
        session.close()


def test_a_server_that_is_silent():
    """After the time limit for silence the request has failed."""
    log = loaded("hangs", silence_s=0.1)
    assert set(column(log, "status")) == {FAILED}
    assert next(iter(log.errors)) == "the server was silent for too long after 3 of 6 tokens"


def test_requests_that_take_longer_than_the_drain_are_cut():
    """Their tokens up to then count."""
    with serving() as server:
        session = session_of(server.port, "hangs")
        log = run(session, polls=20, drain_s=0.05).log
        session.close()
    assert set(column(log, "status")) == {CUT} and set(column(log, "output_tokens")) == {3}
    assert log.completions()[2].sum() == 6


def test_a_response_that_goes_on_after_done(monkeypatch):
    """It is complete; the connection is not waited for."""
    monkeypatch.setattr("harness.serving.client.AFTER_DONE_S", 0.05)
    assert set(column(loaded("open_end"), "status")) == {COMPLETED}


def test_connections_that_are_closed_are_no_failures():
    """A server that closes each connection after some requests without notice: the request is sent again, and counted as such."""
    with serving(requests_per_connection=3) as server:
        session = session_of(server.port, "honest")
        log = run(session, 30).log
        facts = session.facts()
        session.close()
    assert set(column(log, "status")) == {COMPLETED} and not log.errors
    assert server.connections >= 10
    assert facts["retried_requests"] == log.retries


def test_times_of_one_read_are_equal():
    """Chunks that came in one read have its time."""
    log = loaded("one_read")
    assert len(set(log.completions()[1])) <= log.requests().shape[1]
    assert np.all(column(log, "end_ns") >= column(log, "first_ns")) and np.all(column(log, "first_ns") >= column(log, "sent_ns"))


def test_fields_of_a_request():
    """Greedy, with the fields of the preset, of the length, and the key."""
    with serving() as server:
        session = session_of(server.port, "honest", key="secret")
        run(session)
        session.close()
        chat = session_of(server.port, "honest", api="chat")
        run(chat)
        chat.close()
    assert server.bodies[0] == {
        "model": "honest", "prompt": "prompt 0", "temperature": 0, "max_tokens": ASKED, "min_tokens": ASKED, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert server.bodies[-1]["messages"][0]["role"] == "user" and "prompt" not in server.bodies[-1]
    assert any("authorization: Bearer secret" in head for head in server.headers)


def test_poisson_counts_from_the_due_time():
    """Requests are sent at or after their due time."""
    with serving() as server:
        session = session_of(server.port, "honest")
        log = run(session, 8, concurrency=None, rate_per_s=200.0).log
        session.close()
    assert set(column(log, "status")) == {COMPLETED} and np.all(column(log, "sent_ns") >= column(log, "due_ns"))


def test_the_servers_own_counts():
    """Added up over labels; read during a load too."""
    with serving() as server:
        session = session_of(server.port, "honest")
        load = run(session)
        totals = session.totals()
        session.close()
        assert load.totals and load.totals[0].running == 2
        assert totals.output_tokens == server.tokens + 1
        none = session_of(server.port, "honest", FINAL)
        assert none.totals() is None and run(none).totals == []
        none.close()


@pytest.mark.parametrize(
    ("api", "form", "logprob"), [("completions", "completions", -0.25), ("chat", "content", -0.5), ("completions", "content", -0.5)]
)
def test_greedy_answers(api, form, logprob):
    """In the order of the prompts, with log-likelihoods in both forms."""
    with serving(logprobs=form) as server:
        session = session_of(server.port, "honest", api=api)
        replies = session.answer([Prompt("x", length) for length in (1, 3, 5)], 2)
        session.close()
    assert [reply.tokens for reply in replies] == [tuple("a"), tuple("abc"), tuple("abcde")]
    assert [math.fsum(reply.logprobs) for reply in replies] == [logprob, 3 * logprob, 5 * logprob]
    assert replies[0].prompt_tokens == 7
    assert all("stream" not in body and "stream_options" not in body for body in server.bodies)
    assert session.facts()["usage_agrees_with_logprobs"]


@pytest.mark.parametrize("form", [None, "refused"])
def test_greedy_answers_without_logprobs(form):
    """Characters instead of tokens; a server that refuses the field is asked without it."""
    with serving(logprobs=form) as server:
        session = session_of(server.port, "honest")
        replies = session.answer([Prompt("x", 3)] * 2, 1)
        session.close()
    assert [reply.tokens for reply in replies] == [("a", "b", "c")] * 2 and not replies[0].logprobs
    assert len(server.bodies) == (3 if form else 2)


def test_a_usage_that_differs_from_the_tokens_of_an_answer():
    """A fact of the session."""
    with serving() as server:
        session = session_of(server.port, "usage_high")
        session.answer([Prompt("x", 3)], 1)
        assert session.facts()["usage_agrees_with_logprobs"] is False
        session.close()


@pytest.mark.parametrize(("model", "reason"), [("broken", "HTTP 500"), ("context", "HTTP 400: the context has 2048 tokens")])
def test_greedy_answers_that_fail(model, reason):
    """With the server's message."""
    with serving() as server:
        session = session_of(server.port, model)
        with pytest.raises(EngineError, match=reason):
            session.answer([Prompt("x", 3)], 1)
        session.close()


def test_the_server_is_ended_after_the_connections():
    """`close` returns the facts about its end, and may be called when all is over."""
    with serving() as server:
        session = session_of(server.port, "honest", stop=lambda: {"ended": "SIGTERM"})
        run(session)
        assert session.close() == {"ended": "SIGTERM"}
