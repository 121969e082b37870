"""What a person writes of an objective -> the declared one; results and an objective -> its value in each launch."""

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
"""Of these each launch has one; carbon is energy times a constant."""
LATENCIES = {f"latency_{p}_s": f"{p}_s" for p in ("p50", "p90", "p99")}
OF_A_LAUNCH = ("throughput_per_s", "peak_memory_bytes", "peak_device_memory_bytes", "resident_bytes")
EXACT = ("artifact_bytes", "parameters", "nonzero_parameters", "macs", "batch_size", "threads", "device_count")
"""Counted, not measured: they have no scatter."""
MOST = 6
SEPARATOR = ";"


def parse(texts: Sequence[str]) -> tuple[Objective, ...]:
    """The objectives that a front is of; those of `OBJECTIVES` where nothing is said.

    Args:
        texts: Each `energy`, `latency`, `quality`, `memory`, or `COLUMN:min`, `COLUMN:max` with a column of `cases`.

    Raises:
        HarnessError: There is no such column, it holds no numbers, or its direction is not said.
    """
    found = tuple(map(_one, texts)) or OBJECTIVES
    columns = [each.column for each in found]
    if len(set(columns)) < len(columns) or not 2 <= len(found) <= MOST:
        raise HarnessError(
            f"a front is of two to {MOST} different objectives, not of {', '.join(columns)}", "name each once with --objective"
        )
    return found


def written(objectives: Sequence[Objective]) -> str:
    """Objectives as text that `read` takes: `energy;quality;peak_memory_bytes:max`."""
    return SEPARATOR.join(each.name if each in DECLARED else f"{each.column}:{each.direction}" for each in objectives)


def read(text: str) -> tuple[Objective, ...]:
    """Objectives of a cell of `front_objectives`.

    Raises:
        HarnessError: As `parse`.
    """
    return parse(text.split(SEPARATOR))


def separates(objective: Objective) -> bool:
    """Whether the scatter of its values is known; of a column that no launch tells it is not: it separates no two cases."""
    return objective.column in (*ENERGIES, *LATENCIES, *OF_A_LAUNCH, *EXACT, "quality")


def values(objective: Objective, result: Result, row: Row) -> list[float]:
    """The value of each launch of a case, smaller is better; NaN where it is not known.

    Args:
        objective: Of the front.
        result: The case.
        row: Of the table `cases`, for a column that no launch tells.
    """
    way = sign(objective, result)
    return [float("nan") if found is None else way * float(found) for found in _raw(objective.column, result, row)]


def sign(objective: Objective, result: Result) -> float:
    """1 where less is better, else -1."""
    if objective.direction == "metric":
        return -1.0 if result.qualities and result.qualities[-1].direction == "higher" else 1.0
    return -1.0 if objective.direction == "max" else 1.0


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
    known = next((each for each in DECLARED if name in (each.name, each.column)), None)
    columns = {column.name: column for column in CASES}
    if known is None and name not in columns:
        near = difflib.get_close_matches(name, [*columns, *(each.name for each in DECLARED)], 1)
        hint = f"did you mean {near[0]!r}?" if near else "`harness export RUN --format csv` shows the columns"
        raise HarnessError(f"there is no column {name!r} in the table `cases`", hint)
    if direction not in ("", "min", "max"):
        raise HarnessError(f"{direction!r} is no direction", f"say {name}:min or {name}:max")
    if known is not None:
        return _declared(known, text, direction)
    if columns[name].type not in ("float", "int"):
        raise HarnessError(f"the column {name!r} holds no numbers: there is no front of it", "name a column of numbers")
    if not direction:
        raise HarnessError(f"the column {name!r} has no direction: less or more may be better", f"say {name}:min or {name}:max")
    way: Literal["min", "max"] = "min" if direction == "min" else "max"
    return Objective(name=name, column=name, direction=way)


def _declared(known: Objective, text: str, direction: str) -> Objective:
    """As it is; a direction said beside it must be its own."""
    if direction and direction != known.direction:
        own = "its metric says which is better" if known.direction == "metric" else f"of {known.name} less is better"
        raise HarnessError(f"the direction of {text!r} is not for choosing: {own}", f"say --objective {known.name}")
    return known


def margin(values: np.ndarray, relative: float) -> float:
    """A relative margin in the unit of values that may be 0 or below: of their median size."""
    return relative * float(np.nanmedian(np.abs(values))) if values.size else 0.0
