"""The NVML sensor on a simulated driver with known power."""

from __future__ import annotations

import math
import time

import pytest

from harness.errors import SensorError
from harness.run.timing import Timing
from harness.schema import PROFILES, Limits
from tests.sensors.conftest import by_name


def test_a_counter_has_a_power_reading(driver):
    """The power reading refers to the counter, so that the two are not added."""
    domains = by_name(driver(limit_w=350))
    assert domains["gpu:0"].quantity == "energy" and domains["gpu:0"].unit == "J"
    assert domains["gpu:0 power"].counter == "gpu:0" and domains["gpu:0 power"].quantity == "power"
    assert domains["gpu:0"].limit_w == 350 and domains["gpu:0"].gain == 0.07
    assert {d.device for d in domains.values()} == {"gpu"}


def test_the_counter_is_in_joules(driver):
    """A constant 150 W for 10 s is 1,500 J."""
    sensor = driver(origin_s=time.monotonic() - 10, counter_start_j=0)
    sensor.open()
    assert sensor.read("gpu:0") == pytest.approx(1500, rel=0.2)
    assert sensor.read("gpu:0 power") == pytest.approx(150)


def test_without_a_counter_the_power_is_the_domain(driver):
    """The reading that covers its whole period is preferred to the one that covers a quarter."""
    domains = by_name(driver(counter=0))
    assert domains["gpu:0"].quantity == "power" and domains["gpu:0"].counter is None
    assert domains["gpu:0"].detail["reading"] == "POWER_AVERAGE"
    assert domains["gpu:0"].average_s == 1.0
    assert "gpu:0 power" not in domains


@pytest.mark.parametrize(
    ("settings", "part_time"), [({}, False), ({"field_average": 0}, True), ({"field_average": 0, "field_instant": 0}, True)]
)
def test_a_reading_that_may_miss_part_of_the_load_is_part_time(driver, settings, part_time):
    """The phase of the load is then shifted."""
    assert by_name(driver(counter=0, **settings))["gpu:0"].part_time is part_time


def test_average_power_is_read_in_addition_to_a_counter(driver):
    """It may replace the counter within a bound; the part-time reading shifts no load, since there is a counter."""
    domains = by_name(driver())
    powers = {name: domain for name, domain in domains.items() if domain.counter == "gpu:0"}
    assert {name: domain.part_time for name, domain in powers.items()} == {"gpu:0 power": True, "gpu:0 average power": False}
    assert powers["gpu:0 average power"].average_s == 1.0
    profile = PROFILES["quick"]
    assert Timing(tuple(domains.values()), "gpu", None, profile, Limits()).shift_s is None
    assert "gpu:0 average power" not in by_name(driver(field_average=0))


def test_a_simulated_driver_is_simulated(driver):
    """By its version; any other driver gives counters and samples."""
    assert {d.kind for d in driver().open()} == {"simulated", None}
    domains = by_name(driver(driver="580.65.06"))
    assert domains["gpu:0"].kind == "counter" and domains["gpu:0 power"].kind == "sampled"


def test_several_gpus_have_their_uuids(driver, monkeypatch):
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
    """The first card that CUDA programs see, or none; the others are devices of their own."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    domains = [d for d in driver(devices=2, gpu1_mig=1).open() if d.quantity == "energy"]
    assert [d.name for d in domains if d.device == "gpu"] == ([own] if own else [])
    given = [d.detail["visible"] for d in domains if "visible" in d.detail]
    assert given == (["GPU-simulated-0"] if own == "gpu:0" else []), "a MIG card's own UUID names no instance"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_single_hidden_card_is_no_gpu(driver, monkeypatch, visible):
    """No CUDA program can run on it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert {d.device for d in driver().open()} == {"gpu:0"}


def test_an_unknown_instance_belongs_to_the_only_card_in_mig_mode(driver, monkeypatch):
    """Older drivers do not find a card by the UUID of an instance."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-c0ffee")
    domains = driver(devices=2, gpu1_mig=1).open()
    assert {d.device for d in domains if d.name == "gpu:1"} == {"gpu"}
    assert "gpu" not in {d.device for d in driver(devices=2, mig=1).open()}


def test_a_failed_card_does_not_affect_the_others(driver):
    """The second of three has fallen off the bus; if all have, the error is raised."""
    sensor = driver(devices=3, gpu1_error_at_s=-1)
    assert {name.partition(" ")[0] for name in by_name(sensor)} == {"gpu:0", "gpu:2"}
    assert "fallen off the bus" in {d["domain"]: d for d in sensor.describe()}["gpu:1"]["left_out"]
    with pytest.raises(SensorError, match="fallen off the bus"):
        driver(error_at_s=-1).open()


def test_no_gpu_behind_a_working_driver(driver):
    """An error with a remedy, not a sensor without domains."""
    with pytest.raises(SensorError, match="no GPU"):
        driver(devices=0).open()


def test_a_lost_gpu_raises_until_it_is_back(driver):
    """Reads before and after the failure are valid."""
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


def test_selected_cards_are_read_like_the_first(driver, monkeypatch):
    """With all conditions and their mean power, and the UUID that the child gets; their device stays their own."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    plain, sensor = by_name(driver(devices=3)), driver(devices=3)
    sensor.select({"GPU-simulated-2"})
    domains = by_name(sensor)
    assert {name for name in domains if name not in plain} >= {"gpu:2 average power", "gpu:2 memory_clock", "gpu:2 child_memory"}
    assert domains["gpu:2"].detail["visible"] == "GPU-simulated-2" and domains["gpu:2"].device == "gpu:2"
    assert "visible" not in domains["gpu:1"].detail


@pytest.mark.parametrize(("visible", "reasons"), [(None, [None, None]), ("1", ["hides it", None]), ("", ["hides it", "hides it"])])
def test_a_hidden_card_cannot_be_selected(driver, monkeypatch, visible, reasons):
    """The reason names the variable."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [d.detail.get("not_selectable") for d in driver(devices=2).open() if d.quantity == "energy"]
    assert [reason and "hides it" in reason and "hides it" for reason in found] == reasons


def test_a_partitioned_card_cannot_be_selected_by_its_uuid(driver):
    """Its UUID selects no instance."""
    sensor = driver(devices=2, gpu1_mig=1)
    sensor.select({"GPU-simulated-1"})
    domain = by_name(sensor)["gpu:1"]
    assert "MIG" in domain.detail["not_selectable"] and "visible" not in domain.detail


def test_the_power_limit_and_its_default_are_known(driver):
    """A limit below the default is a setting of the user."""
    domain = by_name(driver(limit_w=200, limit_default_w=300))["gpu:0"]
    assert (domain.limit_w, domain.detail["power_limit_default_w"]) == (200, 300)
