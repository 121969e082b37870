"""Declarations of columns."""

from harness.frame.column import bounds, float_


def test_bounds_are_named_by_stem_and_unit():
    """Both ends of the interval, with its meaning."""
    low, high = bounds("energy", "_j", "in joules", "never")
    assert (low.name, high.name) == ("energy_low_j", "energy_high_j")
    assert "in joules" in low.meaning
    assert float_("x", "a number").type == "float"
