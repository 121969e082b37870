"""The pattern of a load: when each request is sent, and how the load ends; what a request does is given to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

from harness.errors import EngineError
from harness.serving import cpu
from harness.serving.base import Load, Prompt

POLL_S = 0.02
"""Time between two calls of `Load.stop`."""
CPU_READING_S = 0.1
AFTER_FAILURE_S = 0.05
"""Pause of a stream of `closed` after a failed request, so that a server that refuses all is not flooded."""

Send = Callable[[int, Prompt], Awaitable[bool]]
"""Sends a request that was due at a time in ns, logs all of it, and returns whether it has not failed; if it is cancelled, it logs the request as cut."""


async def drive(load: Load, send: Send, watch: Callable[[], None], max_in_progress: int) -> None:
    """Send requests in the pattern of a load until it stops, then wait for those in progress up to its limit and cut off the rest.

    Args:
        load: The load.
        send: Sends a request.
        watch: Called at each poll; raises if the load makes no sense any more, because the server has died.
        max_in_progress: Requests in progress beyond which a rate is more than the server can take.

    Raises:
        EngineError: By `watch`, or because too many requests are in progress.
    """
    state = _State(load, send, max_in_progress)
    load.cpu.append(cpu.reading())
    source = asyncio.create_task(state.poisson() if load.requests.rate_per_s is not None else state.closed())
    try:
        while not load.stop():
            await state.poll(watch, source)
        state.stopped = True
        limit_s = time.monotonic() + load.drain_s
        if load.requests.rate_per_s is not None:
            source.cancel()
        while state.in_progress and time.monotonic() < limit_s:
            await state.poll(watch, source)
    finally:
        state.stopped = True
        tasks = [source, *state.in_progress]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        load.cpu.append(cpu.reading())


class _State:
    def __init__(self, load: Load, send: Send, max_in_progress: int) -> None:
        self._load = load
        self._send = send
        self._max_in_progress = max_in_progress
        self.in_progress: set[asyncio.Task[None]] = set()
        self.stopped = False

    async def poll(self, watch: Callable[[], None], source: asyncio.Task[None]) -> None:
        """Wait for the time of a poll; raise what has gone wrong meanwhile."""
        await asyncio.sleep(POLL_S)
        if time.monotonic_ns() - self._load.cpu[-1][0] > CPU_READING_S * 1e9:
            self._load.cpu.append(cpu.reading())
        watch()
        if source.done() and not source.cancelled():
            source.result()

    async def closed(self) -> None:
        """Keep a number of streams, each of which sends its next request when the one before has ended."""
        for _ in range(self._load.requests.concurrency or 1):
            self._start(self._stream())
        while self.in_progress:
            done, _ = await asyncio.wait(self.in_progress, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def poisson(self) -> None:
        """Send requests at times with exponential gaps, however many are in progress."""
        generator = np.random.default_rng(self._load.seed)
        due_ns = time.monotonic_ns()
        while True:
            due_ns += round(generator.exponential(1 / (self._load.requests.rate_per_s or 1.0)) * 1e9)
            while (early_s := (due_ns - time.monotonic_ns()) * 1e-9) > 0:
                await asyncio.sleep(early_s)
            if self.stopped:
                return
            if len(self.in_progress) >= self._max_in_progress:
                rate = f"{self._load.requests.rate_per_s:g}"
                raise EngineError(
                    f"{len(self.in_progress)} requests are in progress: {rate} requests/s are more than the server completes", "lower rates_per_s"
                )
            self._start(self._request(due_ns, next(self._load.prompts)))

    async def _stream(self) -> None:
        while not self.stopped:
            if not await self._send(time.monotonic_ns(), next(self._load.prompts)):
                await asyncio.sleep(AFTER_FAILURE_S)

    async def _request(self, due_ns: int, prompt: Prompt) -> None:
        await self._send(due_ns, prompt)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.in_progress.add(task)
        task.add_done_callback(self.in_progress.discard)
