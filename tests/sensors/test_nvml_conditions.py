"""Conditions of an NVIDIA card, read from the simulated driver."""

from __future__ import annotations

import os
import time

import pytest

from tests.sensors.conftest import by_name


def test_conditions_in_si_units(driver):
    """degC, Hz, shares of 1, bytes, s, event reasons as flags, and numbers of processes."""
    sensor = driver(
        origin_s=time.monotonic() - 100, temperature_c=61, sm_clock_mhz=1410, utilization=87, memory_used_bytes=5e9, reasons=0x44,
        memory_temperature_c=70, power_capped=0.25, slowed=0.01, process_pids=f"{os.getpid()} 999999999",
    )  # fmt: skip
    domains = by_name(sensor)
    read = {name.removeprefix("gpu:0 "): sensor.read(name) for name, domain in domains.items() if domain.kind is None}
    assert read.pop("power_capped_time") == pytest.approx(25, rel=0.01)
    assert read.pop("slowed_time") == pytest.approx(1, rel=0.01)
    assert read == {
        "temperature": 61,
        "sm_clock": 1.41e9,
        "utilization": 0.87,
        "memory_used": 5e9,
        "event_reasons": 0x44,
        "memory_clock": 2.619e9,
        "memory_temperature": 70,
        "pcie_generation": 5,
        "pcie_width": 16,
        "child_memory": 2**20,
        "foreign_processes": 0,
        "hidden_processes": 1,
    }
    assert domains["gpu:0 event_reasons"].quantity == "flags"


@pytest.mark.parametrize(
    ("refused", "lost"),
    [
        ("memory_clock", {"memory_clock"}),
        ("memory_temperature", {"memory_temperature"}),
        ("pcie", {"pcie_generation", "pcie_width"}),
        ("violation_fields", set()),
        ("violation_status", set()),
        ("processes", {"child_memory", "foreign_processes", "hidden_processes"}),
        ("memory_v2", set()),
    ],
)
@pytest.mark.parametrize("code", [3, 4, 13, 999])
def test_a_refused_reading_does_not_affect_the_others(driver, refused, lost, code):
    """Not supported, not permitted, not known to the driver, or failed."""
    every, left = by_name(driver()), by_name(driver(**{f"refuse_{refused}": code}))
    assert {name.removeprefix("gpu:0 ") for name in set(every) - set(left)} == lost
    assert left["gpu:0"].quantity == "energy"


def test_time_counters_fall_back_to_the_older_call(driver):
    """If neither is supported they are absent."""
    old = driver(origin_s=time.monotonic() - 100, power_capped=0.5, slowed=0.1, refuse_violation_fields=13)
    old.open()
    assert old.read("gpu:0 power_capped_time") == pytest.approx(50, rel=0.01)
    assert old.read("gpu:0 slowed_time") == pytest.approx(10, rel=0.01)
    neither = by_name(driver(refuse_violation_fields=13, refuse_violation_status=3))
    assert not any(domain.quantity == "duration" for domain in neither.values())


def test_memory_in_use_excludes_the_drivers_reserve(driver):
    """If the driver reports the two separately; `without_reserve` records it."""
    for refused, expected in ((0, 5e8), (13, 1.1e9)):
        sensor = driver(memory_used_bytes=5e8, memory_reserved_bytes=6e8, refuse_memory_v2=refused)
        domain = by_name(sensor)["gpu:0 memory_used"]
        assert (sensor.read("gpu:0 memory_used"), domain.detail["without_reserve"]) == (expected, not refused)


def test_a_card_without_cases_has_few_conditions(driver, monkeypatch):
    """With eight cards and slow calls, the others would delay reads of the card that counts."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    domains = by_name(driver(devices=2))
    conditions = {name for name, domain in domains.items() if domain.kind is None}
    own, other = ({name for name in conditions if name.startswith(card)} for card in ("gpu:0", "gpu:1"))
    assert len(other) == 5 < len(own)


def test_unsupported_conditions_are_no_domains(driver):
    """Absent, not 0."""
    assert set(by_name(driver(conditions=0))) == {"gpu:0", "gpu:0 power", "gpu:0 average power"}
