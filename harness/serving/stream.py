"""A streamed answer: its chunks, as JSON, counted into the log of tokens.

`[DONE]` proves nothing: an answer is complete if it has a `finish_reason` of a normal end and as many tokens as were asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.serving.log import COMPLETED, CUT, FAILED, End, TokenLog
from harness.serving.presets import Preset

DONE = "[DONE]"
NORMAL_ENDS = ("length", "stop", "eos_token", "stop_sequence", "tool_calls", "function_call")
"""Values of `finish_reason` with which an answer is complete; `length` if as many tokens were generated as asked."""
MAX_TEXT = 200
"""Characters of a server's message that are kept."""
TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "tool_calls")
"""Keys of a chat's `delta` that hold generated text."""
CACHED_TOKENS = ("usage", "prompt_tokens_details", "cached_tokens")
"""Path of keys to the cached tokens of a prompt in the API of OpenAI."""


class StreamError(Exception):
    """A stream that is no complete answer; the message is a sentence."""


class AnswerStream:
    """The chunks of one answer.

    Args:
        log: Log that the tokens and the end are written to.
        request: Number of the request in the log.
        asked_tokens: Number of tokens that it asks for.
        preset: Where the server reports its counts.

    Attributes:
        done: Whether `[DONE]` was read.
        error: Why it has failed; None if it has not.
    """

    def __init__(self, log: TokenLog, request: int, asked_tokens: int, preset: Preset) -> None:
        self._log = log
        self._request = request
        self._asked = asked_tokens
        self._preset = preset
        self._count = 0  # tokens so far by the counts in the stream
        self._counting: bool | None = None  # whether the stream has such counts; None: not known yet
        self._wrong = False
        self._texts = self._uncounted_texts = 0
        self._finish: str | None = None
        self._last_ns: int | None = None
        paths = (preset.prefill_ms, preset.cached_tokens, CACHED_TOKENS)
        self._kept = {path[0] for path in paths if path} | ({"timings"} if preset.tokens_from == "timings_predicted_n" else set())
        self._latest: dict[str, Any] = {}
        self.done = False
        self.error: str | None = None

    def chunk(self, data: str, t_ns: int) -> None:
        """Count an event of the stream.

        Args:
            data: Its data: JSON, or `[DONE]`.
            t_ns: When it was read.

        Raises:
            StreamError: It is no JSON, or reports an error.
        """
        if data == DONE or not data.strip():
            self.done = self.done or data == DONE
            return
        chunk = _parsed(data)
        for key in self._kept:
            if chunk.get(key):
                self._latest[key] = chunk[key]
        choices = chunk.get("choices")
        if choices:
            has_text, finish = _content(choices[0])
            self._arrived(_number(self._so_far(chunk)) if self._finish is None else None, has_text, t_ns)
            self._finish = finish or self._finish
        self._last_ns = t_ns

    def ended(self, t_ns: int) -> None:
        """Log the end of the stream, as a failure if the answer is not complete."""
        end_ns = t_ns if self._last_ns is None else self._last_ns
        total = self._total()
        if problem := self._problem(total):
            self.failed(end_ns, problem)
            return
        assert total is not None
        if self._counting and self._stalled:
            self._log.spread(self._request)
        by_chunks = not self._counting or self._stalled
        self._wrong = self._wrong or total > self._asked or (by_chunks and total < self._texts)
        self._log.ended(self._request, end_ns, self._end(COMPLETED, total), disagrees=self._wrong)

    def failed(self, t_ns: int, error: str) -> None:
        """Log a failure with its reason, which is kept in `error`."""
        self.error = error
        self._log.ended(self._request, t_ns, self._end(FAILED, self._total()), error=error)

    def cut(self, t_ns: int) -> None:
        """Log that we have cut it off."""
        self._log.ended(self._request, t_ns, self._end(CUT, self._count if self._counting else None), disagrees=self._wrong)

    @property
    def tokens(self) -> str:
        """How far it came, for messages."""
        return f"{self._count} of {self._asked} tokens" if self._counting else f"{self._texts} chunks of text"

    @property
    def _stalled(self) -> bool:
        """Whether the counts do not follow the text: more than a tenth of it, and more than one chunk, came without a higher count."""
        return self._uncounted_texts > max(1, self._texts / 10)

    def _so_far(self, chunk: Mapping[str, Any]) -> Any:
        """Cumulative number of tokens in a chunk; None: it has none."""
        if self._preset.tokens_from == "timings_predicted_n":
            return _at(chunk, ("timings", "predicted_n"))
        return _at(chunk, ("usage", "completion_tokens")) if self._preset.tokens_from == "continuous_usage" else None

    def _arrived(self, count: int | None, has_text: bool, t_ns: int) -> None:
        if self._counting is None and (count or has_text):
            self._counting = bool(count)
        if not self._counting:
            if has_text:
                self._texts += 1
                self._log.tokens(self._request, t_ns, 1, relative=True)
            return
        new = 0 if count is None else count - self._count
        self._wrong = self._wrong or new < 0
        self._texts += has_text
        self._uncounted_texts += has_text and new <= 0
        if has_text or new > 0:
            self._log.tokens(self._request, t_ns, max(new, 0), text=has_text)
        self._count += max(new, 0)

    def _total(self) -> int | None:
        """Number of generated tokens by the usage, else by the counts in the stream; None: not reported, or 0 despite text."""
        total = _number(_at(self._latest, ("usage", "completion_tokens")))
        if total is None and not self._counting:
            total = _number(_at(self._latest, ("timings", "predicted_n")))
        elif total is None and not self._stalled:
            total = self._count
        return None if total == 0 and self._texts else total

    def _problem(self, total: int | None) -> str | None:
        if self._finish is None:
            if self._last_ns is None:
                return "the response has no chunk of an answer"
            return f"the stream ended {'with [DONE] but ' if self.done else ''}without a finish_reason, after {self.tokens}"
        if self._finish not in NORMAL_ENDS:
            return f"the server ended the answer with the finish_reason {shortened(self._finish)}"
        if total is None:
            return "the server does not report how many tokens it generated (no usage in the stream)"
        return None

    def _end(self, status: int, output_tokens: int | None) -> End:
        prefill_ms = _at(self._latest, self._preset.prefill_ms)
        return End(
            status,
            output_tokens=output_tokens,
            prompt_tokens=_number(_at(self._latest, ("usage", "prompt_tokens"))),
            cached_tokens=_number(_at(self._latest, self._preset.cached_tokens or CACHED_TOKENS)),
            prefill_s=prefill_ms * 1e-3 if isinstance(prefill_ms, int | float) and prefill_ms >= 0 else None,
        )


def error_text(answer: Any) -> str | None:
    """The message of an error in an answer of a server, shortened; None if it has none.

    Args:
        answer: The answer as parsed JSON: `{"error": {"message": ...}}`, `{"error": ...}`, `{"detail": ...}` or `{"message": ...}`.
    """
    if not isinstance(answer, Mapping):
        return None
    for key in ("error", "detail", "message"):
        if value := answer.get(key):
            message = value.get("message") if isinstance(value, Mapping) else value
            return shortened(message if isinstance(message, str) else json.dumps(value))
    return None


def shortened(text: str) -> str:
    """Text on one line, at most `MAX_TEXT` characters of it."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 3] + "..."


def _parsed(data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError):
        raise StreamError(f"the stream holds data that is not JSON: {shortened(data)}") from None
    if not isinstance(chunk, dict):
        raise StreamError(f"the stream holds data that is no chunk: {shortened(data)}")
    if chunk.get("error"):
        raise StreamError(f"the server reports an error in the stream: {error_text(chunk)}")
    if chunk.get("object") == "error":
        raise StreamError(f"the server reports an error in the stream: {error_text(chunk) or shortened(data)}")
    if not isinstance(chunk.get("choices"), list | None) or not all(isinstance(choice, dict) for choice in chunk.get("choices") or ()):
        raise StreamError(f"the stream holds a chunk whose choices are no list of objects: {shortened(data)}")
    return chunk


def _content(choice: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether a choice holds generated text, and its `finish_reason`."""
    delta = choice.get("delta")
    has_text = any(map(delta.get, TEXT_FIELDS)) if isinstance(delta, Mapping) else bool(choice.get("text"))
    finish = choice.get("finish_reason")
    return has_text, str(finish) if finish else None


def _at(value: Any, path: Sequence[str]) -> Any:
    """The value at a path of keys; None if there is none, or the path is empty."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if path else None


def _number(value: Any) -> int | None:
    """A count of at least 0, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


__all__ = ["DONE", "AnswerStream", "StreamError", "error_text", "shortened"]
