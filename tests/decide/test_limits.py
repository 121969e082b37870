"""Constraints of a selection, each compared with a bound."""

from __future__ import annotations

import numpy as np
import pytest

from harness import frame
from harness.decide.limits import Constraints, misses, percentile_of
from harness.frame.rows import rows_of
from harness.report.limits import miss_text
from harness.report.selection import selection_lines
from tests import factories, generating
from tests.decide.selected import found, pair
from tests.factories import CARD, COUNTERS, case, digits, record, stored


def test_accelerator_memory_is_a_limit_of_its_own():
    """For the peak of any launch; a case on the CPU satisfies it, one on an accelerator without a figure does not."""

    def best(device, limit, **changes):
        cell = case("int8", device=device)
        run = stored(
            [case(), cell],
            [
                record(c, None, s, 0.97, k, (*COUNTERS, CARD[0]), **(changes if c is cell else {}))
                for c, s in ((case(), 20e-6), (cell, 10e-6))
                for k in range(3)
            ],
            (*COUNTERS, CARD[0]),
        )
        return found(run, Constraints(0.0, device_memory_bytes=limit))[0]

    assert best("cpu", 1.0).best["variant"] == "int8"
    assert best("gpu", 6e8, peak_device_memory_bytes=500_000_000).best["device"] == "gpu"
    assert best("gpu", 4e8, peak_device_memory_bytes=500_000_000).best["device"] == "cpu"
    unknown = best("gpu", 4e8)
    assert unknown.best["device"] == "cpu" and any("peak device memory unknown" in line for line in selection_lines(unknown))


def test_the_quality_is_compared_by_its_lower_bound():
    """0.97 of 360 samples has a lower bound of 0.947: 0.95 rejects it, 0.94 does not."""
    assert found(pair(), Constraints(0.94))[0].best["variant"] == "int8"
    (selection,) = found(pair(), Constraints(0.95))
    assert selection.best is None
    text = "\n".join(selection_lines(selection))
    assert "choice     none: " in text and "nearest" in text and "lower 95 % bound 0.94" in text


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Constraints(0.0, latency_p99_s=12e-6), "latency p99"),
        (Constraints(0.0, memory_bytes=1e6), "peak memory"),
        (Constraints(0.0, energy_j=1e-9), "energy"),
        (Constraints(0.0, rate_per_s=1e9), "inferences/s"),
    ],
)
def test_each_limit_rejects(limits, words):
    """With the measured value and the limit."""
    (selection,) = found(pair(), limits)
    assert selection.best is None
    row, (miss, *_) = next(pair for pair in zip(selection.rows, selection.missed, strict=True) if pair[1])
    assert miss.shortfall > 0 and miss.bound is not None
    assert words in miss_text(row, miss) and "required" in miss_text(row, miss)


def test_a_limit_within_the_interval_is_not_satisfied():
    """The estimate is below it, the upper bound above: rejected."""
    row = found(pair())[0].best
    between = (row["energy_j"] + row["energy_abs_high_j"]) / 2
    assert found(pair(), Constraints(0.0, energy_j=between))[0].best is None
    assert found(pair(), Constraints(0.0, energy_j=row["energy_abs_high_j"] * 1.001))[0].best["variant"] == "int8"


def test_a_rate_within_the_interval_of_the_throughput_is_not_satisfied():
    """Three launches scatter by 0.1 %: the mean reaches the rate, the lower bound by t(.975, 2) does not."""
    row = found(pair())[0].best
    rates = 1e5 / (1 + 0.001 * np.arange(3))
    mean, half = rates.mean(), 4.3027 * rates.std(ddof=1) / 3**0.5
    assert (row["throughput_low_per_s"], row["throughput_high_per_s"]) == pytest.approx((mean - half, mean + half), rel=1e-6)
    (selection,) = found(pair(), Constraints(0.0, rate_per_s=mean - half / 2))
    assert selection.best is None
    assert {miss.constraint for each in selection.missed for miss in each} == {"rate_per_s"}
    assert all(miss.bound < mean - half / 2 for each in selection.missed for miss in each)
    assert found(pair(), Constraints(0.0, rate_per_s=mean - half * 1.01))[0].best["variant"] == "int8"


def test_without_a_minimum_quality_it_must_be_non_inferior_to_dense():
    """360 samples are too few for a case that differs; dense always is."""
    (selection,) = found(digits(), Constraints())
    assert selection.best["quality_verdict"] in (None, "non_inferior")
    assert any(
        "may be worse than dense by more than the margin" in line or "worse than dense" in line for line in selection_lines(selection)
    )


def test_a_shortfall_is_relative_and_infinite_if_unknown():
    """Half the limit above it is 0.5; a figure without a bound misses by an unknown share."""
    row = found(pair())[0].rows[0] | {"peak_memory_bytes": 150}
    (miss,) = misses(row, Constraints(0.0, memory_bytes=100.0))
    assert (miss.constraint, miss.value, miss.bound, miss.shortfall) == ("memory_bytes", 150, 150, 0.5)
    (miss,) = misses(row | {"latency_p99_high_s": None}, Constraints(0.0, latency_p99_s=1.0))
    assert miss.bound is None and miss.shortfall == float("inf")
    assert misses(row, Constraints(0.0, memory_bytes=150.0)) == []


TEXT = rows_of(frame.cases([generating.sweep()]))


def test_a_limit_of_generated_text_is_compared_with_the_highest_percentile_that_all_cases_have():
    """p90 where a case has too few requests for p99; the same for all, so that few requests are no advantage."""
    assert percentile_of(TEXT, "ttft") == "p90"
    assert percentile_of([row | {"ttft_p99_s": 1.0} for row in TEXT], "ttft") == "p99"
    assert percentile_of([TEXT[0] | {"ttft_p90_s": None}, *TEXT[1:]], "ttft") == "p50"
    assert percentile_of([row | {"tpot_p50_s": None, "tpot_p90_s": None} for row in TEXT], "tpot") == "p99"


def test_the_upper_bound_of_that_percentile_is_compared():
    """12.48 ± 0.31 ms: 12.6 ms is not shown to be met."""
    limits = Constraints(quality=0.0, ttft_s=0.0126)
    (miss,) = misses(TEXT[0], limits, {"ttft_s": "p90"})
    assert (miss.constraint, miss.value) == ("ttft_p90_s", pytest.approx(0.01248, rel=1e-3))
    assert miss.bound > 0.0126 and miss.shortfall == pytest.approx(miss.bound / 0.0126 - 1)
    assert misses(TEXT[0], limits._replace(ttft_s=0.0130), {"ttft_s": "p90"}) == []
    assert misses(TEXT[0], limits, {"ttft_s": "p50"}) == []


def test_an_unknown_latency_does_not_satisfy_a_limit():
    """A single launch has no bound; answers of one token have no time per token."""
    row = TEXT[0] | {"tpot_p90_s": None, "tpot_p90_high_s": None}
    (miss,) = misses(row, Constraints(quality=0.0, tpot_s=1.0), {"tpot_s": "p90"})
    assert (miss.value, miss.bound, miss.shortfall) == (None, None, float("inf"))
    query = rows_of(frame.cases([factories.digits()]))[0]
    assert misses(query, Constraints(quality=0.5, ttft_s=1e-9)) == []


def test_the_agreement_of_text_has_the_bound_of_its_paired_difference():
    """Dense agrees with itself by definition, so the bound of the difference is that of the agreement."""
    row = TEXT[1]
    bound = 1 + row["quality_diff_low"]
    assert misses(row, Constraints(quality=bound - 0.01)) == []
    (miss,) = misses(row, Constraints(quality=bound + 0.01))
    assert miss.bound == pytest.approx(bound)
