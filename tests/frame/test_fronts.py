"""Places of cases on the front of their run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import frame
from harness.frame.objectives import parse
from harness.schema import StoredRun
from tests.factories import (
    CARD,
    COUNTERS,
    MODELLED,
    answers,
    case,
    record,
    stored,
)
from tests.frame.helpers import DENSE, RIGHT, N, pair, per_sample


def on_two_devices(card_j: float) -> StoredRun:
    """The same model at 1 mJ on the processor, and with a card that takes 4/5 of `card_j`; gains of 5 and 7 %, hardly any scatter."""
    card = CARD[0].model_copy(update={"sensor": "acme", "detail": {}})
    cells, found = (case(), case(device="gpu")), (COUNTERS[0], card)
    records = [
        record(c, {name: joules * (1 + 1e-4 * k) for name, joules in energies.items()}, repetition=k, found=found)
        for c, energies in zip(cells, ({"package": 1e-3}, {"package": 0.2 * card_j, "gpu:0": 0.8 * card_j}), strict=True)
        for k in range(5)
    ]
    return replace(stored(cells, records, found), outputs=answers(records))


def test_gains_not_shared_by_two_cases_widen_their_difference():
    """6 % less with gains of 5 and 7 % is not separated, 60 % less is. By hand: ln .94 over hypot(.04, .056) is .90, so the other leads in 18 %."""
    cpu, gpu = (row for _, row in frame.cases([on_two_devices(0.94e-3)]).iterrows())
    assert not cpu.dominated and not gpu.dominated and cpu.front_group == gpu.front_group
    assert cpu.p_front == pytest.approx(0.18, abs=0.04)
    cpu, gpu = (row for _, row in frame.cases([on_two_devices(0.4e-3)]).iterrows())
    assert cpu.dominated and gpu.p_front == 1.0 and cpu.p_front == 0.0


def test_measured_and_modelled_cases_have_separate_fronts():
    """A modelled CPU case never competes with a measured GPU case, however small its figure."""
    gpu = case(device="gpu")
    domains = (*MODELLED, *CARD)
    records = [record(gpu, {"gpu:0": 9.0}, 9e-5, repetition=k, found=domains) for k in range(3)]
    records += [record(DENSE, {"package": 1.0, "dram": 0.1}, 1e-5, repetition=k, found=domains) for k in range(3)]
    assert frame.cases([stored([DENSE, gpu], records, domains)]).p_front.tolist() == [1, 1]


def test_the_front_compares_quality_on_the_same_samples():
    """Half the energy with one more error dominates, which unpaired intervals of 1,000 samples cannot show."""
    worse = RIGHT & (np.arange(N) != 500)
    assert pair(per_sample(RIGHT), per_sample(worse), (0.98, 0.979))[0].dominated
    assert not pair(None, None, (0.98, 0.979))[0].dominated
    assert not pair(per_sample(RIGHT), per_sample(np.arange(N) >= 80), (0.98, 0.92))[0].dominated


def test_another_objective_changes_which_case_is_dominated():
    """A case worse in energy and latency is dominated, but not with memory as an objective that it is better in."""
    cells = [case(), case("int8")]
    records = [
        record(c, latency_s=s, repetition=k, found=COUNTERS, peak_memory_bytes=m)
        for c, s, m in zip(cells, (20e-6, 10e-6), (1_000_000, 2_000_000), strict=True)
        for k in range(3)
    ]
    run = stored(cells, records, COUNTERS)
    for texts, lost in ((["energy", "latency"], True), (["energy", "latency", "memory"], False)):
        assert bool(frame.cases([run], parse(texts))["dominated"][0]) is lost


def test_a_single_launch_has_no_place():
    """It does not scatter, so its place would look certain; the other cases have theirs."""
    cells = case(), case("int8"), case("float16")
    records = [
        record(c, {"package": joules * (1 + 1e-3 * k)}, repetition=k, found=COUNTERS)
        for c, joules, launches in zip(cells, (1e-3, 0.9e-3, 0.5e-3), (5, 5, 1), strict=True)
        for k in range(launches)
    ]
    table = frame.cases([replace(stored(cells, records, COUNTERS), outputs=answers(records))]).set_index("variant")
    assert table["p_front"].isna().to_dict() == {"dense": False, "int8": False, "float16": True}
    assert table["dominated"].isna()["float16"]
