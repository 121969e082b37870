"""The name of a column states its unit and quantity."""

from __future__ import annotations

import pytest

from harness.meters.units import parse_name


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("GPU Power (Total) [W]", 1.0),
        ("power_mw", 1e-3),
        ("power mW", 1e-3),
        ("powermW", 1e-3),
        ("kW", 1e3),
        ("Mains (kWatts)", 1e3),
        ("PkgWatt", 1.0),
        ("RAMWatt", 1.0),
        ("powerMilliwatts", 1e-3),
        ("P_total / W", 1.0),
        ("POWER_MW", None),
        ("kWhs", None),
        ("Power (dBm)", None),
        ("Watts/m2", None),
        ("apparent_power_w", None),
        ("power_pct", None),
    ],
)
def test_the_unit_of_a_name(name, factor):
    """Of the whole word: the W of mW is not a watt."""
    assert parse_name(name).factor == factor


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("Watts", 1.0),
        ("P/W", 1.0),
        ("Leistung / W", 1.0),
        ("Power/kW", 1e3),
        ("WattHrs", None),
        ("kW·h", None),
        ("Watt seconds", None),
        ("Power W x10", None),
        ("fps per W", None),
        ("Perf/Watt", None),
        ("GFLOPS/W", None),
        ("perf_per_watt", None),
        ("Voltage W", None),
        ("current_uA", None),
    ],
)
def test_energies_and_ratios_are_not_watts(name, factor):
    """Units of energy and ratios are not read as watts in any spelling."""
    assert parse_name(name).factor == factor
