"""Properties and state of an NVIDIA card, as `describe` reports them."""

from __future__ import annotations

import pytest

from harness.environment import environment
from tests.sensors.conftest import by_name


def test_describe_reports_the_device_and_its_processes(driver):
    """An unreadable list of processes is None, no process is an empty list."""
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
def test_a_refused_property_is_none(driver, refused, unknown):
    """Not 0 and not False; the others stay."""
    sensor = driver(**{f"refuse_{refused}": 3})
    sensor.open()
    (facts,) = sensor.describe()
    every = driver()
    every.open()
    assert {name for name, value in facts.items() if value is None and every.describe()[0][name] is not None} == unknown


def test_state_does_not_change_the_environment(driver):
    """A warmer card with other processes is the same environment; one with ECC off is another."""

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


def test_scope_of_the_power(driver):
    """A MIG instance has no power of its own, a superchip reports the module."""
    assert by_name(driver(mig=1))["gpu:0"].detail["scope"] == "whole GPU"
    assert by_name(driver(mig=0))["gpu:0"].detail["scope"] == "GPU"
    assert by_name(driver(name="NVIDIA GH200 480GB"))["gpu:0"].detail["scope"] == "module"
