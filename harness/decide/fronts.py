"""The table of cases, objectives and the kept references -> of each front: who is on it, who is not separated, its hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.hypervolume import hypervolume
from harness.analysis.pareto import front
from harness.frame.rows import rows_of
from harness.schema import Objective, Reference, References, evidence

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
ROOM = 0.1
"""How far the reference lies beyond the worst case of the first drawing, as a share of the range."""
MOST_POINTS = 1_000
"""Points of the front up to which the hypervolume is counted."""


@dataclass(frozen=True)
class Front:
    """The cases of one model on one machine with energies of one kind of evidence.

    Attributes:
        name: Of the group.
        rows: Those that have every objective.
        on: Those of them on the front of the estimates.
        groups: Those not separated from each other.
        hypervolume: Of the estimates, as a share of the box from ideal to reference, above 1 where later cases beat the ideal; null: too many points.
    """

    name: str
    rows: list[Row]
    on: list[Row]
    groups: list[list[Row]]
    hypervolume: float | None


def fronts(cases: pd.DataFrame, objectives: Sequence[Objective], kept: References) -> tuple[list[Front], References]:
    """The fronts of a run, and the references with those that were missing.

    Args:
        cases: The table, of these objectives.
        objectives: What the fronts are of.
        kept: From an earlier drawing: never changed.
    """
    rows = [row for row in rows_of(cases) if row["p_front"] is not None and all(row[each.column] is not None for each in objectives)]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_name(row), []).append(row)
    boxes = {name: {**_boxes(members, objectives), **kept.groups.get(name, {})} for name, members in groups.items()}
    found = [_front(name, members, objectives, boxes[name]) for name, members in groups.items()]
    return found, References(groups={**kept.groups, **boxes})


def _name(row: Row) -> str:
    return f"{row['model']}, {row['quality_metric'] or 'no quality'}, energy {evidence(row['energy_kind'])}, environment {row['environment_id']}"


def _boxes(rows: Sequence[Row], objectives: Sequence[Objective]) -> dict[str, Reference]:
    """From the best to a tenth of the range beyond the worst; where all are alike a tenth of the value."""
    found = {}
    for objective in objectives:
        signs = _sign(objective, rows[0])
        values = signs * np.array([row[objective.column] for row in rows], dtype=np.float64)
        room = float(np.ptp(values)) or abs(float(values[0])) or 1.0
        found[objective.column] = Reference(ideal=signs * float(values.min()), reference=signs * float(values.max() + ROOM * room))
    return found


def _front(name: str, rows: list[Row], objectives: Sequence[Objective], boxes: dict[str, Reference]) -> Front:
    values = np.array([[row[each.column] for each in objectives] for row in rows], dtype=np.float64)
    ideal, reference = (np.array([getattr(boxes[each.column], end) for each in objectives]) for end in ("ideal", "reference"))
    # In units of the box less is better for every objective, whatever its direction.
    scaled = (values - ideal) / (reference - ideal)
    on = np.flatnonzero(front(scaled))
    members: dict[int, list[Row]] = {}
    for row in rows:
        if row["front_group"] is not None:
            members.setdefault(row["front_group"], []).append(row)
    volume = hypervolume(scaled[on], np.ones(len(objectives))) if len(on) <= MOST_POINTS else None
    return Front(name, rows, [rows[i] for i in on], list(members.values()), volume)


def _sign(objective: Objective, row: Row) -> float:
    return -1.0 if objective.direction == "max" or (objective.direction == "metric" and row["quality_direction"] == "higher") else 1.0
