"""A server with the API of OpenAI that is honest or wrong in one way, named by the `model` of each request.

python -m tests.serving.lying      prints its port, and serves until its standard input is closed; `pause_s` in a request is the time between tokens
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

WAYS = {
    "honest": {}, "silent_usage": {"usage": None}, "usage_high": {"usage": 1.5}, "usage_low": {"usage": 0.5}, "several": {"chunk": 3},
    "final": {"continuous": False}, "final_high": {"continuous": False, "usage": 1.5}, "final_low": {"continuous": False, "usage": 0.5},
    "early_done": {"stop": 0.5}, "done_first": {"done_first": True}, "repeated": {"repeat": 2}, "no_done": {"done": False},
    "cut": {"stop": 0.5, "cut": True}, "error": {"stop": 0.5, "error": {"message": "out of memory"}}, "short": {"length": 0.5},
    "long": {"length": 2}, "abort": {"finish": "abort", "length": 0.5}, "hangs": {"stop": 0.5, "hang": True}, "open_end": {"open_end": True},
    "not_json": {"stop": 0.5, "raw": "oops"}, "comments": {"comment": True}, "one_read": {"one_read": True}, "slow": {"pause": 0.05},
    "backwards": {"continuous": False, "counts": (3, 2, 1)}, "constant": {"counts": (1,)},
}  # fmt: skip
"""Deviations from an honest stream with `continuous_usage`."""
REFUSALS = {
    "unknown_field": (422, {"detail": [{"loc": ["body", "ignore_eos"], "msg": "extra inputs are not permitted"}]}),
    "context": (400, {"error": {"message": "the context has 2048 tokens"}}),
    "key": (401, {"error": "missing key"}),
    "broken": (500, "Internal Server Error"),
}
SERVED = 'served_tokens_total{{engine="0"}} {}\nserved_tokens_total{{engine="1"}} 1\nserved_running 2\nother_bucket{{le="+Inf"}} 3\n'


class LyingServer:
    """Serves on a port of its own; counts connections, requests and tokens.

    Args:
        requests_per_connection: A connection is closed after so many requests, without notice.
        logprobs: Form of the log-likelihoods in answers that are not streamed.
    """

    def __init__(self, *, requests_per_connection: int = 10**9, logprobs: str | None = "completions") -> None:
        self.requests_per_connection = requests_per_connection
        self.logprobs = logprobs
        self.connections = self.tokens = 0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.port = 0

    async def serve(self, port: int = 0) -> asyncio.Server:
        """Start to listen."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for _ in range(self.requests_per_connection):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.headers.append(head)
                length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")), 0)
                body = await reader.readexactly(length)
                if not await self._answer(head.split()[1], json.loads(body or b"{}"), writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        if path == "/metrics":
            return await _whole(writer, 200, SERVED.format(self.tokens), "text/plain")
        self.bodies.append(body)
        if body["model"] in REFUSALS:
            status, text = REFUSALS[body["model"]]
            return await _whole(writer, status, text if isinstance(text, str) else json.dumps(text), "application/json")
        if body["model"] == "no_stream" or not body.get("stream"):
            return await self._reply(body, writer)
        return await self._stream(body, {"chat": "messages" in body, **WAYS[body["model"]]}, writer)

    async def _reply(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        if body.get("logprobs") and self.logprobs == "refused":
            return await _whole(writer, 422, json.dumps({"detail": "logprobs"}), "application/json")
        text = "abcdefghij"[: body["max_tokens"]]
        choice: dict[str, Any] = {"message": {"content": text}} if "messages" in body else {"text": text}
        if body.get("logprobs") and self.logprobs == "content":
            choice["logprobs"] = {"content": [{"token": token, "logprob": -0.5} for token in text]}
        elif body.get("logprobs") and self.logprobs:
            choice["logprobs"] = {"tokens": list(text), "token_logprobs": [-0.25] * len(text)}
        usage = {"prompt_tokens": 7, "completion_tokens": len(text) + (body["model"] == "usage_high")}
        return await _whole(writer, 200, json.dumps({"choices": [choice], "usage": usage}), "application/json")

    async def _stream(self, body: dict[str, Any], way: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        waiting = []
        async for event in self._events(body, way):
            waiting.append(f"{len(event):x}\r\n{event}\r\n".encode())
            if not way.get("one_read"):
                writer.writelines(waiting)
                waiting = []
                await writer.drain()
            if pause_s := body.get("pause_s", way.get("pause", 0)):
                await asyncio.sleep(pause_s)
        writer.writelines(waiting)
        await writer.drain()
        if way.get("cut"):
            return False
        if way.get("hang") or way.get("open_end"):
            await asyncio.sleep(60)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _events(self, body: dict[str, Any], way: dict[str, Any]) -> AsyncIterator[str]:
        length = int(body["max_tokens"] * way.get("length", 1))
        total = None if way.get("usage", 1) is None else int(length * way.get("usage", 1))
        sent = 0
        if way.get("done_first"):
            yield _event("[DONE]")
        while sent < length * way.get("stop", 1):
            new = min(way.get("chunk", 1), length - sent)
            sent += new
            self.tokens += new
            finish = way.get("finish", "length") if sent == length else None
            counts = way.get("counts")
            count = (counts[min(sent, len(counts)) - 1] if counts else sent) if way.get("continuous", True) and total is not None else None
            for _ in range(way.get("repeat", 1)):
                if way.get("comment"):
                    yield ": ping\n\n"
                yield _event(_chunk(body, "x" * new, finish, count))
        if "raw" in way:
            yield _event(way["raw"])
        if "error" in way:
            yield _event(json.dumps({"error": way["error"]}))
        if total is not None and way.get("stop", 1) == 1:
            yield _event(_chunk(body, None, None, total))
        if way.get("done", True) and not way.get("cut") and not way.get("hang"):
            yield _event("[DONE]")


def _event(data: str) -> str:
    return f"data: {data}\n\n"


def _chunk(body: dict[str, Any], text: str | None, finish: str | None, count: int | None) -> str:
    content = {"delta": {"content": text}} if "messages" in body else {"text": text}
    choices = [] if text is None else [{"index": 0, **content, "logprobs": None, "finish_reason": finish}]
    value = {"id": "cmpl-1", "object": "text_completion", "created": 1750000000, "model": body["model"], "choices": choices}
    if count is not None:
        value["usage"] = {"prompt_tokens": 7, "total_tokens": 7 + count, "completion_tokens": count}
    return json.dumps(value, separators=(",", ":"))


async def _whole(writer: asyncio.StreamWriter, status: int, text: str, kind: str) -> bool:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(text.encode())}\r\n\r\n"
    writer.write((head + text).encode())
    await writer.drain()
    return True


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[LyingServer]:
    """A server in a thread of this process."""
    server, loop = LyingServer(**options), asyncio.new_event_loop()
    listener = loop.run_until_complete(server.serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:

        async def end() -> None:
            listener.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.01)  # transports are closed

        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def main() -> None:
    """Serve on a free port until standard input is closed."""
    server = LyingServer()
    await server.serve()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
