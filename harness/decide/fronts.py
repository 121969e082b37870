"""Pareto fronts of a table of cases: cases on each front, groups that are not separated, and hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.hypervolume import hypervolume
from harness.analysis.pareto import front
from harness.frame.objectives import sign
from harness.frame.rows import Row, rows_of
from harness.frame.settings import timing_of
from harness.schema import Objective, evidence

if TYPE_CHECKING:
    import pandas as pd

ROOM = 0.1
"""Distance of the reference point beyond the worst case, as a share of the range."""
MAX_POINTS = 1_000
"""Maximum number of points on a front for which the hypervolume is computed."""


@dataclass(frozen=True)
class Front:
    """Front of one model on one machine, of energies of one kind of evidence.

    Attributes:
        name: Model, quality metric, evidence, environment, and how it was timed where that is not the default.
        rows: Cases that have every objective.
        on: Cases on the front of the point estimates.
        groups: Groups of cases that are not separated from each other.
        hypervolume: Hypervolume of the point estimates, as a share of the box from ideal to reference; None: too many points.
    """

    name: str
    rows: list[Row]
    on: list[Row]
    groups: list[list[Row]]
    hypervolume: float | None


def fronts(cases: pd.DataFrame, objectives: Sequence[Objective]) -> list[Front]:
    """Fronts of a run; a pure function of its table, so that a redrawn report has the same hypervolume."""
    rows = [row for row in rows_of(cases) if row["p_front"] is not None and all(row[each.column] is not None for each in objectives)]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_name(row), []).append(row)
    return [_front(name, members, objectives) for name, members in groups.items()]


def _name(row: Row) -> str:
    timing = timing_of(row)
    return (
        f"{row['model']}, {row['quality_metric'] or 'no quality'}, energy {evidence(row['energy_kind'])}, environment {row['environment_id']}"
        + (f", {timing}" if timing else "")
    )


def _front(name: str, rows: list[Row], objectives: Sequence[Objective]) -> Front:
    signs = [sign(each, rows[0]["quality_direction"]) for each in objectives]
    values = np.array([[row[each.column] for each in objectives] for row in rows], dtype=np.float64) * signs
    scaled = _scaled(values)
    on = np.flatnonzero(front(scaled))
    members: dict[int, list[Row]] = {}
    for row in rows:
        if row["front_group"] is not None:
            members.setdefault(row["front_group"], []).append(row)
    volume = hypervolume(scaled[on], np.ones(len(objectives))) if len(on) <= MAX_POINTS else None
    return Front(name, rows, [rows[i] for i in on], list(members.values()), volume)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values scaled to the box of the run: 0 at the best case, 1 a tenth of the range beyond the worst.

    If all cases are equal, the tenth is that of the value; see design/0017.
    """
    ideal, worst = values.min(axis=0), values.max(axis=0)
    room = np.where(worst > ideal, worst - ideal, np.abs(values[0]))
    reference = worst + ROOM * np.where(room > 0, room, 1.0)
    scaled: np.ndarray = (values - ideal) / (reference - ideal)
    return scaled
