"""Which runs pass: noise does, what became worse does not, and what cannot be compared is told or fails."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.decide.gate import Check, Thresholds, caveats, gate, read_thresholds, unseen
from harness.errors import SuiteError
from harness.report.verdicts import junit, summary
from harness.schema import Answers
from tests.factories import CARD, COUNTERS, INVALID, MODELLED, case, record, stored

CELLS = [case(v, "litert", b) for v in ("dense", "int8", "float16") for b in (1, 32)]


def run(seed=0, cells=CELLS, factor=None, found=COUNTERS[:2], quality=0.97, **changes):
    """Five launches of each cell at an sd of 1 %; `factor` times the energy of a case."""
    rng, records = np.random.default_rng(seed), []
    for cell in cells:
        for k in range(5):
            joules = 1e-4 * float(rng.normal(1, 0.01)) * (factor or {}).get(cell.case_id, 1.0)
            energies = {d.name: joules for d in found}
            records.append(record(cell, energies, 25e-6 * float(rng.normal(1, 0.01)), quality, k, found, **changes))
    return stored(cells, records, found, "standard")


def failed(verdicts):
    return [(v.case_id, v.metric) for v in verdicts if v.outcome == "fail"]


def test_noise_passes_and_a_row_that_became_worse_fails():
    """The same cases with other noise pass; 8 % more energy in one row fails that row alone."""
    assert not failed(gate(run(1), run(2), Thresholds()))
    worse = CELLS[3].case_id
    assert failed(gate(run(1, factor={worse: 1.08}), run(2), Thresholds())) == [(worse, "energy")]


def test_a_gate_says_what_it_would_not_have_seen():
    """The more the launches scatter, the more; never less than the threshold lets through."""
    (told,) = unseen(gate(run(1), run(2), Thresholds(energy=0.0, latency=0.3, quality=None, memory=None)))
    assert "% in energy, 30 % in latency passes" in told and 1 < float(told.split("up to ")[1].split(" %")[0]) < 4
    noisy = [Check("a case", "energy", "pass", "", 0.5, share) for share in (0.1, 1e300, 1e300)]
    assert unseen(noisy) == ["in the median case a rise of up to over 1,000 % in energy passes"]
    assert unseen([]) == []


def test_less_energy_passes_and_a_threshold_lets_through():
    """Better is no failure, nor is worse by less than the user lets through."""
    name = CELLS[0].case_id
    assert not failed(gate(run(1, factor={name: 0.5}), run(2), Thresholds()))
    assert not failed(gate(run(1, factor={name: 1.08}), run(2), Thresholds(energy=0.2)))
    assert not failed(gate(run(1, factor={name: 1.08}), run(2), Thresholds(energy=None)))


def on_gpu(seed, peak=500e6, source="process", **changes):
    """One case on a CPU and one on a GPU that holds so much of its memory."""
    cells = [CELLS[0], case("dense", "tensorflow", device="gpu")]
    found = run(seed, cells, **changes)
    held = {"peak_device_memory_bytes": peak and int(peak), "peak_device_memory_source": peak and source}
    records = [r.model_copy(update=held) if r.case_id == cells[1].case_id else r for r in found.records]
    return replace(found, records=tuple(records))


def test_the_memory_of_an_accelerator_is_judged_where_there_is_one():
    """Of the GPU case alone; a run without one shares its error among the other metrics as before."""
    name = case("dense", "tensorflow", device="gpu").case_id
    assert not failed(gate(on_gpu(1), on_gpu(2), Thresholds()))
    assert failed(gate(on_gpu(1, 600e6), on_gpu(2), Thresholds())) == [(name, "device_memory")]
    assert not failed(gate(on_gpu(1, 600e6), on_gpu(2), Thresholds(device_memory=None)))
    assert failed(gate(on_gpu(1, None), on_gpu(2), Thresholds())) == [(name, "device_memory")]
    assert {v.metric for v in gate(run(1), run(2), Thresholds())} == {"energy", "latency", "quality", "memory"}


def test_the_same_case_on_another_card_of_the_box_is_judged_and_the_cards_are_named():
    """Card 3 now and card 0 before are both `gpu`: the energy is compared, and the caveat holds both UUIDs."""
    other = CARD[0].model_copy(update={"name": "gpu:3", "detail": {**CARD[0].detail, "uuid": "GPU-other"}})
    cells = [case("dense", "tensorflow", device="gpu")]
    now, before = run(1, cells, found=(other,)), run(2, cells, found=CARD[:1])
    assert {v.outcome for v in gate(now, before, Thresholds()) if v.metric == "energy"} == {"pass"}
    assert failed(gate(run(1, cells, {cells[0].case_id: 1.2}, (other,)), before, Thresholds())) == [(cells[0].case_id, "energy")]
    (told,) = [said for said in caveats(now, before) if "cards differ" in said]
    assert "GPU-4090" in told and "GPU-other" in told
    assert not caveats(run(3, cells, found=CARD[:1]), before)


def test_a_process_is_not_compared_with_a_whole_card():
    """The rise of a card's memory holds what the driver keeps for a process, which its own figure does not."""
    (verdict,) = [v for v in gate(on_gpu(1, 700e6, "rise"), on_gpu(2), Thresholds()) if v.metric == "device_memory"]
    assert verdict.outcome == "told" and "rise" in verdict.sentence and "process" in verdict.sentence


def test_what_was_there_and_is_not_fails_and_what_is_new_is_told():
    """A missing case, and one that is not ok now, fail; a new one passes."""
    base, fewer = run(1), run(2, CELLS[:-1])
    assert failed(gate(fewer, base, Thresholds())) == [(CELLS[-1].case_id, "case")]
    assert [v.outcome for v in gate(base, fewer, Thresholds()) if v.metric == "case"] == ["told"]
    lost = {"status": "oom", "reason": "no memory", "measurements": (), "latency": None, "quality": None}
    gone = replace(base, records=tuple(r.model_copy(update=lost) if r.case_id == CELLS[0].case_id else r for r in base.records))
    assert failed(gate(gone, base, Thresholds())) == [(CELLS[0].case_id, "case")]
    assert not failed(gate(base, gone, Thresholds()))


def test_energy_of_another_kind_or_invalid_is_never_compared():
    """Modelled beside counted fails; invalid now fails, invalid before is told."""
    assert {m for _, m in failed(gate(run(1, found=MODELLED), run(2), Thresholds()))} == {"energy"}
    assert {m for _, m in failed(gate(run(1, warnings=(INVALID,)), run(2), Thresholds()))} == {"energy"}
    assert not failed(gate(run(2), run(1, warnings=(INVALID,)), Thresholds()))


def test_quality_is_compared_on_the_same_samples():
    """Two points lost on the same 1,000 samples fail, though the intervals overlap widely."""
    cell = CELLS[:1]
    right = np.ones(1000)
    right[:30] = 0
    worse = right.copy()
    worse[30:50] = 0

    def told(value, samples):
        return replace(run(3, cell, quality=value), answers={cell[0].case_id: Answers(samples)})

    assert failed(gate(told(0.95, worse), told(0.97, right), Thresholds())) == [(cell[0].case_id, "quality")]
    assert not failed(gate(told(0.97, right), told(0.97, right), Thresholds()))


def test_where_nothing_is_compared_the_run_fails():
    """Runs of different cases show nothing."""
    assert failed(gate(run(1, CELLS[:1]), run(2, CELLS[1:2]), Thresholds()))
    assert caveats(run(1), run(2)) == []


def test_energies_that_nobody_measured_are_named():
    """A gate on a model's joules may pass or fail; whoever reads it is told."""
    a = run(1)
    modelled = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "modelled"}) for m in r.measurements)}) for r in a.records
    ]
    assert caveats(replace(a, records=tuple(modelled)), a) == ["energy is modelled in some cases: nobody measured it"]


def test_thresholds_are_read_with_the_place_of_what_is_wrong(tmp_path):
    """File, line, and the nearest name."""
    path = tmp_path / "gate.yaml"
    path.write_text("energy: 0.03\nlatency: null\n")
    assert read_thresholds(path) == Thresholds(energy=0.03, latency=None)
    for text, said in (
        ("energy: 0.1\nlatencey: 0.1\n", ":2: there is no threshold 'latencey'; did you mean 'latency'"),
        ("energy: lots\n", ":1: 'energy' must be"),
    ):
        path.write_text(text)
        with pytest.raises(SuiteError, match=said):
            read_thresholds(path)
    path.write_text("quality: 25.0\n")
    assert read_thresholds(path).quality == 25.0, "it is in the metric's own unit"


def test_names_cannot_break_out_of_the_files():
    """Markup in a case's name or a reason is text in XML and in Markdown."""
    evil = '"/><failure>|\n# <b>'
    found = [v._replace(case_id=evil, sentence=evil) for v in gate(run(2, CELLS[:-1]), run(1), Thresholds())]
    tree = ElementTree.fromstring(junit(found, [evil], evil))
    assert {node.text for node in tree.findall("testcase/failure")} == {node.get("message") for node in tree.findall("testcase/failure")}
    assert tree.get("failures") == str(len(tree.findall("testcase/failure"))) == "1"
    assert "<b>" not in summary(found, [evil], evil)
    assert "\n# " not in summary(found, [evil], evil)
