"""Selection as text."""

from __future__ import annotations

import dataclasses

from harness.analysis.interval import Interval
from harness.decide.limits import Constraints
from harness.report.selection import selection_lines
from tests.decide.selected import found, pair
from tests.factories import COUNTERS, digits


def test_modelled_and_simulated_energies_are_marked():
    """Measured ones are not."""
    assert any("MODELLED" in line for line in selection_lines(found(digits())[0]))
    assert not any("MODELLED" in line for line in selection_lines(found(pair())[0]))
    fake = pair()
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "simulated"}) for m in r.measurements)})
        for r in fake.records
    ]
    assert any("SIMULATED" in line for line in selection_lines(found(dataclasses.replace(fake, records=tuple(records)))[0]))


def test_a_rare_miss_is_not_none():
    """Four of half a million queries; one thread is singular."""
    (selection,) = found(pair(found=COUNTERS[:2]), Constraints(0.0, rate_per_s=50.0))
    text = "\n".join(selection_lines(selection, missed=(Interval(8e-6, 0.0, 3.1e-5), 500_000)))
    assert "0.00080 % [0 %, 0.0031 %] over launches of 500,000 queries took longer than 20.0 ms" in text
    assert "· 1 thread:" in text and "1 threads" not in text


def test_every_constraint_is_in_the_request():
    """With its bound and its unit."""
    limits = Constraints(0.9, latency_p99_s=1.0, memory_bytes=1e9, energy_j=1.0, rate_per_s=1.0, device_memory_bytes=5e8)
    (line,) = [line for line in selection_lines(found(pair(), limits)[0]) if line.startswith("subject to")]
    for words in (
        "quality (lower 95 % bound) >= 0.9",
        "latency p99 (upper",
        "peak memory <=",
        "peak device memory <= 500 MB",
        "energy (upper",
        ">= 1.00/s",
    ):
        assert words in line, words
