"""Runs and selections for the tests of `select`."""

from __future__ import annotations

from harness import frame
from harness.decide.limits import Constraints
from harness.decide.select import Weights, select
from tests.factories import COUNTERS, case, record, stored

ANY, EVEN = Constraints(0.0), Weights()


def found(run, limits=ANY, weights=EVEN, compute="latency"):
    return select(frame.tables([run]), limits, weights, compute)


def pair(dense_s=20e-6, fast_s=10e-6, launches=3, found=COUNTERS, **changes):
    """Dense and int8, which takes half the time and energy."""
    cells = [case(), case("int8")]
    records = [
        record(c, latency_s=s * (1 + 0.001 * k), repetition=k, found=found, **(changes if c is cells[1] else {}))
        for c, s in zip(cells, (dense_s, fast_s), strict=True)
        for k in range(launches)
    ]
    return stored(cells, records, found)
