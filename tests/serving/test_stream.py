"""Streams of each server, recorded or as documented, and streams that are wrong, counted into the log."""

import json
from pathlib import Path

import pytest
from httpx_sse._decoders import SSEDecoder

from harness.schema.served import COMPLETED, CUT, FAILED, REQUEST_COLUMNS, SHORT
from harness.serving.log import TokenLog
from harness.serving.presets import PRESETS, Preset
from harness.serving.stream import AnswerStream, StreamError, error_text, shortened

STREAMS = Path(__file__).parent.parent / "data" / "streams"
CONTINUOUS = Preset("x", "x", (), (), "/", "continuous_usage")
FINAL = Preset("x", "x", (), (), "/", "final_usage")
TIMINGS = Preset("x", "x", (), (), "/", "timings_predicted_n", prefill_ms=("timings", "prompt_ms"), cached_tokens=("timings", "cache_n"))


def events(name: str) -> list[str]:
    """The data of each event of a stored stream."""
    decoder = SSEDecoder()
    found = [decoder.decode(line) for line in (STREAMS / f"{name}.sse").read_text().split("\n")]
    return [event.data for event in found if event is not None]


def replayed(data: list[str], preset: Preset, asked: int) -> TokenLog:
    """The log of one request whose events arrive 10 ns after each other."""
    log = TokenLog()
    answer = AnswerStream(log, log.sent(0, 0, asked), asked, preset)
    t_ns = 0
    try:
        for t_ns, event in enumerate(data, 1):
            answer.chunk(event, 10 * t_ns)
        answer.ended(10 * t_ns + 5)
    except StreamError as error:
        answer.failed(10 * t_ns, str(error))
    return log


def row(log: TokenLog) -> dict[str, int]:
    return dict(zip(REQUEST_COLUMNS, log.requests()[:, 0], strict=True))


def chunk(text="x", finish=None, usage=None, n=None, **more) -> str:
    """A chunk of a completion, with a cumulative count of llama.cpp's kind if `n` is given."""
    value = {"choices": [{"index": 0, "text": text, "finish_reason": finish}], **more}
    if usage is not None:
        value["usage"] = {"prompt_tokens": 5, "completion_tokens": usage}
    if n is not None:
        value["timings"] = {"predicted_n": n}
    return json.dumps(value)


@pytest.mark.parametrize(
    ("name", "asked", "prompt", "cached", "arrivals", "estimated"),
    [
        ("xllamacpp_completions", 8, 20, 0, [1] * 8, False),
        ("xllamacpp_chat", 8, 42, 0, [1] * 8, False),
        ("xllamacpp_bytes", 24, 10, 0, [1, 1, 1, 1, 1, 1, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 2, 3], False),
        ("vllm_completions", 7, 5, 0, [1, 1, 1, 1, 2, 1], False),
        ("vllm_chat", 6, 9, -1, [1] * 6, False),
        ("vllm_recorded", 6, 13, 0, [1] * 6, False),
        ("vllm_recorded_chat", 6, 23, 0, [1] * 6, False),
        ("sglang_completions", 6, 5, 1, [1] * 6, False),
        ("tgi_chat", 7, 9, -1, [1, 1, 2, 1, 1, 1], True),
        ("tgi_completions", 6, 5, -1, [1] * 6, True),
        ("tensorrt-llm_completions", 6, 5, 0, [1, 1, 1, 2, 1], False),
        ("transformers_chat", 6, 9, -1, [1] * 6, True),
        ("ollama_completions", 6, 5, -1, [1] * 6, True),
        ("ollama_chat", 6, 9, -1, [1] * 6, True),
    ],
)  # fmt: skip
def test_the_stream_of_each_server(name, asked, prompt, cached, arrivals, estimated):
    """Tokens of each arrival, their total, the prompt's and the cached ones; marked as estimated where only the total is reported."""
    preset = PRESETS[name.split("_")[0]]
    log = replayed(events(name), preset, asked)
    request = row(log)
    assert (request["status"], request["output_tokens"], request["prompt_tokens"], request["cached_tokens"]) == (
        COMPLETED,
        asked,
        prompt,
        cached,
    )
    assert list(log.completions()[2]) == arrivals
    assert log.estimated == estimated
    assert not log.disagreeing and not log.errors
    assert (request["prefill_ns"] > 0) == bool(preset.prefill_ms)


@pytest.mark.parametrize("name", ["ollama_completions", "tgi_chat", "transformers_chat"])
def test_a_server_that_does_not_count_although_it_was_expected_to(name):
    """The total at the end is spread over the chunks, and marked."""
    asked = 7 if name == "tgi_chat" else 6
    log = replayed(events(name), CONTINUOUS, asked)
    assert row(log)["status"] == COMPLETED and log.completions()[2].sum() == asked
    assert log.estimated and not log.disagreeing


def test_first_token_is_the_first_text():
    """Not the chunk with the role, and not tokens whose text is held back."""
    log = replayed([chunk("", usage=0), chunk("", usage=1), chunk("a", usage=2), chunk("", "length", usage=2)], CONTINUOUS, 2)
    assert row(log)["first_ns"] == 30
    assert list(log.completions()[1]) == [20, 30]


def test_a_cache_size_is_no_cached_prompt():
    """`tokens_cached` of llama.cpp is what is in the cache after the answer."""
    done = chunk("", "length", n=1, tokens_cached=99)
    assert row(replayed([chunk(n=1), done], TIMINGS, 1))["cached_tokens"] == -1


@pytest.mark.parametrize(
    ("data", "preset", "asked", "status", "marks"),
    [
        ([chunk(usage=1), chunk("y", "length", usage=2), chunk("", usage=4)], CONTINUOUS, 4, COMPLETED, (True, False)),  # usage too high at the end
        ([chunk(usage=4), chunk("y", "length", usage=8)], CONTINUOUS, 4, COMPLETED, (True, False)),  # more than asked
        ([chunk(n=1), chunk(n=2), chunk("z", "length", n=3, usage=2)], TIMINGS, 3, SHORT, (False, False)),  # usage too low
        ([chunk(n=3), chunk(n=2), chunk("z", "length", n=4)], TIMINGS, 4, COMPLETED, (True, False)),  # counts go backwards
        ([chunk(n=1), chunk(n=1), chunk(n=1), chunk("z", "length", n=9, usage=9)], TIMINGS, 9, COMPLETED, (False, True)),  # counts stand, then jump
        ([chunk(), chunk(), chunk("z", "length", usage=2)], FINAL, 3, SHORT, (True, True)),  # fewer tokens than chunks
        ([chunk(), chunk("z", "length", usage=5)], FINAL, 4, COMPLETED, (True, True)),  # more than asked, in total only
        ([chunk(usage=1), chunk("y", "stop", usage=2)], CONTINUOUS, 4, SHORT, (False, False)),
    ],
)  # fmt: skip
def test_counts_that_contradict_each_other_are_marked(data, preset, asked, status, marks):
    """As disagreeing, estimated or short: never silently."""
    log = replayed([*data, "[DONE]"], preset, asked)
    assert row(log)["status"] == status
    assert (bool(log.disagreeing), log.estimated) == marks or (status == SHORT and log.disagreeing)


@pytest.mark.parametrize(
    ("data", "preset", "error"),
    [
        ([chunk(), "[DONE]"], FINAL, "the stream ended with [DONE] but without a finish_reason, after 1 chunks of text"),
        ([chunk(usage=1), chunk(usage=2)], CONTINUOUS, "the stream ended without a finish_reason, after 2 of 4 tokens"),
        ([chunk(), chunk("", "length"), "[DONE]"], CONTINUOUS, "does not report how many tokens"),
        ([chunk(), chunk("", "length", usage=0)], FINAL, "does not report how many tokens"),
        ([chunk(n=1), chunk(), chunk(), chunk("", "length")], TIMINGS, "does not report how many tokens"),
        ([chunk(usage=1), chunk("", "abort", usage=1)], CONTINUOUS, "ended the answer with the finish_reason abort"),
        ([], FINAL, "the response has no chunk of an answer"),
        (["[DONE]"], FINAL, "the response has no chunk of an answer"),
        ([chunk(), json.dumps({"error": {"message": "out of  memory", "code": 500}}), "[DONE]"], FINAL, "reports an error in the stream: out of memory"),
        ([json.dumps({"error": "Input validation error", "error_type": "validation"})], FINAL, "reports an error in the stream: Input validation"),
        (['{"error": "it is "no""}'], FINAL, 'holds data that is not JSON: {"error": "it is "no""}'),
        (['{"choices": 3}'], FINAL, "choices are no list of objects"),
        (["[1]"], FINAL, "no chunk"),
        (["[" * 100_000], FINAL, "not JSON"),
        (['{"object": "error", "message": "bad"}'], FINAL, "in the stream: bad"),
    ],
)  # fmt: skip
def test_streams_that_are_no_complete_answer(data, preset, error):
    """The request has failed, with a sentence; its tokens are not counted."""
    log = replayed(data, preset, 4)
    assert row(log)["status"] == FAILED
    assert error in next(iter(log.errors))
    assert not log.completions().size


def test_text_after_done_counts():
    """An early `[DONE]` changes nothing: what comes after it is part of the answer."""
    log = replayed([chunk(usage=1), "[DONE]", chunk(usage=2), chunk("", "length", usage=2)], CONTINUOUS, 2)
    assert row(log)["status"] == COMPLETED and list(log.completions()[2]) == [1, 1]


def test_an_answer_that_was_cut_keeps_its_tokens():
    """Up to the cut."""
    log = TokenLog()
    answer = AnswerStream(log, log.sent(0, 0, 9), 9, CONTINUOUS)
    for n in (1, 2):
        answer.chunk(chunk(usage=n), n)
    answer.cut(5)
    assert row(log)["status"] == CUT and row(log)["output_tokens"] == 2 and row(log)["end_ns"] == 5
    assert log.completions()[2].sum() == 2


def test_values_of_other_types_are_not_reported():
    """A count that is text, a Boolean, negative or beyond reason is no count; nor is such a duration."""
    for prefill_ms in ("1", -1, 1e300, float("nan"), float("inf")):
        data = [json.dumps({"choices": [{"text": "a", "finish_reason": "length"}], "timings": {"predicted_n": 1, "prompt_ms": prefill_ms}})]
        assert row(replayed(data, TIMINGS, 1))["prefill_ns"] == -1
    for usage in ("4", True, -1, None, 2.5, 10**30):
        data = [chunk("a", "length", timings=None), json.dumps({"choices": None, "usage": {"completion_tokens": usage}})]
        assert "does not report" in next(iter(replayed(data, FINAL, 4).errors))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"error": {"message": "a\nb"}}, "a b"),
        ({"error": "c"}, "c"),
        ({"detail": [{"loc": ["body", "ignore_eos"], "msg": "extra"}]}, '[{"loc": ["body", "ignore_eos"], "msg": "extra"}]'),
        ({"message": "d"}, "d"),
        ({"error": {"code": 5}}, '{"code": 5}'),
        ({}, None),
        (["x"], None),
    ],
)
def test_messages_of_errors(answer, text):
    """Of the usual forms of an error's body."""
    assert error_text(answer) == text
    assert len(shortened("x" * 999)) == 200


def test_every_preset_has_a_stream():
    """Presets that share their stream with another one are named here."""
    same = {"llama-server": "xllamacpp", "openai": "ollama"}
    stored = {path.stem.split("_")[0] for path in STREAMS.glob("*.sse")}
    assert {same.get(name, name) for name in PRESETS} <= stored
