"""Prompts of a load: lengths that are drawn, synthetic text or texts of a file, none of them twice, reproducible from a seed."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SuiteError
from harness.schema.served import PromptFile, TokenLoad
from harness.serving.base import Prompt

_TEXT = (
    "the of and to in is that for with as was on are by this be from have or had not but what all were when we there can an your which their if do "
    "will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been "
    "its who now people my made over did down only way find use may water long little very after words called just where most know get through back "
    "much before go good new write our used me man too any day same right look think also around another came come work three word must because does "
    "part even place well such here take why things help put years different away again off went old number"
)
WORDS = _TEXT.split()
"""Common English words, of which synthetic prompts consist: most are one token each in vocabularies of English text."""
PREFIX_LETTERS = 6
PREFIXES = len(string.ascii_lowercase) ** PREFIX_LETTERS
STEP = 146_611_867
"""Odd and no multiple of 13, so that the prefixes of `PREFIXES` prompts in a row all differ; neighbours differ in their first letter."""


@dataclass(frozen=True)
class Tokenization:
    """How long texts are in tokens, as a server counts them.

    Attributes:
        tokens_per_character: Additional tokens for each character.
        extra_tokens: Tokens of a prompt besides its text, such as those of a chat's template.
    """

    tokens_per_character: float = 0.25
    extra_tokens: float = 0.0

    def characters(self, tokens: int) -> int:
        """Number of characters of a prompt of so many tokens, at least 1."""
        return max(1, round((tokens - self.extra_tokens) / self.tokens_per_character))


def calibrated(lengths: Sequence[tuple[int, int]]) -> Tokenization:
    """The line through measured lengths; through the origin if all texts have the same length.

    Args:
        lengths: Pairs of (characters of a prompt, tokens of it by the server's usage).

    Raises:
        SuiteError: No length is positive, or longer texts do not have more tokens.
    """
    measured = np.array([pair for pair in lengths if min(pair) > 0], dtype=np.float64)
    if not len(measured):
        raise SuiteError("the length of prompts in tokens is unknown: the server reports no prompt_tokens")
    characters, tokens = measured.T
    if len(set(characters)) == 1:
        return Tokenization(float(tokens.mean() / characters[0]))
    slope, extra = np.polyfit(characters, tokens, 1)
    if slope <= 0:
        raise SuiteError("the length of prompts in tokens is implausible: the server reports fewer prompt_tokens for longer prompts")
    return Tokenization(float(slope), float(extra)) if extra > 0 else Tokenization(float(tokens.sum() / characters.sum()))


def prompts(load: TokenLoad, tokenization: Tokenization, seed: int) -> Iterator[Prompt]:
    """Endless prompts, each of which begins with other letters, so that no cache of prefixes holds it.

    Args:
        load: Lengths, and the file of prompts.
        tokenization: How long texts are in tokens.
        seed: Seed of lengths and texts; prompts of different seeds differ.

    Raises:
        SuiteError: The file cannot be read, or is not the one of the suite.
    """
    texts = read_prompts(load.prompts) if load.prompts else None
    return _generated(load, tokenization, seed, texts)


def _generated(load: TokenLoad, tokenization: Tokenization, seed: int, texts: Sequence[str] | None) -> Iterator[Prompt]:
    generator = np.random.default_rng(seed)
    first = int(generator.integers(PREFIXES))
    order = generator.permutation(len(texts) if texts else 0)
    number = 0
    while True:
        input_tokens, output_tokens = (drawn_length(generator, mean, load.spread) for mean in (load.input_tokens, load.output_tokens))
        characters = tokenization.characters(input_tokens)
        prefix = _prefix(first + number)
        text = texts[order[number % len(order)]] if texts else _words(generator, characters)
        yield Prompt(f"{prefix} {text}"[: max(characters, PREFIX_LETTERS)], output_tokens)
        number += 1


def drawn_length(generator: np.random.Generator, mean: int, spread: float) -> int:
    """An integer from a uniform distribution around a mean, at least 1.

    Args:
        generator: Source of random numbers.
        mean: Mean of the distribution, which holds exactly.
        spread: Half its width relative to the mean, 0 to 1.
    """
    half = min(int(mean * spread), mean - 1)
    return int(generator.integers(mean - half, mean + half + 1))


def read_prompts(file: PromptFile) -> list[str]:
    """The texts of a file of prompts.

    Args:
        file: JSON objects, one in each line or a list of them: `{"prompt": ...}`, `{"messages": [{"role": ..., "content": ...}]}` of which the text of
            all messages is taken, or ShareGPT's `{"conversations": [{"from": "human", "value": ...}]}` of which the first turn of the user is taken.

    Raises:
        SuiteError: The file cannot be read, has another content than in the suite, or has no prompt; the line is named.
    """
    path = Path(file.path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SuiteError(f"the file of prompts cannot be read: {error.strerror} ({path})") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SuiteError(f"the file of prompts has changed since the suite was read ({path})", "start a new run")
    texts = [_text(entry, f"{path}, {place}") for entry, place in _entries(content, path)]
    if not texts:
        raise SuiteError(f"the file of prompts is empty ({path})")
    return texts


def _entries(content: bytes, path: Path) -> Iterator[tuple[Any, str]]:
    """Each entry with its place in the file."""
    if content.lstrip()[:1] == b"[":
        entries = _json(content, str(path))
        yield from ((entry, f"entry {number}") for number, entry in enumerate(entries, 1))
        return
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield _json(line, f"{path}, line {number}"), f"line {number}"


def _json(content: bytes, place: str) -> Any:
    try:
        return json.loads(content)
    except UnicodeDecodeError:
        raise SuiteError(f"the file of prompts is not UTF-8 ({place})") from None
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"the file of prompts has no JSON here: {error} ({place})") from None


def _text(entry: Any, place: str) -> str:
    text = entry
    if isinstance(entry, Mapping):
        if "prompt" in entry:
            text = entry["prompt"]
        elif "messages" in entry:
            text = _joined(entry["messages"], "content")
        elif "conversations" in entry:
            text = _first_of_user(entry["conversations"])
        else:
            text = None
    elif not isinstance(entry, str):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise SuiteError(
            f"no prompt in the file of prompts ({place})", 'write {"prompt": "text"}, or "messages", or ShareGPT\'s "conversations"'
        )
    return text


def _joined(messages: Any, key: str) -> str | None:
    if not isinstance(messages, list) or not all(
        isinstance(message, Mapping) and isinstance(message.get(key), str) for message in messages
    ):
        return None
    return "\n".join(message[key] for message in messages)


def _first_of_user(turns: Any) -> str | None:
    if not isinstance(turns, list):
        return None
    mappings = [turn for turn in turns if isinstance(turn, Mapping)]
    return next((turn.get("value") for turn in mappings if turn.get("from") in ("human", "user")), None)


def _prefix(number: int) -> str:
    """Letters that differ for each number below `PREFIXES`."""
    rest, letters = number * STEP % PREFIXES, []
    for _ in range(PREFIX_LETTERS):
        rest, letter = divmod(rest, len(string.ascii_lowercase))
        letters.append(string.ascii_lowercase[letter])
    return "".join(letters)


def _words(generator: np.random.Generator, characters: int) -> str:
    """Random words, at least of so many characters."""
    words: list[str] = []
    missing = characters
    while missing > 0:
        words += (WORDS[index] for index in generator.integers(len(WORDS), size=missing // 5 + 1))
        missing = characters - sum(map(len, words)) - len(words)
    return " ".join(words)
