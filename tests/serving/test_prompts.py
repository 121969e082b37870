"""Prompts of a load: lengths, texts, files, and what is wrong with them."""

import hashlib
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SuiteError
from harness.schema.served import PromptFile, TokenLoad
from harness.serving import prompts as module
from harness.serving.prompts import Tokenization, calibrated, drawn_length, prompts, read_prompts


def load(**changes) -> TokenLoad:
    return TokenLoad(**({"concurrency": 1, "input_tokens": 40, "output_tokens": 20} | changes))


def taken(count: int, seed: int = 0, **changes):
    return list(itertools.islice(prompts(load(**changes), Tokenization(0.25), seed), count))


def file_of(tmp_path, content: bytes | str) -> PromptFile:
    data = content.encode() if isinstance(content, str) else content
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(data)
    return PromptFile(path=str(path), sha256=hashlib.sha256(data).hexdigest())


def test_no_prompt_is_sent_twice():
    """Each begins with other letters than all before; neighbours differ in the first one."""
    texts = [prompt.text for prompt in taken(2000)]
    assert len({text[:6] for text in texts}) == 2000
    assert np.mean([a[0] == b[0] for a, b in itertools.pairwise(texts)]) < 0.1


def test_a_seed_gives_the_same_prompts():
    """Another seed gives others."""
    assert taken(5, 1) == taken(5, 1)
    assert not {prompt.text for prompt in taken(50, 1)} & {prompt.text for prompt in taken(50, 2)}


def test_lengths_are_drawn_around_the_mean():
    """Within the spread, and independent of each other; fixed without a spread."""
    drawn = taken(4000)
    lengths, outputs = np.array([len(prompt.text) for prompt in drawn]) / 4, np.array([prompt.output_tokens for prompt in drawn])
    assert (lengths.min(), lengths.max(), outputs.min(), outputs.max()) == (20, 60, 10, 30)
    assert lengths.mean() == pytest.approx(40, rel=0.02) and outputs.mean() == pytest.approx(20, rel=0.02)
    assert abs(np.corrcoef(lengths, outputs)[0, 1]) < 0.1
    assert {(len(prompt.text), prompt.output_tokens) for prompt in taken(50, spread=0)} == {(160, 20)}


@given(mean=st.integers(1, 5000), spread=st.floats(0, 1), seed=st.integers(0, 5))
def test_a_length_is_at_least_one(mean, spread, seed):
    """And symmetric about the mean."""
    length = drawn_length(np.random.default_rng(seed), mean, spread)
    assert max(1, mean - mean * spread) <= length <= mean + mean * spread or spread == 0


def test_short_prompts_keep_their_prefix():
    """A prompt of one token cannot be both short and new: it is new."""
    assert len({prompt.text for prompt in taken(100, input_tokens=1)}) == 100


def test_lengths_are_calibrated_by_a_line():
    """Tokens besides the text, such as a chat's template, do not count as characters."""
    tokenization = calibrated([(100, 45), (200, 70), (400, 120)])
    assert (tokenization.tokens_per_character, tokenization.extra_tokens) == (pytest.approx(0.25), pytest.approx(20))
    assert tokenization.characters(70) == 200
    assert tokenization.characters(3) == 1
    assert calibrated([(100, 25), (100, 35)]) == Tokenization(0.3)
    assert calibrated([(100, 19), (200, 41)]).extra_tokens == 0


@pytest.mark.parametrize(
    ("lengths", "reason"), [([], "reports no prompt_tokens"), ([(10, 0)], "no prompt_tokens"), ([(10, 9), (20, 3)], "implausible")]
)
def test_lengths_that_cannot_be_calibrated(lengths, reason):
    """An error, no guess."""
    with pytest.raises(SuiteError, match=reason):
        calibrated(lengths)


LINES = (
    {"prompt": "one"}, {"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "two"}]},
    {"id": 3, "conversations": [{"from": "gpt", "value": "no"}, {"from": "human", "value": "three"}]}, "four",
)  # fmt: skip


@pytest.mark.parametrize("content", ["\n\n".join(map(json.dumps, LINES)) + "\r\n", json.dumps(LINES, indent=1)])
def test_files_of_prompts(tmp_path, content):
    """Lines or a list, in three forms."""
    assert read_prompts(file_of(tmp_path, content)) == ["one", "be kind\ntwo", "three", "four"]


def test_prompts_of_a_file_are_cut_and_repeated_with_new_prefixes(tmp_path):
    """In an order by the seed; longer texts are cut to the length that was drawn, shorter ones stay short."""
    file = file_of(tmp_path, "\n".join(json.dumps({"prompt": letter * 500}) for letter in "ABC") + '\n{"prompt": "D"}')
    drawn = taken(40, prompts=file)
    assert len({prompt.text for prompt in drawn}) == 40
    assert {prompt.text[7] for prompt in drawn[:4]} == set("ABCD")
    assert all(len(prompt.text) == 8 or 80 <= len(prompt.text) <= 240 for prompt in drawn)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"is empty \("),
        (b'{"prompt": "a"}\n{"prompt": \n', r"has no JSON here: .*line 2\)"),
        (b'{"prompt": "\xff"}', r"is not UTF-8 .*line 1\)"),
        (b'{"prompt": ""}', r"no prompt in the file of prompts .*line 1\)"),
        (b'\n\n{"text": "a"}', r"no prompt .*line 3\)"),
        (b'{"prompt": 3}', r"no prompt .*line 1\)"),
        (b'{"messages": [{"content": null}]}', "no prompt"),
        (b'{"messages": "a"}', "no prompt"),
        (b'{"conversations": [{"from": "gpt", "value": "a"}]}', "no prompt"),
        (b'{"conversations": {"from": "human"}}', "no prompt"),
        (b"3", "no prompt"),
        (b'[{"prompt": "a"}, {}]', r"no prompt .*entry 2\)"),
        (b'[{"prompt": "a"}', "has no JSON here"),
    ],
)
def test_files_that_are_wrong(tmp_path, content, reason):
    """A sentence with the line."""
    with pytest.raises(SuiteError, match=reason):
        read_prompts(file_of(tmp_path, content))


def test_files_that_are_missing_or_changed(tmp_path):
    """A run is about the file of its suite."""
    with pytest.raises(SuiteError, match=r"cannot be read: No such file or directory \("):
        prompts(load(prompts=PromptFile(path=str(tmp_path / "none"), sha256="")), Tokenization(), 0)
    with pytest.raises(SuiteError, match="has changed since the suite was read"):
        read_prompts(file_of(tmp_path, "a").model_copy(update={"sha256": "0"}))


def test_prefixes_differ_for_all_numbers():
    """The step has no divisor in common with their number."""
    assert np.gcd(module.STEP, module.PREFIXES) == 1
