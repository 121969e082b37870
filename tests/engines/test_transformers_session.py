"""Text generation in static batches, on a decoder without PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.engines.transformers_session import ALL_FAIL, Loaded, Tokenizer, TransformersSession
from harness.errors import EngineError
from harness.schema import Kernel
from harness.schema.served import REQUEST_COLUMNS, TokenLoad
from harness.serving.base import Load, Prompt
from harness.serving.log import COMPLETED, CUT, FAILED, TokenLog


class Letters:
    """A tokenizer with a token for each letter."""

    def __call__(self, text):
        """Numbers of the letters."""
        return {"input_ids": [ord(letter) for letter in text]}

    def decode(self, tokens):
        """The letters; half a character for 1."""
        return "".join("\ufffd" if token == 1 else chr(token) for token in tokens)

    def convert_ids_to_tokens(self, token):
        """The name of a token."""
        return f"<{token}>"


class Counting:
    """A decoder that continues each prompt with the letters after its last one."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.starts, self.steps, self.fails_at = [], 0, fails_at

    def start(self, rows, new_tokens):
        """Remember the batch."""
        self.starts.append(([list(row) for row in rows], new_tokens))
        self.last = [row[-1] + 1 for row in rows]

    def step(self):
        """The next letters."""
        self.steps += 1
        if self.steps == self.fails_at:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        self.last = [token + 1 for token in self.last]

    def chosen(self):
        """The last letters, all equally probable."""
        return list(self.last), [-1.0] * len(self.last)


def session(slots, decoder=None, **loaded):
    """A session of the decoder."""
    return TransformersSession(Loaded(decoder or Counting(), Tokenizer(Letters(), 97, 256), **loaded), slots)


def load(lengths, stop, *, concurrency, drain_s=10.0, text="abc"):
    """A load with answers of these lengths, over and over."""
    requests = TokenLoad(concurrency=concurrency, input_tokens=3, output_tokens=4)
    prompts = (Prompt(text, length) for length in itertools.cycle(lengths))
    return Load(requests, prompts, TokenLog(), stop, drain_s)


def after(calls):
    """A stop that is true from this call on."""
    count = itertools.count(1)
    return lambda: next(count) > calls


def columns(log):
    """The table of requests by column."""
    return dict(zip(REQUEST_COLUMNS, log.requests(), strict=True))


def test_each_sequence_and_step_has_one_token_up_to_its_own_length():
    """The longest answer decides how long a batch runs; the shorter ones have ended, and their further tokens are not counted."""
    decoder, given = Counting(), load([2, 5, 3], after(1), concurrency=3)
    session(3, decoder).run(given)
    table, tokens = columns(given.log), given.log.completions()
    assert table["output_tokens"].tolist() == [2, 5, 3] and set(table["status"]) == {COMPLETED}
    assert tokens[2].tolist() == [1] * 10 and len(np.unique(tokens[1])) == 5
    assert decoder.steps == 4 and decoder.starts == [([[97, 98, 99]] * 3, 5)]
    assert (np.diff(table["end_ns"][[0, 2, 1]]) > 0).all()
    assert table["prompt_tokens"].tolist() == [3] * 3 and table["cached_tokens"].tolist() == [0] * 3
    assert (table["prefill_ns"] >= 0).all() and given.log.disagreeing == 0


def test_the_next_batch_begins_when_the_longest_answer_has_ended():
    """So a slot whose answer is short stays empty until then."""
    given = load([1, 3], after(5), concurrency=2)
    session(2).run(given)
    table = columns(given.log)
    assert len(table["sent_ns"]) == 4
    assert table["sent_ns"][2] == table["sent_ns"][3] >= table["end_ns"][1] > table["end_ns"][0]


def test_after_the_stop_a_batch_is_completed_and_none_follows():
    """Within the time to drain."""
    given = load([4], after(2), concurrency=2)
    session(2).run(given)
    assert columns(given.log)["status"].tolist() == [COMPLETED] * 2 and columns(given.log)["output_tokens"].tolist() == [4, 4]


def test_without_time_to_drain_the_answers_are_cut_off_within_a_step():
    """Their tokens until then count."""
    decoder, given = Counting(), load([100], after(3), concurrency=2, drain_s=0.0)
    session(2, decoder).run(given)
    table = columns(given.log)
    assert table["status"].tolist() == [CUT] * 2 and table["output_tokens"].tolist() == [3, 3]
    assert given.log.completions()[2].sum() == 6 and decoder.steps == 2


def test_nothing_is_generated_after_an_early_stop():
    """Not even a prompt is taken."""
    given = load([4], lambda: True, concurrency=2)
    session(2).run(given)
    assert given.log.requests().shape[1] == 0


def test_a_prompt_that_exceeds_the_context_fails_and_another_takes_its_place():
    """Its batch has the asked size all the same."""
    decoder, given = Counting(), load([3, 9, 4], after(2), concurrency=2)
    session(2, decoder, context=8).run(given)
    assert columns(given.log)["status"].tolist() == [COMPLETED, FAILED, COMPLETED]
    assert given.log.errors == {"a prompt and its answer are longer than the model's context of 8 tokens": 1}
    assert len(decoder.starts[0][0]) == 2


def test_a_load_whose_prompts_all_exceed_the_context_ends():
    """With the lengths, not forever."""
    given = load([9], lambda: False, concurrency=2)
    with pytest.raises(EngineError, match=r"such as 3 \+ 9 tokens"):
        session(2, context=8).run(given)
    assert given.log.requests().shape[1] == ALL_FAIL


def test_a_stop_while_a_batch_is_collected_ends_the_load():
    """What was sent is cut off."""
    given = load([3, 9], after(1), concurrency=2)
    session(2, context=8).run(given)
    assert columns(given.log)["status"].tolist() == [CUT, FAILED]


def test_an_error_of_the_library_is_a_sentence():
    """With the reason, and what to change."""
    with pytest.raises(EngineError, match="the model fails while it generates: CUDA out of memory") as caught:
        session(1, Counting(fails_at=2)).run(load([9], lambda: False, concurrency=1))
    assert "lower `concurrency`" in caught.value.hint


def test_answers_are_pieces_of_text_with_their_logarithms():
    """In batches of the shape of the load, filled with copies; a part of a character has the name of its token."""
    decoder = Counting()
    replies = session(2, decoder).answer([Prompt("abc", 3), Prompt("x", 1), Prompt("k", 2), Prompt("\0", 1)], 8)
    assert [reply.tokens for reply in replies] == [("d", "e", "f"), ("y",), ("l", "m"), ("<1>",)]
    assert replies[0].logprobs == (-1.0,) * 3 and [reply.prompt_tokens for reply in replies] == [3, 1, 1, 1]
    session(4, decoder).answer([Prompt("abc", 3)], 1)
    assert decoder.starts[-1] == ([[97, 98, 99]] * 4, 3)
    assert session(1).answer([Prompt("", 1)], 1)[0].tokens == ("b",)


def test_an_answer_beyond_the_context_is_refused():
    """Before anything is generated."""
    with pytest.raises(EngineError, match="exceed the context of 4"):
        session(1, context=4).answer([Prompt("abc", 2)], 1)


def test_a_token_that_the_model_does_not_know_is_refused():
    """On a card it would end the process."""
    with pytest.raises(EngineError, match="the tokenizer gives token 8364, and the model has 256"):
        session(1).answer([Prompt("a\u20ac", 2)], 1)


def test_what_it_reports():
    """That its batches are static, the model's facts, counts at the time of asking, and the kernels of steps after a load."""
    kernels = (Kernel(op="aten::mm", precision="bfloat16", share=1.0),)
    calls = []

    def profiler(step, steps, seconds):
        for each in list(steps)[:2]:
            step(each)
        calls.append(seconds)
        return kernels

    decoder = Counting()
    opened = session(1, decoder, facts={"threads": 2}, counts=lambda: {"graphs": 1}, precision="bfloat16", profiler=profiler)
    assert opened.facts() == {"batching": "static", "threads": 2, "graphs": 1} and opened.close() == {"graphs": 1}
    assert opened.precision() == "bfloat16"
    assert opened.profile(0.5) == ()  # nothing was generated
    opened.run(load([1], after(1), concurrency=1))
    assert opened.profile(0.5) == kernels and calls == [0.5] and decoder.steps == 2
    assert session(1).profile(0.5) == ()
