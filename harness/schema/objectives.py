"""The objectives of a Pareto front: columns of the table `cases`, each with its direction."""

from __future__ import annotations

from typing import Literal

from harness.schema.base import FrozenModel


class Objective(FrozenModel):
    """A column of `cases` with its direction."""

    name: str
    """As people call it: energy; of a column without a name of its own, the column."""
    column: str
    direction: Literal["min", "max", "metric"]
    """metric: as the quality's metric says."""


OBJECTIVES = (
    Objective(name="energy", column="energy_j", direction="min"),
    Objective(name="quality", column="quality", direction="metric"),
    Objective(name="latency", column="latency_p50_s", direction="min"),
)
"""Of a front where nothing else is asked for."""
DECLARED = (*OBJECTIVES, Objective(name="memory", column="peak_memory_bytes", direction="min"))
"""Those whose direction need not be said."""
