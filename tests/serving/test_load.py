"""The pattern of a load: closed and poisson, its stop, the drain, and what goes wrong."""

import asyncio
import itertools
import time

import numpy as np
import pytest

from harness.errors import EngineError
from harness.schema.served import TokenLoad
from harness.serving.base import Load, Prompt
from harness.serving.load import drive
from harness.serving.log import TokenLog


class Recorded:
    """A sender that takes some time for each request, and records what happens."""

    def __init__(self, seconds: float = 0.01, *, ok: bool = True):
        self.seconds, self.ok = seconds, ok
        self.due, self.sent, self.most, self.now, self.cut = [], [], 0, 0, 0

    async def __call__(self, due_ns: int, prompt: Prompt) -> bool:
        self.due.append(due_ns)
        self.sent.append(time.monotonic_ns())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.now -= 1
        return self.ok


def run(send, stop, *, drain_s: float = 1.0, most: int = 1000, watch=lambda: None, seed: int = 0, prompts=None, **requests) -> Load:
    """Drive a load to its end."""
    load = Load(
        TokenLoad(input_tokens=1, output_tokens=1, **requests), prompts or map(Prompt, itertools.repeat("x"), itertools.repeat(1)),
        TokenLog(), stop, drain_s, seed,
    )  # fmt: skip
    asyncio.run(drive(load, send, watch, most))
    return load


def after(count: int):
    """A stop that is true at a number of calls."""
    calls = itertools.count()
    return lambda: next(calls) >= count


def test_closed_keeps_a_number_of_requests_in_progress():
    """Each stream sends the next one when its own has ended; all have ended afterwards."""
    send = Recorded()
    load = run(send, after(10), concurrency=3)
    assert send.most == 3 and len(send.sent) > 6
    assert send.now == 0 and send.cut == 0
    assert len(load.cpu) >= 2 and load.cpu == sorted(load.cpu)


def test_nothing_is_sent_after_the_stop():
    """Those in progress run on."""
    send, stopped = Recorded(0.2), []
    stop = after(2)

    def watched_stop() -> bool:
        if result := stop():
            stopped.append(time.monotonic_ns())
        return result

    run(send, watched_stop, concurrency=2)
    assert len(send.sent) == 2 and max(send.sent) < stopped[0] and send.cut == 0


def test_the_drain_has_a_limit():
    """Requests that take longer are cut off."""
    send = Recorded(60)
    run(send, after(2), drain_s=0.05, concurrency=2)
    assert send.cut == 2 and send.now == 0


def test_the_stop_is_polled_while_nothing_arrives():
    """A server that is silent delays nothing."""
    calls = []
    run(Recorded(60), lambda: calls.append(0) or len(calls) > 5, drain_s=0, concurrency=1)
    assert len(calls) == 6


def test_poisson_arrivals_are_due_at_reproducible_times():
    """With exponential gaps of the mean 1 / rate; a late client is seen in the time between due and sent."""
    dues = []
    for seed in (3, 3, 4):
        send = Recorded(0.001)
        run(send, after(10), seed=seed, rate_per_s=200.0)
        dues.append(np.diff(send.due[:10]))
        assert all(sent >= due for due, sent in zip(send.due, send.sent, strict=True))
    assert np.array_equal(dues[0], dues[1]) and not np.array_equal(dues[0], dues[2])
    assert np.allclose(dues[0], np.random.default_rng(3).exponential(1 / 200.0, 10)[1:] * 1e9, atol=1)


def test_poisson_does_not_wait_for_answers():
    """Until so many requests are in progress that the rate is beyond the server."""
    send = Recorded(60)
    with pytest.raises(EngineError, match=r"500 requests/s are more than the server completes: 5 are in progress"):
        run(send, after(10_000), most=5, rate_per_s=500.0)
    assert send.most == 5 and send.cut == 5


def test_the_pattern_pauses_after_a_failure():
    """A server that refuses each request at once gets few."""
    send = Recorded(0, ok=False)
    run(send, after(10), concurrency=1)
    assert len(send.sent) < 10


def test_errors_end_the_load():
    """Of the watch, of a request, and of prompts that have an end; nothing is left in progress."""

    def died() -> None:
        raise EngineError("the server has died")

    send = Recorded(60)
    with pytest.raises(EngineError, match="has died"):
        run(send, after(1000), watch=died, concurrency=2)
    assert send.cut == 2
    with pytest.raises(EngineError, match="no prompt is left"):
        run(Recorded(0), after(1000), prompts=iter([Prompt("x", 1)]), concurrency=1)

    async def broken(due_ns: int, prompt: Prompt) -> bool:
        raise ValueError(prompt.text)

    with pytest.raises(ValueError, match="x"):
        run(broken, after(1000), rate_per_s=1000.0)
