"""Columns of a table that contain power, their unit and their decimal mark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.cells import Cells, Evidence, cells_of, evidence_of
from harness.meters.formats.base import MeterFormat
from harness.meters.options import UNITS_W, Options
from harness.meters.table import Table, bare_name
from harness.meters.units import parse_name, words
from harness.schema import Floats

SPARSE = 0.5
"""A column that is empty in this share of the rows follows another sensor's rate: its empty cells are not lost readings."""
LOOK_ROWS = 2000
"""Rows of other columns that are examined for the decimal mark."""
POINT_DELIMITERS = (",", " ", "")
"""Delimiters of logs whose decimal mark is a point."""
MAX_W = 1e5
"""Highest plausible power: if one decimal mark gives more, the other one is used."""
HEADER_UNIT, CELL_UNIT = "unit of its header", "unit of its cells"
"""Where the log itself states a unit."""
NINES = 3.0
"""A number of nines above this multiple of all other readings marks over-range."""
FULL = ("32767", "65535", "2147483647", "4294967295")
"""Values of a full register, which a meter reports if it has no reading."""
OTHER_LABELS = words("voltage current temperature humidity battery frequency cost price signal rssi linkquality uptime")
"""Words of a device's label that name another quantity."""
LISTED = 30
"""Labels that a message lists."""


@dataclass
class PowerColumn:
    """A column of power.

    Attributes:
        index: Index in the table.
        name: Name without the unit.
        watts: Power in W, shape (n,); NaN where a cell contains no number.
        present: Where a row holds a reading of this column, shape (n,).
        discarded: Why values are missing, by row.
        unit: Source of the unit, as a phrase.
    """

    index: int
    name: str
    watts: Floats
    present: np.ndarray
    discarded: dict[int, str]
    unit: str


@dataclass
class _Candidate:
    """A column that may hold power: its full name, its unit in W (None if log and format are silent) and the source of the unit."""

    index: int
    name: str
    cells: Cells
    factor: float | None
    unit: str

    def factor_as(self, unit: str | None) -> float | None:
        """Unit in W: the one the log states, else the one the user gives, else that of the format; None if all are silent."""
        return UNITS_W[unit] if unit is not None and not self.stated else self.factor

    @property
    def stated(self) -> bool:
        """Whether the log itself states the unit."""
        return self.unit in (HEADER_UNIT, CELL_UNIT)


def power_columns(table: Table, form: MeterFormat, options: Options, taken: set[int]) -> tuple[list[PowerColumn], list[str]]:
    """Columns that contain power, and sentences on the others.

    Args:
        table: The log.
        form: Its format.
        options: Choices of the user.
        taken: Columns of times and of device labels.

    Raises:
        MeterError: No column is known to contain power, or one is ambiguous.
    """
    notes: list[str] = []
    others = [i for i in range(len(table.names)) if i not in taken]
    if options.power_column is not None:
        candidates = [_asked(table, form, options.power_column)]
    else:
        candidates = [each for i in others if (each := _candidate(table, i, form, notes)) is not None]
    if not candidates and not table.headed and options.unit is not None:
        candidates = _only_number(table, others)
    proven = [each for each in candidates if each.factor_as(options.unit) is not None]
    _check_unit(proven, options)
    if not proven:
        _refuse(table, candidates, options, others)
    if len(proven) < len(candidates):
        notes.append(f"{', '.join(repr(each.name) for each in candidates if each not in proven)}: no unit, left out")
    evidence = _evidence(table, others)
    columns = [_column(table, each, form, options, evidence) for each in proven]
    counts = Counter(column.name for column in columns)
    for column in columns:
        column.name = table.names[column.index] if counts[column.name] > 1 else column.name
    return columns, notes


def labelled_column(table: Table, form: MeterFormat, label: pd.Series, options: Options) -> tuple[list[PowerColumn], list[str]]:
    """The column of values of a log whose labels state quantity and unit; rows of other quantities are left out.

    Raises:
        MeterError: No label states a unit of power, and the user gives none.
    """
    index = next(i for i, name in enumerate(table.names) if _declared(name, form) is not None)
    cells = cells_of(table.cells[index])
    units, silent = _label_units(label, cells, options)
    if not units:
        known = ", ".join(map(repr, silent or list(dict.fromkeys(label))[:LISTED]))
        if not silent:
            raise MeterError(f"{table.source} contains no power: {known}", "log a power sensor")
        pick = ("--channel", silent[0]) if len(silent) > 1 else ()
        raise MeterError(f"{table.source} names no unit of power: {known}", options.advice(("if it holds watts", (*pick, "--unit", "W"))))
    here = label.isin(units.keys()).to_numpy()
    factors = label.map(units).to_numpy(dtype=float, na_value=np.nan)
    decimal = options.decimal or _decimal(cells, max(units.values()), table, _evidence(table), options, table.names[index])
    watts = np.where(here, cells.numbers(decimal) * factors, np.nan)
    discarded = {int(i): repr(str(cells.raw.iloc[i])[:20]) for i in np.flatnonzero(here & ~np.isfinite(watts))}
    unit = f"{options.unit} as given" if options.unit else "unit of its label"
    notes = [f"{', '.join(map(repr, silent))}: no unit, left out"] if silent else []
    return [PowerColumn(index, bare_name(table.names[index]), watts, here, discarded, unit)], notes


def _label_units(label: pd.Series, cells: Cells, options: Options) -> tuple[dict[str, float], list[str]]:
    """(unit in W of each label that holds power, labels with numbers that may hold power and state no unit)."""
    units: dict[str, float] = {}
    silent: list[str] = []
    for each in map(str, label.unique()):
        name = parse_name(re.sub(r"[^\w\[\]()%/ -]", " ", each))
        other = name.other or name.setting or set(re.findall(r"[a-z]+", each.lower())) & OTHER_LABELS
        if options.unit is not None and (not other or each == options.channel):
            units[each] = UNITS_W[options.unit]
        elif not other and name.factor is not None:
            units[each] = name.factor
        elif not other and cells.numeric[(label == each).to_numpy()].any():
            silent.append(each)
    return units, silent


def _asked(table: Table, form: MeterFormat, power_column: str) -> _Candidate:
    """The column that the user names; refuses one without numbers or of another quantity."""
    index = table.asked(power_column)
    full, cells = table.names[index], cells_of(table.cells[index])
    name, declared = parse_name(full), _declared(full, form)
    if name.other and declared is None:
        raise MeterError(f"{full!r} is not a power: its name means {name.other}", f"the columns are {table.listed()}")
    if not cells.numeric.any():
        raise MeterError(f"no reading of {bare_name(full)} in {table.source} is a number", "choose another --power-column")
    if cells.other_unit and not cells.in_watts:
        raise MeterError(f"{full!r} is not a power: its cells are in {cells.other_unit}", f"the columns are {table.listed()}")
    return _with_unit(table, index, cells, declared)


def _candidate(table: Table, index: int, form: MeterFormat, notes: list[str]) -> _Candidate | None:
    """A column that may hold power by its format, its name or the unit of its cells; None for others and those without numbers."""
    full = table.names[index]
    declared, name = _declared(full, form), parse_name(full)
    head = table.cells[index].iloc[:LOOK_ROWS]
    by_cells = not name.other and not name.setting and head.str.contains("W", case=False, regex=False).any()
    if declared is None and not name.may_be_power and not (by_cells and cells_of(head).in_watts):
        return None
    cells = cells_of(table.cells[index])
    if not cells.numeric.any():
        notes.append(f"{full!r} contains no numbers" if not cells.blank.all() else f"{full!r} is empty")
        return None
    return None if cells.other_unit and not cells.in_watts else _with_unit(table, index, cells, declared)


def _with_unit(table: Table, index: int, cells: Cells, declared: str | None) -> _Candidate:
    """The column with the unit of its header, of every cell, or of the format."""
    full = table.names[index]
    factor = parse_name(full).factor
    if factor is not None:
        return _Candidate(index, full, cells, factor, HEADER_UNIT)
    if cells.in_watts:
        return _Candidate(index, full, cells, 1.0, CELL_UNIT)
    if declared:
        return _Candidate(index, full, cells, UNITS_W[declared], f"{declared} by the format")
    return _Candidate(index, full, cells, None, "")


def _declared(name: str, form: MeterFormat) -> str | None:
    """The unit that a format declares for a column; empty if it leaves it open, None if it does not declare the column."""
    bare = bare_name(name)
    return next((unit for pattern, unit in form.power if re.fullmatch(pattern, bare) or re.fullmatch(pattern, name)), None)


def _only_number(table: Table, others: Sequence[int]) -> list[_Candidate]:
    """The one column of numbers of a log without a header; none if there are several."""
    parts = [(i, cells_of(table.cells[i])) for i in others]
    numeric = [_with_unit(table, i, cells, None) for i, cells in parts if cells.numeric.any() and (cells.in_watts or not cells.other_unit)]
    return numeric if len(numeric) == 1 else []


def _check_unit(proven: Sequence[_Candidate], options: Options) -> None:
    """Refuse a `--unit` that contradicts the header, if every column states its unit."""
    if options.unit is None or not all(each.stated for each in proven):
        return
    other = next((each for each in proven if each.unit == CELL_UNIT or each.factor != UNITS_W[options.unit]), None)
    if other is not None and other.unit == HEADER_UNIT:
        raise MeterError(f"{other.name!r} names its unit, and --unit {options.unit} contradicts it", "remove --unit")


def _refuse(table: Table, candidates: list[_Candidate], options: Options, others: Sequence[int]) -> NoReturn:
    """Report why no column is known to contain power, with the option that selects one."""
    listed = f"columns found: {table.listed()}"
    empty = [name for name in (table.names[i] for i in others) if parse_name(name).factor and parse_name(name).may_be_power]
    if empty and not candidates:
        raise MeterError(f"no reading of {bare_name(empty[0])} in {table.source} is a number", listed)
    if not candidates and not table.headed:
        candidates = _only_number(table, others)
    names = [each.name for each in candidates]
    if len(names) == 1:
        mega = parse_name(names[0]).mega
        why = "names its unit as MW: megawatts, or milliwatts in capitals" if mega else "names no unit of power"
        choice = ("if it holds milliwatts", ("--unit", "mW")) if mega else ("if it holds watts", ("--unit", "W"))
        raise MeterError(f"the column {names[0]!r} of {table.source} {why}", options.advice(choice, after=listed))
    silent = names or [table.names[i] for i in others if _varies(table, i)]
    silent.sort(key=lambda name: re.match(r"P(?![a-z])", name) is None)
    if not silent:
        raise MeterError(f"{table.source} contains no power", f"log power in watts; {listed}")
    what = f"{table.source}: no column names a unit of power"
    if names:
        what = f"{len(names)} columns of {table.source} may hold power, and none names a unit: {', '.join(map(repr, names))}"
    raise MeterError(what, options.advice(("select the one in watts", ("--power-column", silent[0], "--unit", "W")), after=listed))


def _varies(table: Table, index: int) -> bool:
    """Whether a column that states no other quantity holds numbers that vary, so that it may be proposed as power."""
    head = cells_of(table.cells[index].iloc[:LOOK_ROWS])
    steps = pd.to_numeric(head.text, errors="coerce").diff().dropna()
    name = parse_name(table.names[index])
    return not (name.other or name.setting or head.other_unit) and (len(steps) == 1 or steps.nunique() > 1)


def _column(table: Table, candidate: _Candidate, form: MeterFormat, options: Options, evidence: Evidence) -> PowerColumn:
    """The values of a column in W, and why the others are missing."""
    cells, name, factor = candidate.cells, candidate.name, candidate.factor_as(options.unit)
    assert factor is not None
    decimal = options.decimal or _decimal(cells, factor, table, evidence, options, name)
    watts = _without_over_range(cells, cells.numbers(decimal) * cells.factors(factor))
    _check_declared(candidate, watts, table, form, options)
    blank, foreign = cells.blank, cells.foreign
    sparse = len(blank) > 0 and float(np.mean(blank)) >= SPARSE
    present = ~(blank & sparse) & ~foreign
    lost = np.flatnonzero(present & ~np.isfinite(watts))
    discarded = {int(i): "an empty cell" if blank[i] else repr(str(cells.raw.iloc[i])[:20]) for i in lost}
    unit = candidate.unit if options.unit is None or candidate.stated else f"{options.unit} as given"
    unit += f"; {int(foreign.sum())} rows in units of other quantities left out" if foreign.any() else ""
    unit += f"; filled in {int(present.sum())} of {len(present)} rows" if sparse else ""
    return PowerColumn(candidate.index, bare_name(name), watts, present, discarded, unit)


def _without_over_range(cells: Cells, watts: Floats) -> Floats:
    """The values without numbers of nines or of a full register far above all others, which a meter shows beyond its range."""
    digits = cells.text.str.replace(r"[.,]", "", regex=True)
    marks = np.asarray(digits.str.fullmatch(r"9{4,}") | digits.isin(FULL), dtype=bool)
    rest = watts[~marks & np.isfinite(watts)]
    return np.where(marks & (watts > NINES * np.max(rest)), np.nan, watts) if len(rest) else watts


def _check_declared(candidate: _Candidate, watts: Floats, table: Table, form: MeterFormat, options: Options) -> None:
    """Refuse the unit of a format if the readings are too low for it: some versions or scripts write another one."""
    if options.unit is None and not candidate.stated and np.isfinite(watts).any() and float(np.nanmax(watts)) < form.min_w:
        raise MeterError(
            f"{candidate.name!r} of {table.source} is in mW according to its format, but then never reaches {form.min_w:g} W",
            options.advice(("if it holds watts", ("--unit", "W")), ("if it holds milliwatts", ("--unit", "mW"))),
        )


def _evidence(table: Table, columns: Sequence[int] | None = None) -> Evidence:
    """What columns (None: all) show of the decimal mark; loggers often write times with another one."""
    heads = [table.cells[i].iloc[:LOOK_ROWS] for i in (range(len(table.names)) if columns is None else columns)]
    marked = [head for head in heads if head.str.contains(r"\d[.,]\d", regex=True).any()]
    return evidence_of(text for head in marked for text in cells_of(head).text)


def _decimal(cells: Cells, factor: float, table: Table, around: Evidence, options: Options, name: str) -> str:
    """The decimal mark of a column; refuses one whose cells can be read with both marks, or need both."""
    own, count = cells.evidence, int(cells.numeric.sum())
    if own.point and own.comma and min(own.point, own.comma) > 0.01 * max(count, 1):
        raise MeterError(f"{name!r} of {table.source} contains decimal points and decimal commas", "write all of its numbers with one mark")
    if own.point or own.comma or not own.either:
        return "." if own.point >= own.comma else ","
    decimal, other = (",", ".") if "," in own.sample else (".", ",")
    if around.comma and not around.point:
        return ","
    if decimal == "," and table.delimiter == ";":
        return ","  # a list is separated by semicolons where the comma is the decimal mark
    all_marked = count <= own.either  # a column with decimals has no whole numbers
    impossible = float(np.nanquantile(cells.numbers(other), 0.99) * factor) > MAX_W
    if decimal == "." and (around.point or impossible or (table.delimiter in POINT_DELIMITERS and all_marked)):
        return "."
    raise MeterError(
        f"{name!r} of {table.source}: {own.sample!r} is {own.sample.replace(',', '.')} or {own.sample.replace(decimal, '')}, and no other value decides it",
        options.advice(
            (f"if the {'comma' if decimal == ',' else 'point'} is the decimal mark", ("--decimal", decimal)),
            ("if it groups thousands", ("--decimal", other)),
        ),
    )
