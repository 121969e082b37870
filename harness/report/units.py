"""Conversion of a table's columns from SI to requested units, which become part of the columns' names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import HarnessError
from harness.report.words import WORDS
from harness.text import Scale

if TYPE_CHECKING:
    import pandas as pd


class Unit(NamedTuple):
    """Unit of an export.

    Attributes:
        si: End of the column names that it replaces: `j`, `s`, `w`, `bytes`, `g`.
        per_si: Its number in one SI unit.
        ending: New end of the name: `energy_j` becomes `energy_mJ`.
        per_inference: Whether it applies only to values per inference or per output token.
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
"""Units by the name that --units takes."""
LABELS = {"Wh/1000": "Wh / 1,000 {}", "kWh/1000000": "kWh / 1,000,000 {}"}
NOT_PER_UNIT = ("build_j", "ramp_energy_j", "drain_energy_j")
"""Columns of `cases` that are neither per inference nor per output token."""


def scale(values: Iterable[float | None], unit: str, units: Collection[str] = (), per: str = "inference") -> Scale:
    """Scale of a column in SI: one of the requested `UNITS`, otherwise the SI unit (`J`, `s`) with a suitable prefix.

    Args:
        values: Values of the column.
        unit: SI unit.
        units: Names out of `UNITS`.
        per: Unit that the values are counted per: inference or output_token.
    """
    result = Scale(values, unit)
    for name in units:
        if UNITS[name].si == unit.lower():
            result.factor, result.unit = 1 / UNITS[name].per_si, LABELS.get(name, name.replace("u", "µ")).format(WORDS[per].many)
    return result


def suited(table: pd.DataFrame) -> list[str]:
    """Units of energy, time and size with a suitable prefix for a table."""
    columns = (("J", "energy_j"), ("s", "latency_p50_s"), ("B", "artifact_bytes"))
    units = [scale(table[column].dropna(), unit).unit.replace("µ", "u") for unit, column in columns if column in table]
    return [unit for unit in units if unit in UNITS]


def in_units(table: pd.DataFrame, units: Collection[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Table with the columns of each unit converted and renamed.

    Args:
        table: A public table.
        units: Names out of `UNITS`, at most one for each SI unit.

    Returns:
        The table, and the new name of each column.

    Raises:
        HarnessError: Two of the units replace the same one, or no column can be in one.
    """
    names = {str(column): str(column) for column in table.columns}
    for name in dict.fromkeys(units):
        unit = UNITS[name]
        own = [column for column in table.columns if _applies(unit, str(column), of_builds="case_id" not in table)]
        if clash := [other for other in units if other != name and UNITS[other].si == unit.si]:
            raise HarnessError(f"{name} and {clash[0]} are units of the same columns", "give one of them with --units")
        if not own:
            counted = ", counted per inference or output token" if unit.per_inference else ""
            raise HarnessError(f"no column of this table can be in {name}", f"{name} is for columns in _{unit.si}{counted}")
        names |= {column: _renamed(unit, column) for column in own}
        table = table.assign(**{column: table[column].astype("Float64") * unit.per_si for column in own})
    return table.rename(columns=names), names


def _renamed(unit: Unit, column: str) -> str:
    """`energy_mJ` of `energy_j`, `energy_mJ_per_output_token` of `energy_j_per_output_token`."""
    stem, per, counted = column.partition("_per_")
    return f"{stem.removesuffix(unit.si)}{unit.ending}{per}{counted}"


def _applies(unit: Unit, column: str, *, of_builds: bool) -> bool:
    """Whether a column is in the unit's SI unit; a rate per second is not, nor is a value of a whole build or phase per inference."""
    stem, per, _ = column.partition("_per_")
    if not stem.endswith(f"_{unit.si}") or column.endswith("_per_s") or (per and unit.per_inference):
        return False
    return not (unit.per_inference and (of_builds or column in NOT_PER_UNIT))
