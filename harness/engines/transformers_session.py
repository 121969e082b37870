"""Text generation in this process, in static batches: a batch runs until its longest answer is complete, then the next one begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engines.transformers_decoder import Decoder
from harness.errors import EngineError
from harness.formats.libraries import library_errors
from harness.schema import Kernel
from harness.serving.base import Load, Prompt, Reply, TokenSession
from harness.serving.log import COMPLETED, CUT, FAILED, End, TokenLog

ALL_FAIL = 100
"""So many prompts in a row that are longer than the context end the load."""
PROFILE_STEPS = 16
FAILS = ("the model fails while it generates", "lower `concurrency` or `lengths`, or leave the variant out")


class Tokenizer:
    """Text to tokens and back.

    Args:
        library: A tokenizer of transformers.
        start: Token of an empty prompt.
        size: Number of tokens that the model knows.
    """

    def __init__(self, library: Any, start: int, size: int) -> None:
        self._library, self._start, self._size = library, start, size

    def tokens(self, text: str) -> list[int]:
        """Tokens of a prompt, with those that the model expects at its beginning.

        Raises:
            EngineError: The model does not know one of them.
        """
        tokens = list(self._library(text)["input_ids"]) or [self._start]
        if max(tokens) >= self._size:
            raise EngineError(
                f"the tokenizer gives token {max(tokens)}, and the model has {self._size}", "use the model's own tokenizer", refused=True
            )
        return tokens

    def piece(self, token: int) -> str:
        """Text of a token; its name in the vocabulary where it is a part of a character."""
        text: str = self._library.decode([token])
        return str(self._library.convert_ids_to_tokens(token)) if "\ufffd" in text else text


@dataclass
class Loaded:
    """What a session is made of.

    Attributes:
        decoder: Generates.
        tokenizer: Text to tokens and back.
        context: Largest number of tokens of a prompt with its answer; None: not known.
        facts: Facts about the model and the libraries.
        counts: Further facts, read when they are asked for.
        precision: Precision that the parameters have.
        profiler: Kernels of calls of a function, within a time limit in seconds.
    """

    decoder: Decoder
    tokenizer: Tokenizer
    context: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    counts: Callable[[], dict[str, Any]] = dict
    precision: str | None = None
    profiler: Callable[[Callable[[Any], None], Sequence[Any], float], Sequence[Kernel]] | None = None


@dataclass
class _Request:
    """A request of a batch: its number in the log, tokens of its prompt, number of tokens to generate."""

    number: int
    row: list[int]
    asked: int


class TransformersSession(TokenSession):
    """A model of transformers.

    Args:
        loaded: The model.
        slots: Number of sequences in a batch; a smaller one is filled up with copies, so that all have one shape.
    """

    def __init__(self, loaded: Loaded, slots: int) -> None:
        self._loaded, self._slots = loaded, slots
        self._decoder, self._tokenizer = loaded.decoder, loaded.tokenizer
        self._rows: list[list[int]] = []
        self._too_long = 0

    def run(self, load: Load) -> None:
        """Generate batch after batch until the load ends."""
        while not load.stop():
            if batch := self._next_batch(load):
                self._rows = [request.row for request in batch]
                self._generate(batch, load)

    def _next_batch(self, load: Load) -> list[_Request]:
        """Take prompts for all slots; those that are too long for the context fail, and others take their place.

        Raises:
            EngineError: None of the last prompts fits into the context.
        """
        batch: list[_Request] = []
        while len(batch) < self._slots:
            taken = [next(load.prompts) for _ in range(self._slots - len(batch))]
            now = time.monotonic_ns()
            numbers = [load.log.sent(now, now, prompt.output_tokens) for prompt in taken]
            for number, prompt in zip(numbers, taken, strict=True):
                row = self._tokenizer.tokens(prompt.text)
                if self._fits(row, prompt):
                    batch.append(_Request(number, row, prompt.output_tokens))
                    self._too_long = 0
                else:
                    self._fail(load.log, number, row, prompt)
            if len(batch) < self._slots and load.stop():
                for request in batch:
                    load.log.ended(request.number, time.monotonic_ns(), End(CUT, prompt_tokens=len(request.row)))
                return []
        return batch

    def _fits(self, row: Sequence[int], prompt: Prompt) -> bool:
        return self._loaded.context is None or len(row) + prompt.output_tokens <= self._loaded.context

    def _fail(self, log: TokenLog, number: int, row: Sequence[int], prompt: Prompt) -> None:
        what = f"a prompt and its answer are longer than the model's context of {self._loaded.context} tokens"
        log.ended(number, time.monotonic_ns(), End(FAILED, prompt_tokens=len(row)), error=what)
        self._too_long += 1
        if self._too_long >= ALL_FAIL:
            raise EngineError(f"{what}: the last {ALL_FAIL}, such as {len(row)} + {prompt.output_tokens} tokens", "lower `lengths`")

    def _generate(self, batch: Sequence[_Request], load: Load) -> None:
        """Generate until the longest answer of a batch is complete, or the time to drain is over."""
        began_ns, cut_at_s = time.monotonic_ns(), None
        longest = max(request.asked for request in batch)
        with library_errors(*FAILS):
            self._decoder.start([request.row for request in batch], longest)
        now_ns = time.monotonic_ns()
        prefill_s = (now_ns - began_ns) * 1e-9
        running = list(batch)
        for produced in range(1, longest + 1):
            for request in running:
                load.log.tokens(request.number, now_ns, 1)
                if request.asked == produced:
                    load.log.ended(request.number, now_ns, _end(COMPLETED, request, produced, prefill_s))
            running = [request for request in running if request.asked > produced]
            if cut_at_s is None and load.stop():
                cut_at_s = time.monotonic() + load.drain_s
            if running and cut_at_s is not None and time.monotonic() >= cut_at_s:
                for request in running:
                    load.log.ended(request.number, time.monotonic_ns(), _end(CUT, request, produced, prefill_s))
                return
            if running:
                with library_errors(*FAILS):
                    self._decoder.step()
                now_ns = time.monotonic_ns()

    def answer(self, prompts: Sequence[Prompt], concurrency: int) -> list[Reply]:
        """Greedy answers, in batches of the shape of the load: at most `concurrency` prompts, and copies of them."""
        replies: list[Reply] = []
        size = min(concurrency, self._slots)
        for group in (prompts[start : start + size] for start in range(0, len(prompts), size)):
            rows = [self._tokenizer.tokens(prompt.text) for prompt in group]
            for row, prompt in zip(rows, group, strict=True):
                if not self._fits(row, prompt):
                    raise EngineError(
                        f"a prompt of {len(row)} tokens and an answer of {prompt.output_tokens} exceed the context of {self._loaded.context}",
                        "shorten the prompts of the quality check",
                        refused=True,
                    )
            replies += self._answer_group(rows, [prompt.output_tokens for prompt in group])
        return replies

    def _answer_group(self, rows: list[list[int]], asked: Sequence[int]) -> Iterator[Reply]:
        self._rows = [rows[index % len(rows)] for index in range(self._slots)]
        with library_errors(*FAILS):
            steps = list(self._steps(self._rows, max(asked)))
        for index, (row, length) in enumerate(zip(rows, asked, strict=True)):
            pieces = tuple(self._tokenizer.piece(tokens[index]) for tokens, _ in steps[:length])
            yield Reply(pieces, tuple(logprobs[index] for _, logprobs in steps[:length]), len(row))

    def _steps(self, rows: Sequence[Sequence[int]], count: int) -> Iterable[tuple[list[int], list[float]]]:
        self._decoder.start(rows, count)
        yield self._decoder.chosen()
        for _ in range(count - 1):
            self._decoder.step()
            yield self._decoder.chosen()

    def precision(self) -> str | None:
        """Type of the parameters, and that of quantized weights."""
        return self._loaded.precision

    def facts(self) -> dict[str, Any]:
        """Libraries, the model's types, attention, cache and compilation."""
        return {"batching": "static", **self._loaded.facts, **self._loaded.counts()}

    def profile(self, seconds: float) -> Sequence[Kernel]:
        """Kernels of a decoding step on the prompts of the last batch."""
        if self._loaded.profiler is None or not self._rows:
            return ()
        self._decoder.start(self._rows, PROFILE_STEPS + 1)
        return self._loaded.profiler(lambda _: self._decoder.step(), range(PROFILE_STEPS), seconds)

    def close(self) -> dict[str, Any]:
        """What was compiled until the end of the load."""
        return self._loaded.counts()


def _end(status: int, request: _Request, tokens: int, prefill_s: float) -> End:
    return End(status, output_tokens=tokens, prompt_tokens=len(request.row), cached_tokens=0, prefill_s=prefill_s)
