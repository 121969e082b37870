"""Which columns of a table hold power, in which unit and with which decimal mark: a column must prove it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat
from harness.meters.names import understood
from harness.meters.numbers import Cells, Evidence, cells_of, evidence, factors, foreign, has_unit, numbers
from harness.meters.options import UNITS_W, Options
from harness.meters.table import Table, bare_name
from harness.schema import Floats

SPARSE = 0.5
"""A column that is empty in this share of the rows is filled in by another sensor's rhythm: its empty cells are no lost readings."""
LOOK_ROWS = 2000
"""Rows of other columns that are looked at for the decimal mark."""
POINT_DELIMITERS = (",", " ", "")
"""Between cells of logs whose decimal mark is a point."""
MOST_W = 1e5
"""More than any machine draws: a decimal mark that gives more is the other one."""
STATED = ("unit of its header", "unit of its cells")
"""Where the log itself states a unit."""
NINES = 3.0
"""How far above all other readings 9999.9 is a mark, in multiples of the highest."""
FULL = ("32767", "65535", "2147483647", "4294967295")
"""Digits of the highest number of a register: what a meter shows where it has none."""
LISTED = 30
"""Columns that a message names."""


@dataclass
class PowerColumn:
    """A column of power.

    Attributes:
        index: In the table.
        name: Without its unit.
        watts: Shape (n,); NaN where a cell holds no number.
        present: Where a row holds a reading of this column at all, shape (n,).
        discarded: Why values are missing, with their count.
        unit: Where its unit comes from, as a phrase.
    """

    index: int
    name: str
    watts: Floats
    present: np.ndarray
    discarded: dict[int, str]
    unit: str


@dataclass
class _Candidate:
    index: int
    cells: Cells
    factor: float | None
    unit: str


def power_columns(table: Table, form: MeterFormat, options: Options, taken: set[int], source: str) -> tuple[list[PowerColumn], list[str]]:
    """Columns that prove to hold power, and sentences on the others.

    Args:
        table: The log.
        form: Its format.
        options: The user's choices.
        taken: Columns of time and of device labels.
        source: Name of the file, for messages.

    Raises:
        MeterError: No column proves to hold power, or one can be read in two ways.
    """
    notes: list[str] = []
    if options.power_column is not None:
        found = [_asked(table, form, options, source)]
    else:
        found = [each for i in range(len(table.names)) if i not in taken for each in [_candidate(table, i, form, notes)] if each]
    if not found and not table.headed and options.unit is not None:
        found = _only_number(table, taken)
    proven = [each for each in found if _factor(each, options) is not None]
    _check_unit(table, proven, options)
    if not proven:
        without = [
            table.names[i]
            for i in range(len(table.names))
            if i not in taken and understood(table.names[i]).factor and understood(table.names[i]).usable
        ]
        if without and not found:
            raise MeterError(f"no reading of {bare_name(without[0])} in {source} is a number", f"columns found: {listed(table)}")
        _refuse(table, found, options, taken, source)
    if len(proven) < len(found):
        rest = ", ".join(repr(table.names[each.index]) for each in found if each not in proven)
        notes.append(f"{rest}: no unit, left out")
    around = _around(table, taken)
    columns = [_column(table, each, form, options, around, source) for each in proven]
    again = {name for name, count in Counter(column.name for column in columns).items() if count > 1}
    for column in columns:
        column.name = table.names[column.index] if column.name in again else column.name
    return columns, notes


def labelled_column(
    table: Table, form: MeterFormat, label: pd.Series, units: dict[str, float], silent: list[str], options: Options, source: str
) -> tuple[list[PowerColumn], list[str]]:
    """The column of values of a log whose labels name quantity and unit.

    Args:
        table: The log.
        form: Its format.
        label: Label of each row, shape (n,).
        units: Labels that hold power, with their unit in W.
        silent: Labels that may hold power and name no unit.
        options: The user's choices.
        source: Name of the file, for messages.

    Raises:
        MeterError: No label names a unit of power.
    """
    index = next(i for i, name in enumerate(table.names) if _declared(name, form) is not None)
    cells = cells_of(table.cells[index])
    silent = [each for each in silent if cells.numeric[(label == each).to_numpy()].any()]
    if not units:
        known = ", ".join(map(repr, silent or list(dict.fromkeys(label))[:LISTED]))
        pick = ("--channel", silent[0]) if len(silent) > 1 else ()
        what = f"{source} names no unit of power: {known}" if silent else f"{source} holds no power: {known}"
        raise MeterError(what, options.advice(("if it holds watts", (*pick, "--unit", "W"))) if silent else "log a sensor of power")
    here = label.isin(units.keys()).to_numpy()
    scale = label.map(units).to_numpy(dtype=float, na_value=np.nan)
    decimal = options.decimal or _decimal(cells, max(units.values()), table, _around(table, set()), options, source, table.names[index])
    watts = np.where(here, numbers(cells, decimal) * scale, np.nan)
    lost = {int(i): repr(str(cells.raw.iloc[i])[:20]) for i in np.flatnonzero(here & ~np.isfinite(watts))}
    unit = f"{options.unit} as given" if options.unit else "unit of its label"
    notes = [f"{', '.join(map(repr, silent))}: no unit, left out"] if silent else []
    return [PowerColumn(index, bare_name(table.names[index]), watts, here, lost, unit)], notes


def listed(table: Table) -> str:
    """The columns of a log, for messages."""
    names = [f"{i}: {name!r}" for i, name in enumerate(table.names, 1)]
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _asked(table: Table, form: MeterFormat, options: Options, source: str) -> _Candidate:
    """The column that the user names."""
    assert options.power_column is not None
    index = table.column(options.power_column)
    if index is None:
        raise MeterError(f"{source} has no column {options.power_column!r}", f"its columns are {listed(table)}")
    name, cells = understood(table.names[index]), cells_of(table.cells[index])
    declared = _declared(table.names[index], form)
    if name.other and declared is None:
        raise MeterError(f"{table.names[index]!r} is no power: its name means {name.other}", f"the columns are {listed(table)}")
    if not cells.numeric.any():
        raise MeterError(f"no reading of {bare_name(table.names[index])} in {source} is a number", "choose another --power-column")
    other = factors(cells, 1.0)[1]
    if other and not has_unit(cells):
        raise MeterError(f"{table.names[index]!r} is no power: its cells are in {other}", f"the columns are {listed(table)}")
    return _with_unit(table, index, cells, declared)


def _candidate(table: Table, index: int, form: MeterFormat, notes: list[str]) -> _Candidate | None:
    """A column that may hold power by its format, its name or its cells' unit; None for others and those without numbers."""
    full = table.names[index]
    declared, name = _declared(full, form), understood(full)
    head = table.cells[index].iloc[:LOOK_ROWS]
    by_cells = (not name.other and not name.setting) and head.str.contains("W", case=False, regex=False).any()
    if declared is None and not name.usable and not (by_cells and has_unit(cells_of(head))):
        return None
    cells = cells_of(table.cells[index])
    if not cells.numeric.any():
        notes.append(f"{full!r} holds no numbers" if not cells.blank.all() else f"{full!r} is empty")
        return None
    if factors(cells, 1.0)[1] and not has_unit(cells):
        return None
    return _with_unit(table, index, cells, declared)


def _with_unit(table: Table, index: int, cells: Cells, declared: str | None) -> _Candidate:
    """The column with its unit: that of the header, of every cell, or of the format; None where all are silent."""
    name = understood(table.names[index])
    if name.factor is not None:
        return _Candidate(index, cells, name.factor, STATED[0])
    if has_unit(cells):
        return _Candidate(index, cells, 1.0, STATED[1])
    if declared:
        return _Candidate(index, cells, UNITS_W[declared], f"{declared} by the format")
    return _Candidate(index, cells, None, "")


def _declared(name: str, form: MeterFormat) -> str | None:
    """The unit by a format's declaration; empty if it leaves it open, None if the column is not declared."""
    bare = bare_name(name)
    return next((unit for pattern, unit in form.power if re.fullmatch(pattern, bare) or re.fullmatch(pattern, name)), None)


def _factor(candidate: _Candidate, options: Options) -> float | None:
    """The unit in W: that of the header or the cells, else the one that the user gives, else that of the format; None if all are silent."""
    if options.unit is not None and candidate.unit not in STATED:
        return UNITS_W[options.unit]
    return candidate.factor


def _check_unit(table: Table, proven: list[_Candidate], options: Options) -> None:
    """Refuse a unit that contradicts the log.

    Raises:
        MeterError: Every column states its unit, and one states another one.
    """
    if options.unit is None or any(each.unit not in STATED for each in proven):
        return
    other = next((each for each in proven if each.unit == STATED[1] or each.factor != UNITS_W[options.unit]), None)
    if other is not None and other.unit == STATED[0]:
        raise MeterError(f"{table.names[other.index]!r} names its unit, and --unit {options.unit} contradicts it", "leave --unit out")


def _refuse(table: Table, found: list[_Candidate], options: Options, taken: set[int], source: str) -> None:
    """Why no column proves to hold power, and the command that decides it.

    Raises:
        MeterError: Always.
    """
    if not found and not table.headed:
        found = _only_number(table, taken)
    if len(found) == 1:
        name = table.names[found[0].index]
        mega = understood(name).mega
        why = "names its unit as MW: megawatts, or milliwatts in capitals" if mega else "names no unit of power"
        raise MeterError(
            f"the column {name!r} of {source} {why}",
            options.advice(
                (f"if it holds {'milliwatts' if mega else 'watts'}", ("--unit", "mW" if mega else "W")),
                after=f"columns found: {listed(table)}",
            ),
        )
    names = [table.names[each.index] for each in found]
    silent = names or [table.names[i] for i in range(len(table.names)) if i not in taken and _may_be_asked_for(table, i)]
    silent.sort(key=lambda name: re.match(r"P(?![a-z])", name) is None)
    if not silent:
        raise MeterError(f"{source} holds no power", f"log power in watts; columns found: {listed(table)}")
    what = f"{len(names)} columns of {source} may hold power, and none names a unit: {', '.join(map(repr, names))}" if names else (
        f"{source}: no column names a unit of power"
    )  # fmt: skip
    raise MeterError(
        what,
        options.advice(
            ("name the one that holds watts", ("--power-column", silent[0], "--unit", "W")), after=f"columns found: {listed(table)}"
        ),
    )


def _may_be_asked_for(table: Table, index: int) -> bool:
    """Whether a column that names neither power nor another quantity holds numbers that change."""
    head = cells_of(table.cells[index].iloc[:LOOK_ROWS])
    steps = pd.to_numeric(head.text, errors="coerce").diff().dropna()
    name = understood(table.names[index])
    return not (name.other or name.setting) and not factors(head, 1.0)[1] and (len(steps) == 1 or steps.nunique() > 1)


def _only_number(table: Table, taken: set[int]) -> list[_Candidate]:
    """The one column of numbers of a log without a header."""
    parts = [(i, cells_of(table.cells[i])) for i in range(len(table.names)) if i not in taken]
    numeric = [
        _with_unit(table, i, cells, None)
        for i, cells in parts
        if cells.numeric.any() and not (factors(cells, 1.0)[1] and not has_unit(cells))
    ]
    return numeric if len(numeric) == 1 else []


def _around(table: Table, times: set[int]) -> Evidence:
    """What all columns but those of the time show of the decimal mark: a logger often writes its own times in another one."""
    total = Evidence()
    for index in range(len(table.names)):
        if index in times:
            continue
        head = table.cells[index].iloc[:LOOK_ROWS]
        if head.str.contains(r"\d[.,]\d", regex=True).any():
            total.add(evidence(cells_of(head).text))
    return total


def _column(table: Table, candidate: _Candidate, form: MeterFormat, options: Options, around: Evidence, source: str) -> PowerColumn:
    """Values in W, and why the others are none."""
    cells, name = candidate.cells, table.names[candidate.index]
    factor = _factor(candidate, options)
    assert factor is not None
    decimal = options.decimal or _decimal(cells, factor, table, around, options, source, name)
    scale, _ = factors(cells, factor)
    watts = numbers(cells, decimal) * scale
    watts = _without_nines(cells, watts)
    _check_declared(candidate, watts, form, options, source, name)
    blank = cells.blank
    sparse = float(np.mean(blank)) >= SPARSE if len(blank) else False
    others = foreign(cells)
    present = (~blank if sparse else np.ones(len(blank), dtype=bool)) & ~others
    lost = np.flatnonzero(present & ~np.isfinite(watts))
    discarded = {int(i): "an empty cell" if blank[i] else repr(str(cells.raw.iloc[i])[:20]) for i in lost}
    asked = options.unit is not None and candidate.unit not in STATED
    unit = f"{options.unit} as given" if asked else candidate.unit
    if others.any():
        unit += f"; {int(others.sum())} rows in units of other quantities left out"
    if sparse:
        unit += f"; filled in {int(present.sum())} of {len(present)} rows"
    return PowerColumn(candidate.index, bare_name(name), watts, present, discarded, unit)


def _without_nines(cells: Cells, watts: Floats) -> Floats:
    """Without numbers of nothing but nines, or of a full register, far above all others: what a meter shows beyond its range."""
    digits = cells.text.str.replace(r"[.,]", "", regex=True)
    nines = np.asarray(digits.str.fullmatch(r"9{4,}") | digits.isin(FULL), dtype=bool)
    rest = watts[~nines & np.isfinite(watts)]
    beyond = nines & (watts > NINES * np.max(rest)) if len(rest) else np.zeros(len(watts), dtype=bool)
    return np.where(beyond, np.nan, watts)


def _check_declared(candidate: _Candidate, watts: Floats, form: MeterFormat, options: Options, source: str, name: str) -> None:
    """Refuse the unit of a format where the readings are too low for it: some versions, or scripts, write another one.

    Raises:
        MeterError: No reading reaches the least power of such a machine.
    """
    if options.unit is not None or candidate.unit in STATED or not np.isfinite(watts).any() or float(np.nanmax(watts)) >= form.least_w:
        return
    raise MeterError(
        f"{name!r} of {source} is in mW by its format, and then never reaches {form.least_w:g} W",
        options.advice(("if it holds watts", ("--unit", "W")), ("if it holds milliwatts", ("--unit", "mW"))),
    )


def _decimal(cells: Cells, factor: float, table: Table, around: Evidence, options: Options, source: str, name: str) -> str:
    """The decimal mark of a column.

    Raises:
        MeterError: Its cells can be read with both, or need both.
    """
    own = cells.evidence
    rare = 0.01 * max(int(cells.numeric.sum()), 1)
    if own.point and own.comma and min(own.point, own.comma) > rare:
        raise MeterError(f"{name!r} of {source} holds decimal points and decimal commas", "write all of its numbers with one mark")
    if own.point or own.comma:
        return "." if own.point >= own.comma else ","
    if not own.either:
        return "."
    mark = "," if "," in own.sample else "."
    other = "." if mark == "," else ","
    if around.comma and not around.point:
        return ","
    if mark == "," and table.delimiter == ";":
        return ","  # a list is separated by semicolons where the comma is the decimal mark
    whole = int(cells.numeric.sum()) > own.either  # beside numbers without a mark: a column with decimals would have written them too
    impossible = float(np.nanquantile(numbers(cells, other), 0.99) * factor) > MOST_W
    if mark == "." and (around.point or impossible or (table.delimiter in POINT_DELIMITERS and not whole)):
        return "."
    thousands = own.sample.replace(mark, "")
    raise MeterError(
        f"{name!r} of {source}: {own.sample!r} is {own.sample.replace(',', '.')} or {thousands}, and no other value decides it",
        options.advice(
            (f"if the {'comma' if mark == ',' else 'point'} is the decimal mark", ("--decimal", mark)),
            ("if it groups thousands", ("--decimal", other)),
        ),
    )


def reasons(discarded: dict[int, str]) -> Counter[str]:
    """Count the reasons."""
    return Counter(discarded.values())
