"""One column of a public table, and short ways to declare it."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple


class Column(NamedTuple):
    """One column of a public table.

    Attributes:
        name: Name, ending in the unit if it has one.
        meaning: Meaning, a noun phrase with the unit.
        null: When the cell is empty; an empty text if it is never empty.
        type: Type of the values.
    """

    name: str
    meaning: str
    null: str = ""
    type: Literal["str", "float", "int", "bool"] = "str"


text_ = Column
float_, int_, bool_ = partial(Column, type="float"), partial(Column, type="int"), partial(Column, type="bool")
ONE = "fewer than two repetitions have a value"


def bounds(stem: str, unit: str, interval: str, null: str) -> tuple[Column, Column]:
    """Columns of the bounds of a 95 % interval: `energy_low_j` and `energy_high_j` of stem `energy` and unit `_j`."""
    return (
        float_(f"{stem}_low{unit}", f"lower 95 % bound, {interval}", null),
        float_(f"{stem}_high{unit}", f"upper 95 % bound, {interval}", null),
    )
