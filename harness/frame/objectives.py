"""Objectives of a Pareto front: parsed from command-line text, and their values in each launch of a case."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.errors import HarnessError
from harness.frame.columns import CASES
from harness.frame.results import Result
from harness.frame.rows import Row
from harness.schema import DECLARED, OBJECTIVES, Objective

ENERGIES = {"energy_j": "energy_j", "carbon_g": "energy_j", "energy_net_j": "net_j", "energy_modelled_j": "modelled_j"}
"""Energy of a launch that each column is computed from; carbon is energy times a constant."""
LATENCIES = {f"latency_{p}_s": f"{p}_s" for p in ("p50", "p90", "p99")}
OF_A_LAUNCH = ("throughput_per_s", "peak_memory_bytes", "peak_device_memory_bytes", "resident_bytes")
EXACT = ("artifact_bytes", "parameters", "nonzero_parameters", "macs", "batch_size", "threads", "device_count")
"""Columns that are counted, so without uncertainty."""
MAX_OBJECTIVES = 6
SEPARATOR = ";"


def parse(texts: Sequence[str]) -> tuple[Objective, ...]:
    """Objectives of a front; `OBJECTIVES` if there are no texts.

    Args:
        texts: `energy`, `latency`, `quality`, `memory`, or `COLUMN:min`, `COLUMN:max` with a column of `cases`.

    Raises:
        HarnessError: A column does not exist or is not numeric, or its direction is missing.
    """
    objectives = tuple(map(_one, texts)) or OBJECTIVES
    columns = [each.column for each in objectives]
    if len(set(columns)) < len(columns) or not 2 <= len(objectives) <= MAX_OBJECTIVES:
        raise HarnessError(
            f"a front has two to {MAX_OBJECTIVES} different objectives, not {', '.join(columns)}", "give each of them once with --objective"
        )
    return objectives


def to_cell(objectives: Sequence[Objective]) -> str:
    """Cell of `front_objectives`, which `read` takes: `energy;quality;peak_memory_bytes:max`."""
    return SEPARATOR.join(each.name if each in DECLARED else f"{each.column}:{each.direction}" for each in objectives)


def read(cell: str) -> tuple[Objective, ...]:
    """Objectives of a cell of `front_objectives`.

    Raises:
        HarnessError: As `parse`.
    """
    return parse(cell.split(SEPARATOR))


def separates(objective: Objective) -> bool:
    """Whether the uncertainty of the objective is known; without it, no two cases are separated in it."""
    return objective.column in (*ENERGIES, *LATENCIES, *OF_A_LAUNCH, *EXACT, "quality")


def values(objective: Objective, result: Result, row: Row) -> list[float]:
    """Value of the objective in each launch of a case, or of its row if launches have none; smaller is better, NaN if unknown."""
    factor = sign(objective, result.qualities[-1].direction if result.qualities else None)
    return [float("nan") if value is None else factor * float(value) for value in _raw(objective.column, result, row)]


def sign(objective: Objective, quality_direction: str | None) -> float:
    """1 if lower is better, otherwise -1."""
    return -1.0 if objective.direction == "max" or (objective.direction == "metric" and quality_direction == "higher") else 1.0


def margin(values: np.ndarray, relative: float) -> float:
    """Absolute margin for values that may be 0 or negative: the relative one of their median magnitude."""
    return relative * float(np.nanmedian(np.abs(values))) if values.size else 0.0


def _raw(column: str, result: Result, row: Row) -> list[float | None]:
    records = [record for record, _ in result.launches]
    if column == "quality":
        qualities = [result.quality_of(record) for record in records]
        return [quality.value if quality else None for quality in qualities]
    if column in ENERGIES:
        joules: list[float | None] = [getattr(energy, ENERGIES[column]) for _, energy in result.launches]
        return [each if column != "energy_j" or (each or 0) > 0 else None for each in joules]
    if column in LATENCIES:
        return [getattr(record.latency, LATENCIES[column]) or None if record.latency else None for record in records]
    if column in OF_A_LAUNCH:
        return [getattr(record, column) for record in records]
    return [row.get(column)] * len(records)


def _one(text: str) -> Objective:
    name, _, direction = text.partition(":")
    declared = next((each for each in DECLARED if name in (each.name, each.column)), None)
    types = {column.name: column.type for column in CASES}
    if declared is None and name not in types:
        near = difflib.get_close_matches(name, [*types, *(each.name for each in DECLARED)], 1)
        hint = f"did you mean {near[0]!r}?" if near else "`harness export RUN --format csv` prints the columns"
        raise HarnessError(f"there is no column {name!r} in the table `cases`", hint)
    if direction not in ("", "min", "max"):
        raise HarnessError(f"unknown direction {direction!r}", f"use --objective {name}:min or --objective {name}:max")
    if declared is not None:
        if direction and direction != declared.direction:
            own = "its metric sets it" if declared.direction == "metric" else f"lower {declared.name} is better"
            raise HarnessError(f"the direction of {text!r} is fixed: {own}", f"use --objective {declared.name}")
        return declared
    if types[name] not in ("float", "int"):
        raise HarnessError(f"the column {name!r} is not numeric, so it cannot be an objective", "give a numeric column")
    if not direction:
        raise HarnessError(f"the column {name!r} needs a direction", f"use --objective {name}:min or --objective {name}:max")
    chosen: Literal["min", "max"] = "min" if direction == "min" else "max"
    return Objective(name=name, column=name, direction=chosen)
