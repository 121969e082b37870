"""The simulated driver: its readings agree with the truth that it exports, and each fault is the one it is named for."""

from __future__ import annotations

import time

import pytest

from tests.instruments import nvml
from tests.sensors.conftest import driver

__all__ = ["driver"]
LONG_AGO_S = 10.0


def opened(driver, **settings):
    """The sensor on a driver that was loaded ten seconds ago."""
    sensor = driver(origin_s=time.monotonic() - LONG_AGO_S, counter_start_j=0, **settings)
    sensor.open()
    return sensor


@pytest.mark.parametrize("wave", ["constant", "square", "ramp", "sine"])
def test_the_counter_shows_the_truth(tmp_path, driver, wave):
    """Within one update period at the highest power."""
    sensor = opened(driver, wave=wave, low_w=20, high_w=180, wave_period_s=0.37, update_period_s=0.01)
    reading_j, now = sensor.read("gpu:0"), time.monotonic()
    truth = nvml.truth_j({"SIMULATED_NVML": str(tmp_path / "nvml.conf")}, 0, now - 10, now)
    begun = nvml.truth_j({"SIMULATED_NVML": str(tmp_path / "nvml.conf")}, 0, now - 10, now - 10)
    assert begun == 0
    assert reading_j == pytest.approx(truth, abs=180 * 0.1)


def test_gain_and_offset_are_in_the_reading(driver):
    """1.05 x 150 W - 10 W."""
    assert opened(driver, gain=1.05, offset_w=-10).read("gpu:0 power") == pytest.approx(147.5)


def test_a_part_time_reading_misses_a_periodic_load(driver):
    """It covers the last quarter of each period, in which this load is idle; the truth is 100 W."""
    beating = {"wave": "square", "wave_period_s": 0.1, "duty": 0.5, "low_w": 20, "high_w": 180}
    assert opened(driver, **beating).read("gpu:0 power") == pytest.approx(20)
    assert opened(driver, **beating, field_instant=0).read("gpu:0 power") == pytest.approx(100)
    assert opened(driver, **beating, counter_from_gauge=1).read("gpu:0") == pytest.approx(200, rel=0.2)


@pytest.mark.parametrize(
    ("fault", "reading_j"),
    [
        ({"reset_at_s": 9}, 150),
        ({"stuck_at_s": 2}, 300),
        ({"back_at_s": 5, "back_j": 400}, 1100),
        ({"lag_s": 2}, 1200),
    ],
)
def test_an_implausible_counter(driver, fault, reading_j):
    """Reset, stuck, decreased, late: 150 W for ten seconds should be 1,500 J."""
    assert opened(driver, **fault).read("gpu:0") == pytest.approx(reading_j, abs=40)


def test_an_absurd_power_is_no_error(driver):
    """As seen in the field: 3.7 MW."""
    assert opened(driver, absurd_at_s=5).read("gpu:0 power") == pytest.approx(3.7e6)


def test_the_die_warms_with_the_load(driver):
    """So a stuck sensor can be distinguished from a steady load."""
    assert opened(driver, temperature_c=30, heat_c_per_w=0.2).read("gpu:0 temperature") == 60
