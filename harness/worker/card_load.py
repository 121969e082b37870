"""Child process: loads a card for a probe, switched on and off at requested times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness import plugins
from harness.channel import Parent
from harness.engines.cuda import visible_uuids
from harness.schema.worker import Burst, Edges, LoadTask, Ready
from harness.worker.outcome import outcome

SPIN_S = 0.001
"""Time before the start of a period that is waited for without sleeping."""


def main() -> None:
    """Run bursts until the parent sends anything else."""
    channel, task = Parent.from_argv(LoadTask)
    channel.send(outcome(lambda: serve(channel, task), None))
    channel.leave()


def serve(channel: Parent, task: LoadTask) -> dict[str, Any]:
    """Prepare the engine's load, and answer each `Burst`; returns the fields of the result."""
    work = plugins.load("engines", task.engine)().work(task.device)
    began_s = time.monotonic()
    work()
    channel.send(Ready(first_query_s=time.monotonic() - began_s, facts={"device_uuids": visible_uuids()}))
    while isinstance(message := channel.receive(), Burst):
        channel.send(run_burst(work, message))
    return {}


def run_burst(work: Callable[[], None], burst: Burst) -> Edges:
    """Work for a share of each period; the times at which it really began and ended."""
    on_s, off_s, calls = [], [], []
    for index in range(burst.count):
        start_s = burst.start_s + index * burst.period_s
        end_s = start_s + burst.share * burst.period_s
        _wait_until(start_s)
        on_s.append(time.monotonic())
        calls.append(0)
        while time.monotonic() < end_s:
            work()
            calls[-1] += 1
        off_s.append(time.monotonic())
    return Edges(on_s=tuple(on_s), off_s=tuple(off_s), calls=tuple(calls))


def _wait_until(t_s: float) -> None:
    """Sleep until shortly before a time, then poll."""
    left_s = t_s - time.monotonic() - SPIN_S
    if left_s > 0:
        time.sleep(left_s)
    while time.monotonic() < t_s:
        pass


if __name__ == "__main__":
    main()
