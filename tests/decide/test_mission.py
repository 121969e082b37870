"""Power and deadlines of a case at a rate."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.interval import FIXED
from harness.decide.limits import Constraints
from harness.decide.mission import missed, power
from harness.frame.results import results
from harness.report.selection import selection_lines
from tests.decide.selected import found, pair
from tests.factories import COUNTERS


def test_battery_life_at_a_rate_by_hand():
    """4 W idle over two domains, 20 W at full rate; at a low rate the idle power decides, with its two gains of 5 %."""
    run = pair(found=COUNTERS[:2])
    (selection,) = found(run, Constraints(0.0, rate_per_s=1.0))
    drawn_w = power(results(run)[1], 1.0)
    assert drawn_w.high / drawn_w.value == pytest.approx(np.exp(1.96 * 0.05 / 2**0.5), rel=1e-3)
    assert any("12.50 ± 0.87 h of 50 Wh" in line for line in selection_lines(selection, 50, drawn_w))


def test_deadlines_are_those_of_whole_queries_between_the_edges_of_steady(monkeypatch):
    """By hand at 10 inferences/s: one of four queries per launch takes 150 ms; one before `steady` and one across its end do not count."""
    start_s = np.array([9.8, 10.0, 10.2, 10.4, 10.6, 11.4])
    took_s = np.array([0.19, 0.05, 0.15, 0.05, 0.05, 0.2])
    times = (start_s * 1e9).astype(int), ((start_s + took_s) * 1e9).astype(int), np.ones(6, dtype=int)
    monkeypatch.setattr("harness.decide.mission.read_completions", lambda run, record: times)
    share, queries = missed(results(pair())[0], 10.0, FIXED)
    assert (share.value, share.low, share.high, queries) == (0.25, 0.25, 0.25, 12)
