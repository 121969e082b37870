"""The objectives of a Pareto front: columns of the table `cases`, each with its direction."""

from __future__ import annotations

from typing import Literal

from harness.schema.base import FrozenModel


class Objective(FrozenModel):
    """A column of `cases` to minimise or maximise."""

    name: str
    """Short name, such as `energy`; for a column without one, the column."""
    column: str
    """Name of the column."""
    direction: Literal["min", "max", "metric"]
    """Direction of improvement; `metric`: that of the quality metric."""


OBJECTIVES = (
    Objective(name="energy", column="energy_j", direction="min"),
    Objective(name="quality", column="quality", direction="metric"),
    Objective(name="latency", column="latency_p50_s", direction="min"),
)
"""Default objectives."""
DECLARED = (*OBJECTIVES, Objective(name="memory", column="peak_memory_bytes", direction="min"))
"""Objectives whose direction need not be given."""
