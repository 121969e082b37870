"""The child that loads a card for a probe."""

from __future__ import annotations

import itertools

from harness.schema.worker import Burst
from harness.worker import card_load


def test_a_burst_works_for_its_share_of_each_period(monkeypatch):
    """On a clock that advances with work and sleep only."""
    now_s = [10.0]
    ticks = itertools.count()

    def monotonic():
        now_s[0] += 1e-5
        return now_s[0]

    def sleep(seconds):
        now_s[0] += seconds

    def work():
        next(ticks)
        now_s[0] += 0.001

    monkeypatch.setattr(card_load.time, "monotonic", monotonic)
    monkeypatch.setattr(card_load.time, "sleep", sleep)
    edges = card_load.run_burst(work, Burst(start_s=10.05, period_s=0.1, share=0.5, count=3))
    assert [round(t, 2) for t in edges.on_s] == [10.05, 10.15, 10.25]
    assert all(0.05 <= off - on < 0.0515 for on, off in zip(edges.on_s, edges.off_s, strict=True))
    assert 147 <= next(ticks) <= 153
    assert all(49 <= number <= 51 for number in edges.calls)
