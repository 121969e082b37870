"""The real NVML sensor on a simulated driver whose power is known."""

from __future__ import annotations

import math
import os
import subprocess
import time

import pytest

from harness.environment import environment
from harness.errors import SensorError
from harness.run.timing import Timing
from harness.schema import PROFILES, Limits
from harness.sensors.nvml_driver import ERRORS
from harness.sensors.nvml_processes import is_ours


def by_name(sensor):
    return {domain.name: domain for domain in sensor.open()}


def test_a_gpu_with_a_counter_has_its_power_beside_it(driver):
    """The counter is the domain; the gauge names the counter, so that nobody adds the two."""
    domains = by_name(driver(limit_w=350))
    assert domains["gpu:0"].quantity == "energy" and domains["gpu:0"].unit == "J"
    assert domains["gpu:0 power"].counter == "gpu:0" and domains["gpu:0 power"].quantity == "power"
    assert domains["gpu:0"].limit_w == 350 and domains["gpu:0"].gain == 0.07
    assert {d.device for d in domains.values()} == {"gpu"}


def test_the_counter_is_in_joules(driver):
    """A constant 150 W since 10 s ago is 1,500 J beyond the start."""
    sensor = driver(origin_s=time.monotonic() - 10, counter_start_j=0)
    sensor.open()
    assert sensor.read("gpu:0") == pytest.approx(1500, rel=0.2)
    assert sensor.read("gpu:0 power") == pytest.approx(150)


def test_without_a_counter_the_power_is_the_domain(driver):
    """And the reading that covers its whole period is preferred to the one that sees a quarter of it."""
    domains = by_name(driver(counter=0))
    assert domains["gpu:0"].quantity == "power" and domains["gpu:0"].counter is None
    assert domains["gpu:0"].detail["reading"] == "POWER_AVERAGE"
    assert domains["gpu:0"].average_s == 1.0
    assert "gpu:0 power" not in domains


@pytest.mark.parametrize(
    ("settings", "part_time"), [({}, False), ({"field_average": 0}, True), ({"field_average": 0, "field_instant": 0}, True)]
)
def test_a_reading_that_may_miss_a_part_of_the_load_says_so(driver, settings, part_time):
    """The load's phase is then shifted; beside a counter no power need be."""
    assert by_name(driver(counter=0, **settings))["gpu:0"].part_time is part_time


def test_of_the_readings_beside_a_counter_that_which_misses_nothing_may_stand_in_for_it(driver):
    """With a bound; the other one sees a part of its period, and shifts no load, since the counter needs none."""
    domains = by_name(driver())
    beside = {name: domain for name, domain in domains.items() if domain.counter == "gpu:0"}
    assert {name: domain.part_time for name, domain in beside.items()} == {"gpu:0 power": True, "gpu:0 average power": False}
    assert beside["gpu:0 average power"].average_s == 1.0
    profile = PROFILES["quick"]
    assert Timing(tuple(domains.values()), "gpu", None, profile, Limits()).shift_s is None
    assert "gpu:0 average power" not in by_name(driver(field_average=0))


@pytest.mark.parametrize(
    ("settings", "reading"),
    [
        ({}, "POWER_INSTANT"),
        ({"field_instant": 0}, "POWER_AVERAGE"),
        ({"field_instant": 0, "field_average": 0}, "nvmlDeviceGetPowerUsage"),
    ],
)
def test_a_field_that_failed_is_not_read_as_zero(driver, settings, reading):
    """NVML's call succeeds although the field failed; the next reading is taken instead, and still tells 150 W."""
    sensor = driver(**settings)
    assert by_name(sensor)["gpu:0 power"].detail["reading"] == reading
    assert sensor.read("gpu:0 power") == pytest.approx(150)


def test_whatever_comes_from_this_driver_is_simulated(driver):
    """It says so in its version; a driver that does not say so gives counters and samples."""
    assert {d.kind for d in driver().open()} == {"simulated", None}
    domains = by_name(driver(driver="580.65.06"))
    assert domains["gpu:0"].kind == "counter" and domains["gpu:0 power"].kind == "sampled"


def test_conditions_in_si_units(driver):
    """degC, Hz, a share of 1, bytes, s, the event reasons as flags, and how many processes there are."""
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
def test_a_reading_that_is_refused_costs_itself_alone(driver, refused, lost, code):
    """Not supported, not permitted, not known to the driver, or failed: the energy and the other conditions stay."""
    whole, left = by_name(driver()), by_name(driver(**{f"refuse_{refused}": code}))
    assert {name.removeprefix("gpu:0 ") for name in set(whole) - set(left)} == lost
    assert left["gpu:0"].quantity == "energy"


def test_time_counters_come_from_older_calls_where_the_fields_are_not_known(driver):
    """And are absent where neither is: the event reasons are then all there is."""
    old = driver(origin_s=time.monotonic() - 100, power_capped=0.5, slowed=0.1, refuse_violation_fields=13)
    old.open()
    assert old.read("gpu:0 power_capped_time") == pytest.approx(50, rel=0.01)
    assert old.read("gpu:0 slowed_time") == pytest.approx(10, rel=0.01)
    neither = by_name(driver(refuse_violation_fields=13, refuse_violation_status=3))
    assert not any(domain.quantity == "duration" for domain in neither.values())


def test_memory_in_use_is_without_the_drivers_reserve_where_it_is_told_apart(driver):
    """Else what counts as nobody's is more."""
    for refused, expected in ((0, 5e8), (13, 1.1e9)):
        sensor = driver(memory_used_bytes=5e8, memory_reserved_bytes=6e8, refuse_memory_v2=refused)
        domain = by_name(sensor)["gpu:0 memory_used"]
        assert (sensor.read("gpu:0 memory_used"), domain.detail["without_reserve"]) == (expected, not refused)


def test_a_card_that_no_case_is_charged_with_is_asked_for_little(driver, monkeypatch):
    """With eight cards and slow calls the others would keep the sampler from the one that counts."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    domains = by_name(driver(devices=2))
    conditions = {name for name, domain in domains.items() if domain.kind is None}
    own, other = ({name for name in conditions if name.startswith(card)} for card in ("gpu:0", "gpu:1"))
    assert len(other) == 5 < len(own)


def test_processes_on_the_card_are_ours_foreign_or_hidden(driver):
    """Ours descend from the measured process; a number that names no process here is hidden: in a container the driver reports the host's."""
    with subprocess.Popen(["sleep", "30"]) as ours, subprocess.Popen(["sleep", "30"], start_new_session=True) as second:
        try:
            sensor = driver(process_pids=f"{ours.pid} 1 999999999", process_memory_bytes=3e8)
            sensor.open()
            sensor.watch(ours.pid)
            assert (sensor.read("gpu:0 foreign_processes"), sensor.read("gpu:0 hidden_processes")) == (1, 1)
            assert sensor.read("gpu:0 child_memory") == 3e8
            assert is_ours(second.pid, None) and not is_ours(1, ours.pid)
        finally:
            ours.kill()
            second.kill()


@pytest.mark.parametrize(
    ("pids", "memory", "expected"),
    [("", 0, None), ("999999999", 1e9, None), ("1 999999999", 1e9, None), ("1", 1e9, 0.0), (f"{os.getpid()}", -1, None)],
    ids=["none", "hidden", "one hidden", "foreign", "own without memory"],
)
def test_the_memory_of_a_process_that_the_driver_does_not_name_is_missing(driver, pids, memory, expected):
    """Not 0: it may be one of the hidden ones, or the driver may list nobody. Only where everybody else is named it is none."""
    sensor = driver(process_pids=pids, process_memory_bytes=memory)
    assert "gpu:0 child_memory" in by_name(sensor)
    if expected is None:
        with pytest.raises(SensorError, match="does not name the measured process"):
            sensor.read("gpu:0 child_memory")
    else:
        assert sensor.read("gpu:0 child_memory") == expected


def test_an_old_driver_lists_its_processes_by_the_older_call(driver):
    """There pynvml raises an error that is no NVMLError for the call without a version."""
    sensor = driver(processes_v3=0, pids=2)
    assert "gpu:0 foreign_processes" in by_name(sensor)
    assert sensor.describe()[0]["pids"] == [1000, 1001]


def test_conditions_that_are_not_supported_are_no_domains(driver):
    """Absent, not 0."""
    assert set(by_name(driver(conditions=0))) == {"gpu:0", "gpu:0 power", "gpu:0 average power"}


def test_several_gpus_are_told_apart_by_uuid(driver, monkeypatch):
    """CUDA_VISIBLE_DEVICES reorders CUDA, not NVML."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    sensor = driver(devices=2, gpu1_high_w=300, gpu1_counter=0)
    domains = by_name(sensor)
    assert [domains[name].detail["uuid"] for name in ("gpu:0", "gpu:1")] == ["GPU-simulated-0", "GPU-simulated-1"]
    assert domains["gpu:0"].quantity == "energy" and domains["gpu:1"].quantity == "power"
    assert sensor.read("gpu:1") == pytest.approx(300)


@pytest.mark.parametrize(
    ("visible", "own"),
    [
        (None, "gpu:0"),
        ("", None),
        ("-1", None),
        ("7", None),
        ("1", "gpu:1"),
        ("1,0", "gpu:1"),
        ("GPU-simulated-1", "gpu:1"),
        ("GPU-simulated-0,GPU-simulated-1", "gpu:0"),
        ("GPU-simulated", None),
        ("MIG-simulated-1", "gpu:1"),
    ],
)
def test_a_case_is_charged_with_the_card_that_it_runs_on(driver, monkeypatch, visible, own):
    """The first that CUDA shows to a program, or none; the others are devices of their own."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    domains = [d for d in driver(devices=2, gpu1_mig=1).open() if d.quantity == "energy"]
    assert [d.name for d in domains if d.device == "gpu"] == ([own] if own else [])
    given = [d.detail["visible"] for d in domains if "visible" in d.detail]
    assert given == (["GPU-simulated-0"] if own == "gpu:0" else []), "a MIG card's own UUID names no instance"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_sole_card_that_cuda_hides_is_no_gpu(driver, monkeypatch, visible):
    """A program that runs on it cannot be."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert {d.device for d in driver().open()} == {"gpu:0"}


def test_an_instance_that_the_driver_does_not_know_is_of_the_only_card_in_mig_mode(driver, monkeypatch):
    """Older drivers do not find a card by the name of an instance."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-c0ffee")
    domains = driver(devices=2, gpu1_mig=1).open()
    assert {d.device for d in domains if d.name == "gpu:1"} == {"gpu"}
    assert "gpu" not in {d.device for d in driver(devices=2, mig=1).open()}


def test_a_mig_instance_has_no_power_of_its_own(driver):
    """The figure is labelled as the whole GPU's."""
    assert by_name(driver(mig=1))["gpu:0"].detail["scope"] == "whole GPU"
    assert by_name(driver(mig=0))["gpu:0"].detail["scope"] == "GPU"
    assert by_name(driver(name="NVIDIA GH200 480GB"))["gpu:0"].detail["scope"] == "module"


def test_describe_tells_the_device_and_who_else_is_on_it(driver):
    """Hidden processes are null, none are an empty list."""
    sensor = driver(pids=2, mig=0)
    sensor.open()
    (facts,) = sensor.describe()
    assert facts["uuid"] == "GPU-simulated-0" and facts["driver"] == "simulated 1.0" and facts["power_limit_w"] == 300
    assert facts["pids"] == [1000, 1001] and facts["persistence"] is True and facts["mig"] is False
    assert facts["sm_clock_max_hz"] == 1.98e9
    assert facts["compute_capability"] == "9.0" and facts["cuda_driver_version"] == "12.8" and facts["ecc"] is True
    assert facts["sm_clock_application_hz"] == 1.98e9 and facts["memory_clock_application_hz"] == 2.619e9
    assert (facts["pcie_generation"], facts["pcie_width"], facts["pcie_generation_max"], facts["pcie_width_max"]) == (5, 16, 5, 16)
    assert (facts["ecc_errors_corrected"], facts["ecc_errors_uncorrected"]) == (0, 0)
    assert facts["memory_temperature_degc"] == 50 and facts["memory_clock_now_hz"] == 2.619e9 and facts["clocks_set"] is False
    hidden = driver(hide_pids=1)
    hidden.open()
    assert hidden.describe()[0]["pids"] is None and hidden.describe()[0]["hidden_pids"] is None
    unresolved = driver(process_pids="1 999999999")
    unresolved.open()
    assert (unresolved.describe()[0]["pids"], unresolved.describe()[0]["hidden_pids"]) == ([1, 999999999], [999999999])


@pytest.mark.parametrize(
    ("refused", "unknown"),
    [
        ("ecc", {"ecc", "ecc_pending"}),
        ("ecc_errors", {"ecc_errors_corrected", "ecc_errors_uncorrected"}),
        ("pcie", {"pcie_generation", "pcie_width", "pcie_generation_max", "pcie_width_max"}),
        ("capability", {"compute_capability"}),
        ("cuda", {"cuda_driver_version", "nvml_version"}),
        ("compute_mode", {"compute_mode"}),
        (
            "application_clocks",
            {f"{clock}_clock_{which}_hz" for clock in ("sm", "memory") for which in ("application", "application_default")},
        ),
    ],
)
def test_a_fact_that_is_refused_is_null_and_the_others_stay(driver, refused, unknown):
    """Not supported is not 0, nor no."""
    sensor = driver(**{f"refuse_{refused}": 3})
    sensor.open()
    (facts,) = sensor.describe()
    whole = driver()
    whole.open()
    assert {name for name, value in facts.items() if value is None and whole.describe()[0][name] is not None} == unknown


def test_what_changes_from_minute_to_minute_makes_no_other_environment(driver):
    """A warmer card with other processes on it is the same machine; one with ECC off is another."""

    def identity_of(**settings):
        sensor = driver(**settings)
        sensor.open()
        return environment(sensor.describe()).environment_id

    assert identity_of() == identity_of(
        memory_temperature_c=80,
        memory_clock_mhz=405,
        sm_clock_mhz=210,
        pcie_generation=1,
        pids=3,
        ecc_corrected=4,
        memory_used_bytes=9e9,
        reasons=2,
    )
    assert identity_of() != identity_of(ecc=0)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_each_error_of_the_driver_has_its_sentence_and_next_step(driver, code):
    """Not a number alone."""
    with pytest.raises(SensorError) as caught:
        driver(init_error=code).open()
    assert caught.value.what.startswith(ERRORS[code][0]) and f"error {code}" in caught.value.what
    assert caught.value.hint


def test_a_lost_card_does_not_cost_the_others(driver):
    """The second of three has fallen off the bus; when all have, the reason is told."""
    sensor = driver(devices=3, gpu1_error_at_s=-1)
    assert {name.partition(" ")[0] for name in by_name(sensor)} == {"gpu:0", "gpu:2"}
    assert "fallen off the bus" in {d["domain"]: d for d in sensor.describe()}["gpu:1"]["left_out"]
    with pytest.raises(SensorError, match="fallen off the bus"):
        driver(error_at_s=-1).open()


def test_no_gpu_behind_a_working_driver(driver):
    """It is an error with a next step, not a sensor without domains."""
    with pytest.raises(SensorError, match="no GPU"):
        driver(devices=0).open()


def test_a_gpu_that_is_lost_is_missing_and_comes_back(driver):
    """A failed read raises; the reads around it are good."""
    sensor = driver(origin_s=time.monotonic() - 5, error_at_s=6, error_until_s=7, error_code=15)
    sensor.open()
    assert sensor.read("gpu:0") > 1000
    sensor = driver(origin_s=time.monotonic() - 5, error_at_s=5.2, error_until_s=math.inf)
    sensor.open()
    time.sleep(0.25)
    with pytest.raises(SensorError, match="fallen off the bus"):
        sensor.read("gpu:0")
    with pytest.raises(SensorError, match="fallen off the bus"):
        sensor.read("gpu:0 power")
