"""Mean and bounds of the values of some launches, as columns."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.interval import positive_interval
from harness.frame.results import known
from harness.frame.rows import Row


def with_interval(stem: str, unit: str, values: Sequence[float | None], q: float) -> Row:
    """Mean and 95 % bounds, as `energy_j`, `energy_low_j`, `energy_high_j`; empty without values or if one is None.

    Args:
        stem: Name of the column without its unit.
        unit: Unit, the end of the name.
        values: One value per launch.
        q: Quantile of t: see `positive_interval`.
    """
    if not values or None in values:
        return {}
    interval = positive_interval(known(values), q)
    return {f"{stem}_{unit}": interval.value, f"{stem}_low_{unit}": interval.low, f"{stem}_high_{unit}": interval.high}
