"""`harness select`: who is chosen of a stored run, who is refused and why, and what is said of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness import frame
from harness.analysis.interval import FIXED, Interval
from harness.decide.limits import Constraints
from harness.decide.mission import missed, power
from harness.decide.select import Weights, select
from harness.errors import HarnessError
from harness.frame.results import results
from harness.report.selection import lines
from tests.factories import CARD, COUNTERS, INVALID, case, digits, record, stored

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


def test_the_cheapest_that_keeps_the_limits_is_chosen_and_its_lead_told():
    """Half of both costs: score 0.5, separated; it is best at every weight."""
    (selection,) = found(pair())
    assert selection.best["variant"] == "int8"
    assert selection.choice.scores[selection.choice.best] == pytest.approx(0.5, rel=1e-3)
    text = "\n".join(lines(selection))
    assert "separated from every other" in text and "NOT SEPARATED" not in text
    assert "at no weight" in text


def test_a_single_launch_separates_nothing():
    """The choice is told, and that its lead is not separated."""
    (selection,) = found(pair(launches=1))
    assert selection.best["variant"] == "int8"
    assert any("NOT SEPARATED" in line for line in lines(selection))


def test_invalid_and_failed_cases_are_never_chosen():
    """However good they look; each is named with its reason."""
    for changes, why in (({"warnings": (INVALID,)}, "invalid: sensor_gap"), ({"status": "oom", "reason": "too big"}, "oom: too big")):
        (selection,) = found(pair(**changes))
        assert selection.best["variant"] == "dense"
        assert any("int8" in line and why in line for line in lines(selection))


def test_the_memory_of_an_accelerator_is_a_limit_of_its_own():
    """By the launch that took most; a case on the CPU keeps it, one on an accelerator of which nothing is known does not."""

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
    assert unknown.best["device"] == "cpu" and any("peak device memory is unknown" in line for line in lines(unknown))


def test_the_lower_bound_of_the_quality_decides():
    """0.97 of 360 samples has a lower bound of 0.947: 0.95 refuses it, 0.94 does not; the better score is told with the reason."""
    assert found(pair(), Constraints(0.94))[0].best["variant"] == "int8"
    (selection,) = found(pair(), Constraints(0.95))
    assert selection.best is None
    text = "\n".join(lines(selection))
    assert "no answer" in text and "nearest" in text and "lower 95 % bound 0.94" in text


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Constraints(0.0, latency_p99_s=12e-6), "latency p99"),
        (Constraints(0.0, memory_bytes=1e6), "peak memory"),
        (Constraints(0.0, energy_j=1e-9), "energy"),
        (Constraints(0.0, rate_per_s=1e9), "inferences/s"),
    ],
)
def test_each_limit_refuses(limits, words):
    """With what was found and what is asked."""
    (selection,) = found(pair(), limits)
    assert selection.best is None
    assert any(words in miss.sentence and "required" in miss.sentence for each in selection.missed for miss in each)


def test_a_limit_within_the_interval_is_not_kept():
    """The estimate is below it, the upper bound above: refused."""
    row = found(pair())[0].best
    between = (row["energy_j"] + row["energy_abs_high_j"]) / 2
    assert found(pair(), Constraints(0.0, energy_j=between))[0].best is None
    assert found(pair(), Constraints(0.0, energy_j=row["energy_abs_high_j"] * 1.001))[0].best["variant"] == "int8"


def test_a_rate_within_the_interval_of_the_throughput_is_not_kept():
    """Three launches scatter by 0.1 %: the mean keeps the rate, the lower bound by t(.975, 2) does not."""
    row = found(pair())[0].best
    rates = 1e5 / (1 + 0.001 * np.arange(3))
    mean, half = rates.mean(), 4.3027 * rates.std(ddof=1) / 3**0.5
    assert (row["throughput_low_per_s"], row["throughput_high_per_s"]) == pytest.approx((mean - half, mean + half), rel=1e-6)
    (selection,) = found(pair(), Constraints(0.0, rate_per_s=mean - half / 2))
    assert selection.best is None
    assert any("lower 95 % bound" in miss.sentence for each in selection.missed for miss in each)
    assert found(pair(), Constraints(0.0, rate_per_s=mean - half * 1.01))[0].best["variant"] == "int8"


def test_without_a_least_quality_it_must_be_shown_as_good_as_dense():
    """On 360 samples a case that differs is not shown to be; dense always is."""
    (selection,) = found(digits(), Constraints())
    assert selection.best["quality_verdict"] in (None, "non_inferior")
    assert any("not shown to be non-inferior to dense" in line or "worse than dense" in line for line in lines(selection))


def test_a_model_and_a_simulator_say_so():
    """Modelled energy beside the figure and at the head; a measured one does not."""
    assert any("MODELLED" in line for line in lines(found(digits())[0]))
    assert not any("MODELLED" in line for line in lines(found(pair())[0]))
    fake = pair()
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "simulated"}) for m in r.measurements)})
        for r in fake.records
    ]
    assert any("SIMULATED" in line for line in lines(found(dataclasses.replace(fake, records=tuple(records)))[0]))


def test_measured_and_modelled_cases_are_chosen_among_their_own():
    """Never one beside the other."""
    cells = [case(), case("int8")]
    records = [record(c, found=COUNTERS, repetition=k) for c in cells for k in range(3)]
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "modelled"}) for m in r.measurements)})
        if r.case_id == cells[1].case_id
        else r
        for r in records
    ]
    assert [{row["energy_kind"] for row in each.rows} for each in found(stored(cells, records, COUNTERS))] == [{"counter"}, {"modelled"}]


def test_a_lead_holds_the_gains_that_do_not_cancel():
    """Alike on the same two sensors half the energy leads by hardly any uncertainty; with all of it on the second the two gains of 5 % are in it."""
    cells = [case(), case("int8")]

    def lead(*energies):
        records = [
            record(c, {d.name: j * (1 + 1e-4 * k) for d, j in zip(COUNTERS[:2], own, strict=True)}, repetition=k, found=COUNTERS[:2])
            for c, own in zip(cells, energies, strict=True)
            for k in range(3)
        ]
        (selection,) = found(stored(cells, records, COUNTERS[:2]), weights=Weights(0, 1))
        return selection.leads[0]

    alike, apart = lead((8e-4, 2e-4), (4e-4, 1e-4)), lead((1e-3, 1e-9), (1e-9, 5e-4))
    assert alike.value == pytest.approx(0.5) and alike.high - alike.value < 2e-3
    assert apart.value == pytest.approx(0.5, rel=1e-4) and apart.high - apart.value == pytest.approx(1.96 * 0.05 * 0.5 * 2**0.5, rel=0.02)


def test_battery_and_rate_are_told():
    """By hand: 4 W idle over two domains, 20 W at full rate; at a low rate the idle power is what a battery lasts by, its two gains of 5 % in it."""
    run = pair(found=COUNTERS[:2])
    (selection,) = found(run, Constraints(0.0, rate_per_s=1.0))
    drawn_w = power(results(run)[1], 1.0)
    assert drawn_w.high / drawn_w.value == pytest.approx(np.exp(1.96 * 0.05 / 2**0.5), rel=1e-3)
    assert any("12.50 ± 0.87 h of 50 Wh" in line for line in lines(selection, 50, drawn_w))


def test_deadlines_are_those_of_whole_queries_between_the_edges_of_steady(monkeypatch):
    """By hand, 10 inferences a second: of each launch one of four queries takes 150 ms; one before `steady` and one across its end are left out."""
    start_s = np.array([9.8, 10.0, 10.2, 10.4, 10.6, 11.4])
    took_s = np.array([0.19, 0.05, 0.15, 0.05, 0.05, 0.2])
    times = (start_s * 1e9).astype(int), ((start_s + took_s) * 1e9).astype(int), np.ones(6, dtype=int)
    monkeypatch.setattr("harness.decide.mission.read_completions", lambda run, record: times)
    share, queries = missed(results(pair())[0], 10.0, FIXED)
    assert (share.value, share.low, share.high, queries) == (0.25, 0.25, 0.25, 12)


def test_a_rare_miss_is_not_told_as_none():
    """Four of half a million queries; one thread is no threads."""
    (selection,) = found(pair(found=COUNTERS[:2]), Constraints(0.0, rate_per_s=50.0))
    text = "\n".join(lines(selection, missed=(Interval(8e-6, 0.0, 3.1e-5), 500_000)))
    assert "0.00080 % [0 %, 0.0031 %] over launches of 500,000 queries took longer than 20.0 ms" in text
    assert "· 1 thread:" in text and "1 threads" not in text


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (float("nan"), 1)])
def test_weights_that_order_nothing_are_refused(weights):
    """A sentence, not a choice."""
    with pytest.raises(HarnessError, match="order nothing"):
        found(pair(), weights=Weights(*weights))
