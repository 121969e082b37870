"""The pattern of a load: when each request is sent, and how the load ends; what a request does is given to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

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
    arrivals = state.start()
    try:
        while not load.stop():
            await state.poll(watch)
        state.stopped = True
        if arrivals is not None:
            arrivals.cancel()
        limit_s = time.monotonic() + load.drain_s
        while state.in_progress and time.monotonic() < limit_s:
            await state.poll(watch)
    finally:
        state.stopped = True
        tasks = [*state.in_progress, *([arrivals] if arrivals is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        load.cpu.append(cpu.reading())


class _State:
    def __init__(self, load: Load, send: Send, max_in_progress: int) -> None:
        self._load = load
        self._send = send
        self._max_in_progress = max_in_progress
        self._error: BaseException | None = None
        self.in_progress: set[asyncio.Task[None]] = set()
        self.stopped = False

    def start(self) -> asyncio.Task[None] | None:
        """Start the streams of `closed`, or the task that makes the arrivals of `poisson` and is returned."""
        if self._load.requests.rate_per_s is not None:
            return self._task(self._arrivals(self._load.requests.rate_per_s))
        for _ in range(self._load.requests.concurrency or 1):
            self._add(self._stream())
        return None

    async def poll(self, watch: Callable[[], None]) -> None:
        """Wait for the time of a poll; raise what has gone wrong meanwhile."""
        await asyncio.sleep(POLL_S)
        if time.monotonic_ns() - self._load.cpu[-1][0] > CPU_READING_S * 1e9:
            self._load.cpu.append(cpu.reading())
        if self._error is not None:
            raise self._error
        watch()

    async def _stream(self) -> None:
        """Send a request when the one before has ended."""
        while not self.stopped:
            if not await self._send(time.monotonic_ns(), self._prompt()):
                await asyncio.sleep(AFTER_FAILURE_S)

    async def _arrivals(self, rate_per_s: float) -> None:
        """Send requests at times with exponential gaps, however many are in progress."""
        generator = np.random.default_rng(self._load.seed)
        due_ns = time.monotonic_ns()
        while True:
            due_ns += round(generator.exponential(1 / rate_per_s) * 1e9)
            while (early_s := (due_ns - time.monotonic_ns()) * 1e-9) > 0:
                await asyncio.sleep(early_s)
            if len(self.in_progress) >= self._max_in_progress:
                count = len(self.in_progress)
                raise EngineError(
                    f"{rate_per_s:g} requests/s are more than the server completes: {count} are in progress", "lower rates_per_s"
                )
            self._add(self._request(due_ns))

    async def _request(self, due_ns: int) -> None:
        await self._send(due_ns, self._prompt())

    def _prompt(self) -> Prompt:
        prompt = next(self._load.prompts, None)
        if prompt is None:
            raise EngineError("no prompt is left", "prompts of a load must be endless")
        return prompt

    def _add(self, work: Coroutine[Any, Any, None]) -> None:
        self.in_progress.add(task := self._task(work))
        task.add_done_callback(self.in_progress.discard)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_error)
        return task

    def _note_error(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and self._error is None:
            self._error = task.exception()
