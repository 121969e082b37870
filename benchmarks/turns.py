"""The harness's session and a bare loop, alternating in one process: the overhead of a query without differences between processes.

python -m benchmarks.turns < TASK.json      prints a JSON list of the ratio of p50 of each pair of rounds
"""

from __future__ import annotations

import itertools
import json
import sys
import time

import numpy as np

from benchmarks.bare import bare_call, batches, inference, loop
from harness.schema.worker import MeasureTask
from harness.worker import inputs
from harness.worker.measure import open_session, timed_calls
from harness.worker.scenario import Completions, single_stream

ROUNDS = 40
ROUND_S = 0.25


def main() -> None:
    """Run a round of each to warm up, then pairs of rounds with alternating order."""
    text = sys.stdin.read()
    task, plain_task = MeasureTask.model_validate_json(text), json.loads(text)
    arrays = batches(plain_task)
    call, convert = bare_call(plain_task, arrays[0])  # first: TensorFlow's threads can be set only once
    bare = [convert(x) for x in arrays]
    session = open_session(task)
    data = inputs.load_data(session.inputs, task.inputs, task.batch_size)
    staged, source = timed_calls(session, inputs.make_queries(session.inputs, data, task.batch_size), task)
    queries = itertools.cycle(source)

    def ours() -> float:
        until_s, completions = time.monotonic() + ROUND_S, Completions()
        single_stream(staged, queries, lambda: time.monotonic() >= until_s, completions)
        return float(np.median(np.subtract(completions.end_ns, completions.start_ns)))

    def theirs() -> float:
        with inference(plain_task):
            return float(np.median(loop(call, bare, ROUND_S)))

    ratios = []
    for turn in range(ROUNDS + 1):
        a, b = (ours(), theirs()) if turn % 2 else (theirs(), ours())[::-1]
        ratios.append(a / b)
    print(json.dumps(ratios[1:]))


if __name__ == "__main__":
    main()
