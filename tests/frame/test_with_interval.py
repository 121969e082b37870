"""Mean and bounds of launches as columns."""

import pytest

from harness.frame.with_interval import with_interval


def test_a_mean_has_its_bounds():
    """Named by stem and unit."""
    row = with_interval("energy", "j", [1.0, 1.1, 0.9], 0.975)
    assert list(row) == ["energy_j", "energy_low_j", "energy_high_j"]
    assert row["energy_j"] == pytest.approx(1.0)
    assert row["energy_low_j"] < 1.0 < row["energy_high_j"]


def test_nothing_without_all_values():
    """A launch without a value makes the mean that of others."""
    assert with_interval("energy", "j", [], 0.975) == {}
    assert with_interval("energy", "j", [1.0, None], 0.975) == {}
