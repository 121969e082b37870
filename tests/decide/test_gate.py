"""Checks of the gate: noise passes, and what became worse fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.decide.gate import Caveat, caveats, gate
from harness.decide.thresholds import Thresholds
from harness.schema import StoredOutputs
from tests.decide.gated import CELLS, run
from tests.factories import CARD, INVALID, MODELLED, case


def failed(verdicts):
    """Case and metric of each failed check."""
    return [(v.case_id, v.metric) for v in verdicts if v.outcome == "failed"]


def test_noise_passes_and_a_row_that_became_worse_fails():
    """The same cases with other noise pass; 8 % more energy in one row fails that row alone."""
    assert not failed(gate(run(1), run(2), Thresholds()))
    worse = CELLS[3].case_id
    assert failed(gate(run(1, factor={worse: 1.08}), run(2), Thresholds())) == [(worse, "energy")]


def test_less_energy_passes_and_a_threshold_allows_more():
    """An improvement passes, and an increase up to the threshold."""
    name = CELLS[0].case_id
    assert not failed(gate(run(1, factor={name: 0.5}), run(2), Thresholds()))
    assert not failed(gate(run(1, factor={name: 1.08}), run(2), Thresholds(energy=0.2)))
    assert not failed(gate(run(1, factor={name: 1.08}), run(2), Thresholds(energy=None)))


def on_gpu(seed, peak=500e6, source="process", **changes):
    """One case on a CPU and one on a GPU with this peak memory."""
    cells = [CELLS[0], case("dense", "tensorflow", device="gpu")]
    found = run(seed, cells, **changes)
    held = {"peak_device_memory_bytes": peak and int(peak), "peak_device_memory_source": peak and source}
    records = [r.model_copy(update=held) if r.case_id == cells[1].case_id else r for r in found.records]
    return replace(found, records=tuple(records))


def test_accelerator_memory_is_judged_only_for_its_cases():
    """A run without an accelerator shares the error among the other metrics."""
    name = case("dense", "tensorflow", device="gpu").case_id
    assert not failed(gate(on_gpu(1), on_gpu(2), Thresholds()))
    assert failed(gate(on_gpu(1, 600e6), on_gpu(2), Thresholds())) == [(name, "device_memory")]
    assert not failed(gate(on_gpu(1, 600e6), on_gpu(2), Thresholds(device_memory=None)))
    assert failed(gate(on_gpu(1, None), on_gpu(2), Thresholds())) == [(name, "device_memory")]
    assert {v.metric for v in gate(run(1), run(2), Thresholds())} == {"energy", "latency", "quality", "memory"}


def test_the_same_case_on_another_card_is_judged_with_a_caveat():
    """Card 3 now and card 0 before are both `gpu`: the energy is compared, and the caveat has both UUIDs."""
    other = CARD[0].model_copy(update={"name": "gpu:3", "detail": {**CARD[0].detail, "uuid": "GPU-other"}})
    cells = [case("dense", "tensorflow", device="gpu")]
    now, before = run(1, cells, found=(other,)), run(2, cells, found=CARD[:1])
    assert {v.outcome for v in gate(now, before, Thresholds()) if v.metric == "energy"} == {"passed"}
    assert failed(gate(run(1, cells, {cells[0].case_id: 1.2}, (other,)), before, Thresholds())) == [(cells[0].case_id, "energy")]
    assert Caveat("cards", "GPU-4090", "GPU-other") in caveats(now, before)
    assert not caveats(run(3, cells, found=CARD[:1]), before)


def test_a_process_is_not_compared_with_a_whole_card():
    """The rise of a card's memory includes the driver's own, the figure of a process does not."""
    (verdict,) = [v for v in gate(on_gpu(1, 700e6, "rise"), on_gpu(2), Thresholds()) if v.metric == "device_memory"]
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "other_source")
    assert verdict.values == {"before": "process", "now": "rise"}


def test_a_missing_case_fails_and_a_new_one_is_inconclusive():
    """A case that is not ok now fails too; one that was not ok before is inconclusive."""
    base, fewer = run(1), run(2, CELLS[:-1])
    assert failed(gate(fewer, base, Thresholds())) == [(CELLS[-1].case_id, "case")]
    assert [v.outcome for v in gate(base, fewer, Thresholds()) if v.metric == "case"] == ["inconclusive"]
    lost = {"status": "oom", "reason": "no memory", "measurements": (), "latency": None, "quality": None}
    gone = replace(base, records=tuple(r.model_copy(update=lost) if r.case_id == CELLS[0].case_id else r for r in base.records))
    assert failed(gate(gone, base, Thresholds())) == [(CELLS[0].case_id, "case")]
    assert not failed(gate(base, gone, Thresholds()))


def test_energy_of_another_kind_or_invalid_is_never_compared():
    """Modelled now and counted before fails; invalid now fails, invalid before is inconclusive."""
    assert {m for _, m in failed(gate(run(1, found=MODELLED), run(2), Thresholds()))} == {"energy"}
    assert {m for _, m in failed(gate(run(1, warnings=(INVALID,)), run(2), Thresholds()))} == {"energy"}
    assert not failed(gate(run(2), run(1, warnings=(INVALID,)), Thresholds()))


def test_quality_is_compared_on_the_same_samples():
    """A loss of two points on the same 1,000 samples fails, although the intervals overlap widely."""
    cell = CELLS[:1]
    right = np.ones(1000)
    right[:30] = 0
    worse = right.copy()
    worse[30:50] = 0

    def scored(value, samples):
        return replace(run(3, cell, quality=value), outputs={cell[0].case_id: StoredOutputs(samples)})

    assert failed(gate(scored(0.95, worse), scored(0.97, right), Thresholds())) == [(cell[0].case_id, "quality")]
    assert not failed(gate(scored(0.97, right), scored(0.97, right), Thresholds()))


def test_where_nothing_is_compared_the_run_fails():
    """Runs without a common case prove nothing."""
    assert failed(gate(run(1, CELLS[:1]), run(2, CELLS[1:2]), Thresholds()))
    assert caveats(run(1), run(2)) == []


def test_energies_that_were_not_measured_are_a_caveat():
    """A gate on modelled energies passes or fails, with a caveat."""
    a = run(1)
    modelled = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "modelled"}) for m in r.measurements)}) for r in a.records
    ]
    assert caveats(replace(a, records=tuple(modelled)), a) == [Caveat("modelled")]
