"""Cells of one column -> numbers: which mark is the decimal one, which spaces group thousands, which cells are no reading."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from harness.meters.names import factor_of, is_other
from harness.schema import Floats

NUMBER = r"^(?P<number>[+-]?(?:\d(?:[\d.,'\u2019 ]*\d)?[.,]?|[.,]\d+))(?P<exponent>[eE][+-]?\d+)?\s*(?P<unit>[^\d\s].*)?$"
GROUPED = re.compile(r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))")
POINT = re.compile(r"[+-]?(?:(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}|\d+)(?:\.\d*)?|\.\d+)")
"""A number whose decimal mark is a point; commas group thousands, or lakhs as in 1,23,456."""
COMMA = re.compile(r"[+-]?(?:(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d*)?|,\d+)")
NOT_A_NUMBER = 1e30
"""Larger values stand for over-range or no data (SCPI: 9.9E37, 9.91E37)."""
SPACES = {ord(space): " " for space in "\u00a0\u202f\u2009\u2007\u2006\u2008\t"} | {ord("\u2212"): "-", ord("\ufeff"): None}


@dataclass
class Evidence:
    """How many cells can only be read with one decimal mark.

    Attributes:
        point: Cells that need a decimal point.
        comma: Cells that need a decimal comma.
        either: Cells that both marks can read, as different numbers.
        sample: One of the latter.
    """

    point: int = 0
    comma: int = 0
    either: int = 0
    sample: str = ""

    def add(self, other: Evidence) -> None:
        """Add up two columns."""
        self.point, self.comma, self.either = self.point + other.point, self.comma + other.comma, self.either + other.either
        self.sample = self.sample or other.sample


@dataclass
class Cells:
    """The parts of a column's cells.

    Attributes:
        text: Number as written, spaces that group thousands removed; empty where the cell holds none.
        exponent: `E+02` or empty.
        unit: What stands behind the number.
        raw: The cell, stripped.
    """

    text: pd.Series
    exponent: pd.Series
    unit: pd.Series
    raw: pd.Series
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def blank(self) -> np.ndarray:
        """Where a cell is empty, shape (n,)."""
        return np.asarray(self.raw == "", dtype=bool)

    @property
    def numeric(self) -> np.ndarray:
        """Where a cell holds a number, shape (n,)."""
        return np.asarray(self.text != "", dtype=bool)


def cells_of(column: pd.Series) -> Cells:
    """Split cells into number and unit.

    Args:
        column: Text, shape (n,).
    """
    raw = column.str.translate(SPACES).str.strip()
    parts = raw.str.extract(NUMBER)
    text = parts["number"].fillna("")
    if text.str.contains(r"[ '\u2019]", regex=True).any():
        text = text.map(lambda cell: GROUPED.sub("", cell))
    cells = Cells(text, parts["exponent"].fillna(""), parts["unit"].fillna("").str.strip(), raw)
    cells.evidence = evidence(text[cells.exponent == ""])
    written = text[cells.exponent != ""]
    cells.evidence.point += int(written.str.count(r"\.").eq(1).sum())  # a mantissa groups no thousands
    cells.evidence.comma += int(written.str.count(",").eq(1).sum())
    return cells


def evidence(texts: Iterable[str]) -> Evidence:
    """What numbers as written show of the decimal mark."""
    found = Evidence()
    for text, count in Counter(texts).items():
        if "." not in text and "," not in text:
            continue
        point, comma = POINT.fullmatch(text), COMMA.fullmatch(text)
        found.point += count * bool(point and not comma)
        found.comma += count * bool(comma and not point)
        if point and comma:
            found.either += count
            found.sample = found.sample or text
    return found


def numbers(cells: Cells, decimal: str) -> Floats:
    """Values as written, units not applied, shape (n,); NaN where there is none, or it stands for over-range."""
    pattern, group = (POINT, ",") if decimal == "." else (COMMA, ".")
    unique = {text: text.replace(group, "").replace(decimal, ".") if pattern.fullmatch(text) else "" for text in cells.text.unique()}
    values = pd.to_numeric(cells.text.map(unique) + cells.exponent, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.abs(values) < NOT_A_NUMBER, values, np.nan)


def factors(cells: Cells, factor: float) -> tuple[Floats, str]:
    """Each cell's unit in W, shape (n,), and a unit of another quantity that cells carry (empty if none).

    Args:
        cells: Of one column.
        factor: The column's own unit, for cells without one.
    """
    units = cells.unit[cells.numeric].unique()
    known = {unit: factor if not unit else factor_of(unit) for unit in units}
    other = next((unit for unit in units if known[unit] is None and is_other(unit)), "")
    mapped = cells.unit.map({unit: np.nan if value is None else value for unit, value in known.items()})
    return mapped.to_numpy(dtype=float, na_value=np.nan), other


def has_unit(cells: Cells) -> bool:
    """Whether every number of a column carries a unit of power; rows in units of other quantities may stand between them."""
    units = cells.unit[cells.numeric].unique()
    return any(factor_of(unit) is not None for unit in units) and all(factor_of(unit) is not None or is_other(unit) for unit in units)


def foreign(cells: Cells) -> np.ndarray:
    """Where a number carries a unit of another quantity, shape (n,)."""
    others = [unit for unit in cells.unit.unique() if unit and factor_of(unit) is None and is_other(unit)]
    return np.asarray(cells.numeric & cells.unit.isin(others).to_numpy(), dtype=bool)
