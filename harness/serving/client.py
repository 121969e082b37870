"""Client of a server with the API of OpenAI: requests of a load and of the quality check over one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import resource
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from harness.errors import EngineError
from harness.serving import metrics
from harness.serving.base import Endpoint, Load, Prompt, Reply, ServerTotals, TokenSession
from harness.serving.load import drive
from harness.serving.log import TokenLog
from harness.serving.presets import Preset, length_fields
from harness.serving.stream import AnswerStream, StreamError, error_text, shortened
from harness.serving.transport import ReadClock, Transport

Api = Literal["completions", "chat"]
PATHS: Mapping[Api, str] = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}

CONNECT_S = 10.0
SILENCE_S = 300.0
"""Time without a byte of an answer after which a request has failed; a long queue or prompt is silent for long."""
AFTER_DONE_S = 1.0
"""Time that a response may go on after `[DONE]`."""
KEPT_S = 2.0
"""Idle connections are closed after this time, before servers do it: uvicorn and llama.cpp after 5 s."""
MAX_IN_PROGRESS = 4096
FEWEST_FAILURES = 20
"""So many requests that fail in a row end the load; at least two for each stream."""
NEWS_S = 0.2
"""Time after which a server's death is known; its connections are closed before, s."""
TOTALS_S = 1.0
HINTS = {
    "HTTP 400": "shorten lengths, or raise the option context, if the prompt and its answer do not fit",
    "HTTP 401": "set HARNESS_API_KEY to the server's key",
    "HTTP 403": "set HARNESS_API_KEY to the server's key",
    "HTTP 404": "set the options served_name and api to what the server has",
    "HTTP 422": "choose the preset of this server: others send fields that it does not know",
    "the server does not report": "choose the preset of this server, or a server that sends usage in its stream",
}
"""Next step by the begin of a failure's reason."""
NOT_ANSWERED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""What a kept connection that the server has closed meanwhile gives."""


class OpenAiSession(TokenSession):
    """A server that runs.

    Args:
        url: Address of the server, without `/v1`.
        preset: What is known of it.
        model: Name of the model in its requests.
        api: Path that is used; None: the first one of the preset.
        key: Key that is sent as `Authorization: Bearer`; None: none.
        died: Why the server's process has ended; None as long as it runs or is not ours.
        stop: Ends the server after the connections were closed; returns facts about its end.
        silence_s: Time without a byte of an answer after which a request has failed.
    """

    def __init__(
        self,
        url: str,
        preset: Preset,
        model: str,
        *,
        api: Api | None = None,
        key: str | None = None,
        died: Callable[[], str | None] = lambda: None,
        stop: Callable[[], dict[str, Any]] = dict,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._preset = preset
        self._model = model
        self._api: Api = api or preset.apis[0]
        self._died = died
        self._stop = stop
        self._facts: dict[str, Any] = {"api": PATHS[self._api]}
        self._runner = asyncio.Runner()
        self._clock = ReadClock()
        self._most = _raised_file_limit()
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"accept-encoding": "identity"} | ({"authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx.Timeout(silence_s, connect=CONNECT_S, pool=None),
            transport=Transport(
                KEPT_S, self._clock, verify=not url.startswith("http:")
            ),  # reading certificates takes 0.1 s, and http has none
            trust_env=False,  # a proxy of the environment would be part of the measurement
        )

    def run(self, load: Load) -> None:
        """Send the requests of a load until it stops; `harness.serving.load`."""
        self._runner.run(self._load(load))
        self._facts["retried_requests"] = self._facts.get("retried_requests", 0) + load.log.retries

    def answer(self, prompts: Sequence[Prompt], concurrency: int) -> list[Reply]:
        """Greedy answers, with the log-likelihood of each token where the server reports it."""
        return self._runner.run(self._answers(prompts, concurrency))

    def endpoint(self) -> Endpoint:
        """Where another client can reach the server."""
        return Endpoint(str(self._client.base_url).rstrip("/") + PATHS[self._api], self._model, self._api == "chat")

    def totals(self) -> ServerTotals | None:
        """The counts of the server's metrics; None if it has none, or does not answer within a second."""
        return self._runner.run(self._totals())

    def facts(self) -> dict[str, Any]:
        """Path of the requests, requests that were sent again, and whether the usage agrees with the tokens of the greedy answers."""
        return dict(self._facts)

    def close(self) -> dict[str, Any]:
        """Close all connections, then end the server."""
        try:
            if not self._client.is_closed:
                self._runner.run(self._client.aclose())
            self._runner.close()
        finally:
            ending = self._stop()
        return ending

    # --- load ---

    async def _load(self, load: Load) -> None:
        failures = _Failures(max(FEWEST_FAILURES, 2 * (load.requests.concurrency or 0)))
        readings = asyncio.create_task(self._read_totals(load))

        async def send(due_ns: int, prompt: Prompt) -> bool:
            error = await self._request(load.log, due_ns, prompt)
            failures.note(error)
            return error is None

        def watch() -> None:
            reason = self._died()
            if reason is None and failures.many:
                time.sleep(NEWS_S)
                reason = self._died()
            if reason:
                raise EngineError(f"the server has died: {reason}")
            failures.check(self._preset.title)

        try:
            await drive(load, send, watch, self._most)
        finally:
            readings.cancel()
            await asyncio.gather(readings, return_exceptions=True)

    async def _request(self, log: TokenLog, due_ns: int, prompt: Prompt) -> str | None:
        """Send a request and log all of it; the reason if it has failed."""
        body = json.dumps(self._body(prompt) | {"stream": True}).encode()
        number = log.sent(due_ns, time.monotonic_ns(), prompt.output_tokens)
        answer = AnswerStream(log, number, prompt.output_tokens, self._preset)
        try:
            try:
                await self._stream(body, answer)
            except _NotAnsweredError:
                log.retries += 1
                await self._stream(body, answer)
            answer.ended(time.monotonic_ns())
            return answer.error
        except (StreamError, httpx.HTTPError, SSEError, _NotAnsweredError) as error:
            reason = _reason(error, answer)
            answer.failed(time.monotonic_ns(), reason)
            return reason
        except asyncio.CancelledError:
            answer.cut(time.monotonic_ns())
            raise

    async def _stream(self, body: bytes, answer: AnswerStream) -> None:
        """Read one response to its end.

        Raises:
            _NotAnsweredError: No byte of a response has arrived.
        """
        answered = False
        try:
            async with self._client.stream("POST", PATHS[self._api], content=body, headers=JSON) as response:
                answered = True
                if response.status_code != httpx.codes.OK:
                    raise StreamError(_refusal(response.status_code, await response.aread()))
                async with contextlib.aclosing(EventSource(response).aiter_sse()) as events:
                    async for event in events:
                        answer.chunk(event.data, self._clock.now_ns)
                        if answer.done:
                            break
                    await _rest(events, answer, self._clock)
        except NOT_ANSWERED as error:
            if answered:
                raise
            raise _NotAnsweredError(str(error)) from error

    async def _read_totals(self, load: Load) -> None:
        while True:
            if (totals := await self._totals()) is None and self._preset.metrics_path is None:
                return
            if totals is not None:
                load.totals.append(totals)
            await asyncio.sleep(TOTALS_S)

    async def _totals(self) -> ServerTotals | None:
        if self._preset.metrics_path is None:
            return None
        try:
            response = await self._client.get(self._preset.metrics_path, timeout=TOTALS_S)
        except httpx.HTTPError:
            return None
        t_ns = time.monotonic_ns()
        if response.status_code != httpx.codes.OK:
            return None
        return metrics.totals(response.text, t_ns, self._preset.generated_metric, self._preset.running_metric)

    # --- greedy answers ---

    async def _answers(self, prompts: Sequence[Prompt], concurrency: int) -> list[Reply]:
        replies: list[Reply | None] = [None] * len(prompts)
        waiting = iter(enumerate(prompts))

        async def work() -> None:
            for index, prompt in waiting:
                replies[index] = await self._reply(prompt)

        workers = [asyncio.create_task(work()) for _ in range(max(1, min(concurrency, len(prompts))))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return [reply for reply in replies if reply is not None]

    async def _reply(self, prompt: Prompt) -> Reply:
        body = self._body(prompt)
        body.pop("stream_options", None)
        logprobs = {"logprobs": 1} if self._api == "completions" else {"logprobs": True}
        if self._facts.get("logprobs") is not False:
            response = await self._post(body | logprobs)
            self._facts.setdefault("logprobs", response.status_code == httpx.codes.OK)
            if response.status_code not in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
                return self._parsed(response, prompt)
        return self._parsed(await self._post(body), prompt)

    async def _post(self, body: Mapping[str, Any]) -> httpx.Response:
        content = json.dumps(body).encode()
        try:
            try:
                return await self._client.post(PATHS[self._api], content=content, headers=JSON)
            except NOT_ANSWERED:
                return await self._client.post(PATHS[self._api], content=content, headers=JSON)
        except httpx.HTTPError as error:
            reason = self._died()
            raise EngineError(f"the server has died: {reason}" if reason else f"{self._preset.title}: {_reason(error)}") from error

    def _parsed(self, response: httpx.Response, prompt: Prompt) -> Reply:
        if response.status_code != httpx.codes.OK:
            refusal = _refusal(response.status_code, response.content)
            raise EngineError(f"{self._preset.title} does not answer: {refusal}", _hint(refusal))
        try:
            reply, output_tokens = _reply_of(response.json())
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise EngineError(f"{self._preset.title} gives an answer that cannot be read: {shortened(response.text)}") from None
        if reply.logprobs and output_tokens is not None:
            agrees = self._facts.get("usage_agrees_with_logprobs", True)
            self._facts["usage_agrees_with_logprobs"] = agrees and len(reply.tokens) == output_tokens
        return reply

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        """A greedy request: the same work in every run, and no random sampling in the measurement."""
        text: dict[str, Any]
        text = {"prompt": prompt.text} if self._api == "completions" else {"messages": [{"role": "user", "content": prompt.text}]}
        length = {"max_tokens": prompt.output_tokens, **length_fields(self._preset, prompt.output_tokens)}
        return {"model": self._model, **text, "temperature": 0, **self._preset.fields, **length}


JSON = {"content-type": "application/json"}


class _NotAnsweredError(Exception):
    """The connection was closed before any byte of the response."""


class _Failures:
    """Requests that failed in a row."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._error = ""

    def note(self, error: str | None) -> None:
        """Count the end of a request."""
        self._count = 0 if error is None else self._count + 1
        self._error = error or ""

    @property
    def many(self) -> bool:
        """Whether so many have failed that the load must end."""
        return self._count >= self._most

    def check(self, title: str) -> None:
        """Raise if the server refuses every request."""
        if self.many:
            raise EngineError(f"{title} answers no request: {self._count} in a row failed, the last one: {self._error}", _hint(self._error))


async def _rest(events: AsyncIterator[ServerSentEvent], answer: AnswerStream, clock: ReadClock) -> None:
    """Read what comes after `[DONE]`, so that the connection can be kept, but do not wait for it."""
    try:
        async with asyncio.timeout(AFTER_DONE_S):
            async for event in events:
                answer.chunk(event.data, clock.now_ns)
    except TimeoutError:
        pass


def _reply_of(answer: Mapping[str, Any]) -> tuple[Reply, int | None]:
    """A reply and its number of tokens by the usage, from an answer in either form of the API."""
    choice = answer["choices"][0]
    text = choice["message"].get("content") if "message" in choice else choice["text"]
    usage = answer.get("usage") or {}
    tokens, values = _logprobs(choice.get("logprobs") or {})
    if any(value is None or not math.isfinite(value) for value in values) or len(values) != len(tokens):
        values = ()
    reply = Reply(tokens=tokens or tuple(text or ""), logprobs=values, prompt_tokens=usage.get("prompt_tokens"))
    return reply, usage.get("completion_tokens")


def _logprobs(value: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Tokens and their log-likelihoods: `content` of chat (and of llama.cpp), `tokens` and `token_logprobs` of completions."""
    if content := value.get("content"):
        return tuple(token["token"] for token in content), tuple(token["logprob"] for token in content)
    return tuple(value.get("tokens") or ()), tuple(value.get("token_logprobs") or ())


def _refusal(status: int, body: bytes) -> str:
    """Sentence about a response with another status than 200."""
    text = body.decode(errors="replace")
    try:
        message = error_text(json.loads(text))
    except ValueError:
        message = None
    return f"HTTP {status}: {message or shortened(text) or 'no message'}"


def _reason(error: Exception, answer: AnswerStream | None = None) -> str:
    """Sentence about a request that has failed."""
    after = f" after {answer.tokens}" if answer is not None else ""
    if isinstance(error, StreamError):
        return str(error)
    if isinstance(error, SSEError):
        return f"the server does not stream: {shortened(str(error))}"
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"no connection to the server: {shortened(str(error)) or 'time-out'}"
    if isinstance(error, httpx.TimeoutException):
        return f"the server was silent for too long{after}"
    return f"the connection was cut{after}: {shortened(str(error)) or type(error).__name__}"


def _hint(reason: str) -> str:
    return next((hint for begin, hint in HINTS.items() if reason.startswith(begin)), "")


def _raised_file_limit() -> int:
    """Requests that may be in progress: each has a connection, which is an open file, of which as many are allowed as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_IN_PROGRESS + 256
    if soft < limit and soft != resource.RLIM_INFINITY:
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_IN_PROGRESS if soft == resource.RLIM_INFINITY else max(1, min(MAX_IN_PROGRESS, soft - 256))
