"""What a front is of: its objectives, and the reference that its hypervolume is counted from."""

from __future__ import annotations

from typing import Literal

from harness.schema.base import SCHEMA_VERSION, Noun


class Objective(Noun):
    """A column of `cases` with its direction."""

    name: str
    """As people call it: energy; of a column without a name of its own, the column."""
    column: str
    direction: Literal["min", "max", "metric"]
    """metric: as the quality's metric says."""


class Reference(Noun):
    """The box that one objective's values are counted in: 0 at the ideal, 1 at the reference."""

    ideal: float
    reference: float


OBJECTIVES = (
    Objective(name="energy", column="energy_j", direction="min"),
    Objective(name="quality", column="quality", direction="metric"),
    Objective(name="latency", column="latency_p50_s", direction="min"),
)
"""Of a front where nothing else is asked for."""
DECLARED = (*OBJECTIVES, Objective(name="memory", column="peak_memory_bytes", direction="min"))
"""Those whose direction need not be said."""


class References(Noun):
    """`fronts.json` of a run: what its fronts are of, and where their hypervolumes are counted from."""

    schema_version: int = SCHEMA_VERSION
    objectives: tuple[Objective, ...] = OBJECTIVES
    """Of the fronts in `report/`, as last drawn."""
    drawn_by: str | None = None
    """Version and commit of the harness that drew the report last; null: not told."""
    groups: dict[str, dict[str, Reference]] = {}
    """Of each group of cases that stand on one front, and each column, the box as first drawn."""
