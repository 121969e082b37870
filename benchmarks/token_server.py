"""A server of text whose power and tokens are known: it logs each change of its power and the sending of each token.

python -m benchmarks.token_server PORT FOLDER STEP_S PREFILL_S      serves until it is killed

Requests that wait are processed one after the other (prefill); then all of them get one token in each step.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np

IDLE_W, PREFILL_W, DECODE_W, STREAM_W = 30.0, 70.0, 45.0, 3.0
"""Power when idle, in prefill, in decode, and more for each request of a step."""
ENTRIES = 2_000_000
OUTPUT_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Log:
    """Pairs of (time in ns, value) in a file that another process reads while it grows; the first entry is their number."""

    def __init__(self, path: Path) -> None:
        self._values = np.memmap(path, dtype=np.float64, mode="w+", shape=(ENTRIES, 2))

    def append(self, value: float) -> None:
        """Log a value now."""
        at = int(self._values[0, 0]) + 1
        self._values[at] = time.monotonic_ns(), value
        self._values[0, 0] = at


class Stream:
    """One request in progress."""

    def __init__(self, body: dict[str, object], writer: asyncio.StreamWriter) -> None:
        self.prompt_tokens, self.asked, self.sent, self.writer = len(str(body["prompt"])), int(str(body["max_tokens"])), 0, writer
        self.done = asyncio.Event()

    def send(self) -> None:
        """Send one token, with the counts so far; the last one ends the answer."""
        self.sent += 1
        ended = self.sent == self.asked
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.sent, "total_tokens": self.prompt_tokens + self.sent}
        chunk = {"choices": [{"index": 0, "text": "x", "finish_reason": "length" if ended else None}], "usage": usage}
        self._write(f"data: {json.dumps(chunk)}\n\n")
        if ended:
            self._write("data: [DONE]\n\n")
            self.writer.write(b"0\r\n\r\n")
            self.done.set()

    def _write(self, text: str) -> None:
        self.writer.write(f"{len(text):x}\r\n{text}\r\n".encode())


class Server:
    """One model: prefill of one request at a time, then steps of all."""

    def __init__(self, folder: Path, step_s: float, prefill_s: float) -> None:
        self.power, self.tokens = Log(folder / "power"), Log(folder / "tokens")
        self.step_s, self.prefill_s = step_s, prefill_s
        self.waiting: asyncio.Queue[Stream] = asyncio.Queue()
        self.active: list[Stream] = []

    async def work(self) -> None:
        """Process requests for ever; the time of a step is kept on the average, whatever the machine does."""
        self.power.append(IDLE_W)
        due_s = time.monotonic()
        while True:
            if not self.active and self.waiting.empty():
                self.power.append(IDLE_W)
                self.active.append(await self.waiting.get())
                due_s = time.monotonic() + self.prefill_s
                self.power.append(PREFILL_W)
                await asyncio.sleep(self.prefill_s)
            while not self.waiting.empty():
                self.power.append(PREFILL_W)
                due_s += self.prefill_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                self.active.append(self.waiting.get_nowait())
            self.power.append(DECODE_W + STREAM_W * len(self.active))
            due_s += self.step_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            for stream in self.active:
                stream.send()
                self.tokens.append(1.0)
            self.active = [stream for stream in self.active if not stream.done.is_set()]

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")), 0)
                body = json.loads(await reader.readexactly(length) or b"{}")
                await self._answer(head.split()[1], body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def _answer(self, path: str, body: dict[str, object], writer: asyncio.StreamWriter) -> None:
        if path.endswith("/completions") and body.get("stream"):
            writer.write(OUTPUT_HEAD)
            stream = Stream(body, writer)
            self.waiting.put_nowait(stream)
            await stream.done.wait()
            await writer.drain()
            return
        reply: dict[str, object] = {"data": [{"id": "known"}]}
        if path.endswith("/completions"):
            count, prompt = int(str(body["max_tokens"])), len(str(body["prompt"]))
            usage = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
            reply = {"choices": [{"index": 0, "text": "x" * count, "finish_reason": "length"}], "usage": usage}
        text = json.dumps(reply)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()


async def serve(port: int, folder: Path, step_s: float, prefill_s: float) -> None:
    """Serve for ever."""
    server = Server(folder, step_s, prefill_s)
    listening = await asyncio.start_server(server.connection, "127.0.0.1", port)
    async with listening:
        await server.work()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
