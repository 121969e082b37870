"""A table in SI units -> the same in the units asked for: each stands in the names of its columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import HarnessError
from harness.text import Scale

if TYPE_CHECKING:
    import pandas as pd


class Unit(NamedTuple):
    """What one asks for, and what it does.

    Attributes:
        si: The end of a column's name that it replaces: `j`, `s`, `w`, `bytes`, `g`.
        per_si: How many of it one SI unit is.
        ending: What replaces it: `energy_j` becomes `energy_mJ`.
        per_inference: Whether it has a meaning only for what is counted per inference.
    """

    si: str
    per_si: float
    ending: str
    per_inference: bool = False


UNITS = {
    **{f"{prefix}J": Unit("j", factor, f"{prefix}J") for prefix, factor in (("n", 1e9), ("u", 1e6), ("m", 1e3), ("k", 1e-3))},
    **{name: Unit(name.lower(), 1.0, name.lower()) for name in ("J", "s", "W")},
    "Wh/1000": Unit("j", 1e3 / 3600, "Wh_per_1000", per_inference=True),
    "kWh/1000000": Unit("j", 1 / 3.6, "kWh_per_1000000", per_inference=True),
    **{f"{prefix}s": Unit("s", factor, f"{prefix}s") for prefix, factor in (("n", 1e9), ("u", 1e6), ("m", 1e3))},
    "mW": Unit("w", 1e3, "mW"),
    **{name: Unit("bytes", 1 / size, name) for name, size in (("kB", 1e3), ("MB", 1e6), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30))},
    "mg": Unit("g", 1e3, "mg"),
    "g/1000": Unit("g", 1e3, "g_per_1000", per_inference=True),
}
"""By the name a user gives."""
LABELS = {
    "Wh/1000": "Wh / 1,000 inferences",
    "kWh/1000000": "kWh / 1,000,000 inferences",
}
WHOLE = ("build_j",)
"""Columns that are of a whole build, not per inference."""


def scale(values: Iterable[float | None], unit: str, units: Collection[str] = ()) -> Scale:
    """The unit of a column: the one asked for, else the SI unit with the prefix that suits the values.

    Args:
        values: In SI.
        unit: `J`, `s`.
        units: Names out of `UNITS`.
    """
    found = Scale(values, unit)
    for name in units:
        if UNITS[name].si == unit.lower():
            found.factor, found.unit = 1 / UNITS[name].per_si, LABELS.get(name, name.replace("u", "µ"))
    return found


def suited(table: pd.DataFrame) -> list[str]:
    """The units of energy, time and size whose prefix suits the figures of a table."""
    known = (("J", "energy_j"), ("s", "latency_p50_s"), ("B", "artifact_bytes"))
    found = [scale(table[column].dropna(), unit).unit.replace("µ", "u") for unit, column in known if column in table]
    return [unit for unit in found if unit in UNITS]


def in_units(table: pd.DataFrame, units: Collection[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The columns whose SI unit is replaced multiplied and renamed, the rest as they were.

    Args:
        table: A public table.
        units: Names out of `UNITS`, at most one for each SI unit.

    Returns:
        The table, and its columns' names by those they had.

    Raises:
        HarnessError: Two of the units replace the same one, or one has no column to stand for.
    """
    names = {str(column): str(column) for column in table.columns}
    for name in dict.fromkeys(units):
        unit = UNITS[name]
        own = [column for column in table.columns if _takes(str(column), unit, whole="case_id" not in table)]
        if clash := [other for other in units if other != name and UNITS[other].si == unit.si]:
            raise HarnessError(f"{name} and {clash[0]} are units of the same columns", "give one of them")
        if not own:
            counted = ", counted per inference" if unit.per_inference else ""
            raise HarnessError(f"this table has no column that could be told in {name}", f"it is for columns in _{unit.si}{counted}")
        names |= {column: f"{column.removesuffix(unit.si)}{unit.ending}" for column in own}
        table = table.assign(**{column: table[column].astype("Float64") * unit.per_si for column in own})
    return table.rename(columns=names), names


def _takes(column: str, unit: Unit, *, whole: bool) -> bool:
    """Whether a column is in the unit's SI unit; throughput_per_s is a rate, and what a whole build took is not per inference."""
    if not column.endswith(f"_{unit.si}") or column.endswith("_per_s"):
        return False
    return not (unit.per_inference and (whole or column in WHOLE))
