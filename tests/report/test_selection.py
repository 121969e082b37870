"""Selection as text."""

from __future__ import annotations

import dataclasses

import pytest

from harness import frame
from harness.analysis.interval import Interval
from harness.decide.limits import Constraints
from harness.decide.select import Weights, select
from harness.errors import HarnessError
from harness.report.selection import selection_lines
from tests import generating
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


def test_a_selection_of_generated_text_is_in_tokens():
    """TPOT, output tokens, lengths and concurrency; which percentile a limit is compared with, and the nearest miss."""
    limits = Constraints(0.0, ttft_s=0.02, tpot_s=0.03, rate_per_s=100.0)
    (selection,) = found(generating.sweep(), limits)
    text = "\n".join(selection_lines(selection, 50.0, Interval(30.0, 29.0, 31.0)))
    assert "llama on box-1, in16/out48" in text and "TPOT p50" in text
    assert "TTFT p90 (upper 95 % bound) <= 20.0 ms" in text and ">= 100 output tokens/s" in text
    assert "TTFT p90, TPOT p90: the highest percentile that every case has" in text
    assert "choice     q4_0 · openai-server cpu · c4/in16/out48" in text
    assert "mJ per output token" in text and "16.0 input and 48.0 output tokens a request, concurrency 3.96" in text
    assert "output tokens/s" in text.partition("battery")[2] and "--max-tpot" in text.partition("deadlines")[2]
    assert "inference" not in text
    (impossible,) = found(generating.sweep(), Constraints(0.0, ttft_s=0.001))
    assert "nearest" in "\n".join(selection_lines(impossible)) and impossible.best is None


def test_lengths_are_not_chosen_against_each_other():
    """A case with shorter prompts is another work: each pair of lengths has its own choice."""
    run = generating.sweep(loads=(generating.LOAD, *generating.PREFILL_AND_DECODE[1:]))
    assert [selection_lines(each)[0] for each in found(run, Constraints(0.0))] == [
        "llama on box-1, in16/out48",
        "llama on box-1, in16/out256",
    ]


def test_a_limit_of_text_is_refused_where_nothing_generates_text():
    """It would be satisfied by every case."""
    with pytest.raises(HarnessError, match="limit cases that generate text"):
        found(pair(), Constraints(0.0, ttft_s=1.0))


def test_cases_of_a_single_token_are_chosen_by_their_time_to_the_first_text():
    """They have no time per token, so that TPOT cannot be their cost."""
    tables = frame.tables([generating.sweep(loads=generating.PREFILL_AND_DECODE[:1])])
    limits = Constraints(0.0, tpot_s=1.0)
    (by_tpot,) = select(tables, limits, Weights())
    text = "\n".join(selection_lines(by_tpot))
    assert "no dense case has both its energy and its TPOT" in text and "TPOT p99 unknown (its answers have a single token)" in text
    (by_ttft,) = select(tables, Constraints(0.0), Weights(), "ttft")
    assert by_ttft.best["variant"] == "q8_0" and "0.5 * TTFT p50" in "\n".join(selection_lines(by_ttft))
