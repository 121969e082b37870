"""Conditions of a card in a repetition: sharing, use, throttling, and memory of the child."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.cards import Span, device_memory, remarks
from harness.schema import Domain, Phase, Sample, Trace

T_S = np.arange(-0.25, 6, 0.25)
SPAN = Span(load_s=0.0, idle=(1.0, 1.5), start_s=2.0, end_s=5.0)
PHASES = (Phase(name="load", start_s=0.0, end_s=1.0), Phase(name="steady", start_s=2.0, end_s=5.0))
MIB = 2**20
LOADED = (T_S > 1.8) & (T_S < 5.2)
QUANTITIES = {
    "utilization": "load",
    "memory_used": "memory",
    "child_memory": "memory",
    "foreign_processes": "count",
    "hidden_processes": "count",
    "temperature": "temperature",
    "memory_temperature": "temperature",
    "event_reasons": "flags",
}


def trace(without_reserve=True, device="gpu", **values) -> Trace:
    """A card that idles, is loaded from 1.8 s on, and holds the child's 500 MiB from 0.5 s on, by default; None: not reported."""
    usual = {
        "utilization": np.where(LOADED, 0.9, 0.0),
        "memory_used": 3 * MIB + np.where(T_S >= 0.5, 500 * MIB, 0),
        "child_memory": np.where(T_S >= 0.5, 500 * MIB, np.nan),
        "foreign_processes": 0 * T_S,
        "hidden_processes": 0 * T_S,
    }
    shown = {name: np.broadcast_to(each, T_S.shape) for name, each in (usual | values).items() if each is not None}
    domains = {
        f"gpu:0 {name}": Domain.model_validate(
            {
                "name": f"gpu:0 {name}",
                "sensor": "nvml",
                "quantity": QUANTITIES[name],
                "unit": "1",
                "device": device,
                "detail": {"without_reserve": without_reserve},
            }
        )
        for name in shown
    }
    return Trace(domains, {f"gpu:0 {name}": Sample(T_S, T_S, each.astype(float)) for name, each in shown.items()})


def found(seen: Trace, device: str | None = "gpu", span: Span = SPAN) -> dict[str, str]:
    """The sentence part of each remark by its code."""
    return {code: str(values.get("how", "")) for code, values in remarks(seen, span, {"gpu", "cpu"}, device)}


def test_a_card_without_other_processes_has_no_remark():
    """With the child's process named, hidden as in a container, or not listed at all."""
    assert found(trace()) == {}
    hidden = np.where(T_S >= 0.5, 1, 0)
    assert found(trace(child_memory=np.nan, hidden_processes=hidden)) == {}
    assert found(trace(child_memory=None, foreign_processes=None, hidden_processes=None)) == {}
    assert found(trace(utilization=None, memory_used=None)) == {}


def test_a_process_that_is_not_ours_shares_the_card():
    """Before or during the case; one that came after it did not."""
    assert "2 other processes were on it" in found(trace(foreign_processes=2))["card_shared"]
    assert "1 other process was on it" in found(trace(foreign_processes=np.where(T_S > 3, 1, 0)))["card_shared"]
    assert found(trace(foreign_processes=np.where(T_S > 5.1, 1, 0))) == {}


def test_a_hidden_process_is_ignored_but_its_memory_and_load_count():
    """A hidden process may be the child itself. Memory in use and load before the case belong to another process."""
    assert found(trace(hidden_processes=3)) == {}
    remarked = found(trace(hidden_processes=3, memory_used=3000 * MIB + np.where(T_S >= 0.5, 500 * MIB, 0), child_memory=np.nan))
    assert remarked["card_shared"] == "3,000 MiB of its memory were in use before the case"
    assert found(trace(utilization=np.where(LOADED, 1.0, 0.4)))["card_shared"] == "it was 40 % busy before the load began"


@pytest.mark.parametrize(
    ("used_mib", "without_reserve", "shared"), [(100, True, False), (400, True, True), (700, False, False), (1500, False, True)]
)
def test_what_the_driver_reserves_is_nobodys(used_mib, without_reserve, shared):
    """Older drivers count several hundred MiB of their own as used."""
    memory = (used_mib + np.where(T_S >= 0.5, 500, 0)) * MIB
    assert ("card_shared" in found(trace(without_reserve, memory_used=memory))) is shared


def test_what_the_case_before_left_behind_is_not_sharing():
    """Utilization is the mean of up to a second: a reading that still shows the last case, or the first query, is outvoted by the others."""
    tail = np.where((T_S < 0.1) | LOADED, 0.9, 0.0)
    first_query = np.where((np.abs(T_S - 1.25) < 0.1) | LOADED, 0.9, 0.0)
    assert found(trace(utilization=tail)) == found(trace(utilization=first_query)) == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"utilization": 0, "memory_used": 3 * MIB, "child_memory": np.nan}, True),
        ({"utilization": 0, "memory_used": 3 * MIB, "child_memory": None}, True),
        ({"utilization": 0.0, "child_memory": np.nan}, False),  # its memory rose
        ({"utilization": 0.0}, False),  # the driver names it on the card
        ({"memory_used": 3 * MIB, "child_memory": None}, False),  # the utilization rose
        ({"utilization": None, "memory_used": 3 * MIB, "child_memory": None}, False),  # one of the two is not known
        ({"utilization": 0, "memory_used": None, "child_memory": None}, False),
        ({"utilization": 0, "memory_used": None, "child_memory": 0.0}, True),  # everybody is named, and the child is not there
        ({"utilization": 0, "child_memory": 0.0, "foreign_processes": 1}, True),  # the memory that rose was another's
    ],
)
def test_a_card_that_did_nothing(changes, expected):
    """An engine that fell back to the CPU: neither the utilization nor the child's memory rose, as far as both are known."""
    assert ("card_not_used" in found(trace(**changes))) is expected


def test_a_case_on_the_cpu_need_not_use_the_card():
    """Whose energy the suite may count all the same."""
    idle = trace(utilization=0, memory_used=3 * MIB, child_memory=None)
    assert "card_not_used" in found(idle) and not {"card_not_used"} & (set(found(idle, "cpu")) | set(found(idle, None)))


def test_memory_may_be_hotter_than_the_die():
    """GDDR6X is made for 105 degC."""
    assert found(trace(memory_temperature=104)) == {}
    assert set(found(trace(memory_temperature=112))) == {"temperature_out_of_range"} == set(found(trace(temperature=99)))


def test_the_peak_memory_of_the_child():
    """By its own processes where the driver names them, else by the rise of the whole card, and null where neither is known."""
    peak = np.where(T_S == 3.0, 800 * MIB, np.where(T_S >= 0.5, 500 * MIB, np.nan))
    assert device_memory(trace(child_memory=peak), PHASES[:1], "gpu") == (800 * MIB, "process")
    assert device_memory(trace(child_memory=np.nan), PHASES[:1], "gpu") == (500 * MIB, "rise")
    assert device_memory(trace(child_memory=None), PHASES[:1], "gpu") == (500 * MIB, "rise")
    assert device_memory(trace(child_memory=None, memory_used=None), PHASES[:1], "gpu") == (None, None)
    assert device_memory(trace(child_memory=None), (), "gpu") == (None, None)
    assert device_memory(trace(), PHASES, "npu") == (None, None)


def test_memory_that_was_not_read_while_the_child_ran_is_not_known_to_be_0():
    """Where calls are slow it may be read before the case and after it alone."""
    around = np.where(LOADED, np.nan, 100.0 * MIB)
    for child in (np.nan, np.where(LOADED, np.nan, 0.0)):
        assert device_memory(trace(child_memory=child, memory_used=around), PHASES, "gpu") == (None, None)
    assert device_memory(trace(child_memory=np.nan, memory_used=100.0 * MIB), PHASES, "gpu") == (0, "rise")


def test_a_child_that_comes_to_be_hidden_does_not_hold_nothing():
    """Before it began a neighbour alone was listed, all named; then somebody is hidden: it may be the child."""
    early = np.where(T_S < 0.5, 0.0, np.nan)
    assert device_memory(trace(child_memory=early), PHASES[:1], "gpu") == (500 * MIB, "rise")
    assert device_memory(trace(child_memory=0.0), PHASES[:1], "gpu") == (0, "process")


def test_a_case_on_the_cpu_holds_no_device_memory():
    """Nor does a build."""
    assert device_memory(trace(), PHASES, "cpu") == device_memory(trace(), PHASES, None) == (None, None)
