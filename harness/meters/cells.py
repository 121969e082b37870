"""Numbers and units in the cells of one column, and the decimal mark that they imply."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.meters.units import factor_of, is_other
from harness.schema import Floats

NUMBER = r"^(?P<number>[+-]?(?:\d(?:[\d.,'\u2019 ]*\d)?[.,]?|[.,]\d+))(?P<exponent>[eE][+-]?\d+)?\s*(?P<unit>[^\d\s].*)?$"
GROUPED = r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))"
POINT = re.compile(r"[+-]?(?:(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}|\d+)(?:\.\d*)?|\.\d+)")
"""A number with a decimal point; commas group thousands, or lakhs as in 1,23,456."""
COMMA = re.compile(r"[+-]?(?:(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d*)?|,\d+)")
NOT_A_NUMBER = 1e30
"""Larger values mean over-range or no data (SCPI: 9.9E37, 9.91E37)."""
SPACES = {ord(space): " " for space in "\u00a0\u202f\u2009\u2007\u2006\u2008\t"} | {ord("\u2212"): "-", ord("\ufeff"): None}


@dataclass
class Evidence:
    """Number of cells that only one decimal mark can explain.

    Attributes:
        point: Cells that need a decimal point.
        comma: Cells that need a decimal comma.
        either: Cells that both marks can explain, with different values.
        sample: One of the latter.
    """

    point: int = 0
    comma: int = 0
    either: int = 0
    sample: str = ""


@dataclass
class Cells:
    """The parts of a column's cells, each of shape (n,).

    Attributes:
        text: Number as written, without spaces that group thousands; empty where there is none.
        exponent: `E+02` or empty.
        unit: Text after the number.
        raw: The stripped cell.
    """

    text: pd.Series
    exponent: pd.Series
    unit: pd.Series
    raw: pd.Series

    @property
    def blank(self) -> np.ndarray:
        """Where a cell is empty, shape (n,)."""
        return np.asarray(self.raw == "", dtype=bool)

    @property
    def numeric(self) -> np.ndarray:
        """Where a cell holds a number, shape (n,)."""
        return np.asarray(self.text != "", dtype=bool)

    @property
    def evidence(self) -> Evidence:
        """What the numbers show of the decimal mark; a mantissa does not group thousands."""
        counts = evidence_of(self.text[self.exponent == ""])
        mantissas = self.text[self.exponent != ""]
        counts.point += int(mantissas.str.count(r"\.").eq(1).sum())
        counts.comma += int(mantissas.str.count(",").eq(1).sum())
        return counts

    @property
    def in_watts(self) -> bool:
        """Whether every number has a unit of power, apart from rows in units of other quantities."""
        units = self.unit[self.numeric].unique()
        return any(factor_of(unit) is not None for unit in units) and all(factor_of(unit) is not None or is_other(unit) for unit in units)

    @property
    def other_unit(self) -> str:
        """The first unit of another quantity; empty if there is none."""
        return next((unit for unit in self.unit[self.numeric].unique() if factor_of(unit) is None and is_other(unit)), "")

    @property
    def foreign(self) -> np.ndarray:
        """Where a number has a unit of another quantity, shape (n,)."""
        others = [unit for unit in self.unit.unique() if unit and factor_of(unit) is None and is_other(unit)]
        return np.asarray(self.numeric & self.unit.isin(others).to_numpy(), dtype=bool)

    def factors(self, default: float) -> Floats:
        """Unit of each cell in W, shape (n,): `default` where it has none, NaN where it is not a unit of power."""
        known = {unit: factor_of(unit) if unit else default for unit in self.unit.unique()}
        return self.unit.map(known).to_numpy(dtype=float, na_value=np.nan)

    def numbers(self, decimal: str) -> Floats:
        """Values without their units, shape (n,); NaN where there is no number or a mark of over-range. `decimal` is the decimal mark."""
        pattern, group = (POINT, ",") if decimal == "." else (COMMA, ".")
        plain = {text: text.replace(group, "").replace(decimal, ".") if pattern.fullmatch(text) else "" for text in self.text.unique()}
        values = pd.to_numeric(self.text.map(plain) + self.exponent, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.abs(values) < NOT_A_NUMBER, values, np.nan)


def cells_of(column: pd.Series) -> Cells:
    """Number and unit of each cell of a column of text, shape (n,)."""
    raw = column.str.translate(SPACES).str.strip()
    parts = raw.str.extract(NUMBER).fillna("")
    text = parts["number"]
    if text.str.contains(r"[ '\u2019]", regex=True).any():
        text = text.map(lambda cell: re.sub(GROUPED, "", cell))
    return Cells(text, parts["exponent"], parts["unit"].str.strip(), raw)


def evidence_of(texts: Iterable[str]) -> Evidence:
    """What numbers as written show of the decimal mark."""
    counts = Evidence()
    for text, count in Counter(texts).items():
        if "." not in text and "," not in text:
            continue
        point, comma = POINT.fullmatch(text), COMMA.fullmatch(text)
        counts.point += count * bool(point and not comma)
        counts.comma += count * bool(comma and not point)
        if point and comma:
            counts.either += count
            counts.sample = counts.sample or text
    return counts
