"""Units of a table."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.report.units import in_units, suited


@pytest.mark.parametrize(
    ("unit", "column", "name", "factor"),
    [
        ("mJ", "energy_j", "energy_mJ", 1e3),
        ("Wh/1000", "energy_low_j", "energy_low_Wh_per_1000", 1000 / 3600),
        ("kWh/1000000", "energy_j", "energy_kWh_per_1000000", 1 / 3.6),
        ("ms", "latency_p50_s", "latency_p50_ms", 1e3),
        ("MiB", "artifact_bytes", "artifact_MiB", 2**-20),
        ("g/1000", "carbon_g", "carbon_g_per_1000", 1e3),
    ],
)
def test_a_unit_is_in_the_name_of_its_column(tables, unit, column, name, factor):
    """Values are converted; other columns are unchanged, a rate per second too."""
    found, names = in_units(tables["cases"], [unit])
    assert names[column] == name
    assert found[name][0] == pytest.approx(tables["cases"][column][0] * factor)
    assert found["throughput_per_s"].equals(tables["cases"]["throughput_per_s"])
    assert [name for name in found.columns if name.startswith("build_")] == [names["build_j"]]


def test_a_build_is_not_per_inference(tables):
    """Its energy stays in joules in the cases, and in the table of builds the unit is an error."""
    assert in_units(tables["cases"], ["Wh/1000"])[1]["build_j"] == "build_j"
    with pytest.raises(HarnessError, match="Wh/1000"):
        in_units(tables["builds"], ["Wh/1000"])
    with pytest.raises(HarnessError, match="same columns"):
        in_units(tables["cases"], ["mJ", "Wh/1000"])


def test_a_missing_value_stays_missing_in_every_unit(tables):
    """Never 0."""
    found, _ = in_units(tables["cases"], ["mJ"])
    assert list(found["energy_mJ"].isna()) == list(tables["cases"]["energy_j"].isna())


def test_units_that_suit_are_known(tables):
    """With a prefix for the figures; plain SI without figures."""
    assert suited(tables["cases"]) == ["uJ", "us", "kB"]
    assert suited(tables["cases"].head(0)) == ["J", "s"]
