"""The text of a log as a table of cells."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.options import Options
from harness.meters.timestamps import is_moment
from harness.meters.units import MEGA, factor_of, is_other, parse_name

HEADER_LINES = 60
"""The header is one of the first lines; the lines above it are a preamble."""
DELIMITERS = (",", ";", "\t", "|")
NEXT = 3
"""Number of lines directly below a header of which all but one must be data."""
LOOK = 20
"""Lines below a header that are compared with it."""
DATUM = re.compile(
    r"^[+-]?[\d.,'\u2019\s\u00a0\u202f]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*(?:[mkMu]?W|Watts?|%)?$|^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d).*|^\d{1,2}:\d{2}.*"
)
"""A cell of data: a number, a date or a time of day."""
Torn = list[tuple[int, int, str]]
"""Rows that could not be split, as (line number, number of good rows above it, reason)."""


@dataclass
class Table:
    """A log as rows of cells.

    Attributes:
        source: Name of the file, for messages.
        names: Column names; equal ones are numbered, those of a log without a header are `column 1`, `column 2`, ...
        cells: Text with one row per reading and one column (0, 1, ...) per name, shape (n, len(names)).
        lines: Line number of each row, shape (n,).
        torn: Rows that could not be split.
        delimiter: `,`, `;`, a tab, `|`, a blank, or empty for JSON.
        headed: Whether the log has a header.
        on_change: Whether a row is written only when the value changes.
        notes: What was skipped, as sentences.
    """

    source: str
    names: list[str]
    cells: pd.DataFrame
    lines: np.ndarray
    torn: Torn = field(default_factory=list)
    delimiter: str = ","
    headed: bool = True
    on_change: bool = False
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of_rows(cls, source: str, rows: Sequence[dict[str, str]], lines: Sequence[int], torn: Torn, delimiter: str = "") -> Table:
        """A table of rows by column name, empty where a row lacks a column; the other arguments are attributes."""
        names = list(dict.fromkeys(key for row in rows for key in row))
        cells = pd.DataFrame({i: [row.get(key, "") for row in rows] for i, key in enumerate(names)}, dtype=str)
        return cls(source, names, cells, np.array(lines, dtype=int), torn, delimiter)

    def column(self, name: str) -> int | None:
        """Index of a column by its name, its bare name or its number from 1; None if there is none."""
        for key in (lambda each: each, lambda each: each.casefold(), bare_name, lambda each: bare_name(each).casefold()):
            matches = [i for i, each in enumerate(self.names) if key(each) == key(name)]
            if len(matches) == 1:
                return matches[0]
        return int(name) - 1 if name.isdecimal() and 0 < int(name) <= len(self.names) else None

    def asked(self, name: str) -> int:
        """Index of a column that the user names; raises MeterError if there is none."""
        index = self.column(name)
        if index is None:
            raise MeterError(f"{self.source} has no column {name!r}", f"its columns are {self.listed()}")
        return index

    def matching(self, patterns: Sequence[str]) -> list[int]:
        """Indices of the columns whose whole name matches a pattern, in the order of the patterns."""
        return [i for pattern in patterns for i, name in enumerate(self.names) if re.fullmatch(pattern, name)]

    def without_cut_row(self) -> Table:
        """The table of a file without a line end: its last row is dropped if its last cell is shorter than those above, as its number may be cut."""
        last = self.cells.iloc[:, -1].tolist()
        if len(last) < 3 or not last[-1]:
            return self
        above = [cell for cell in last[-51:-1] if cell]
        *decimals, own = [len(re.split(r"[.,]", cell)[-1]) if re.search(r"[.,]", cell) else 0 for cell in [*above, last[-1]]]
        rare = len(above) // 20  # a footer may be among them
        if not above or (len(last[-1]) >= sorted(map(len, above))[rare] and own >= sorted(decimals)[rare]):
            return self
        torn = [*self.torn, (int(self.lines[-1]), len(last) - 1, "the last line was cut")]
        return replace(self, cells=self.cells.iloc[:-1], lines=self.lines[:-1], torn=torn)

    def listed(self, most: int = 30) -> str:
        """The columns by number and name, for messages."""
        names = [f"{i}: {name!r}" for i, name in enumerate(self.names, 1)]
        return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def bare_name(name: str) -> str:
    """A column's name without its unit: `power.draw` of `power.draw [W]`."""
    return re.sub(r"\s*[\[(][^\[\]()]*[\])]\s*$", "", name).strip() or name


def numbered(names: Sequence[str]) -> list[str]:
    """The names; repeated ones have `#2`, `#3`, ... before their unit."""
    counts: Counter[str] = Counter()
    unique = []
    for name in names:
        counts[name] += 1
        bare = bare_name(name)
        unique.append(name if counts[name] == 1 else f"{bare} #{counts[name]}{name[len(bare) :] if name.startswith(bare) else ''}")
    return unique


def split(line: str, delimiter: str) -> list[str]:
    """Stripped cells of one line; empty ones at its end stay."""
    if delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def _trimmed(cells: Sequence[str]) -> list[str]:
    """The cells without the empty ones at the end."""
    return list(cells[: max((i + 1 for i, cell in enumerate(cells) if cell), default=0)])


@dataclass(frozen=True)
class Header:
    """Index of the header's line (-1: none), delimiter and column names."""

    line: int
    delimiter: str
    names: tuple[str, ...]


def delimited(name: str, text: str, options: Options) -> Table:
    """Split text with delimiters; columns that the options name identify the header.

    Raises:
        MeterError: The text is not a table of two or more columns.
    """
    lines = text.splitlines()
    header = _header(lines, options, near=True) or _headless(lines) or _header(lines, options, near=False)
    if header is None:
        raise MeterError(
            f"{name} contains no table of times and numbers", "log as CSV, one line per reading: docs/meters.md lists the formats"
        )
    return _body(name, lines, header, ended=text.endswith(("\n", "\r")))


def _header(lines: Sequence[str], options: Options, *, near: bool) -> Header | None:
    """The line of names above (`near`: directly above) lines of data, the one with the most evidence for power."""
    asked = {each.casefold() for each in (options.time_column, options.power_column, options.device_column) if each}
    candidates: list[tuple[tuple[int, bool, int, int], Header]] = []
    for number, line in enumerate(lines[:HEADER_LINES]):
        for delimiter in (*DELIMITERS, " "):
            if delimiter == " " and any(other in line for other in DELIMITERS):
                continue
            cells = _trimmed(split(line, delimiter))
            names = [each.lstrip("#").strip() for each in cells]
            if len(names) > 1 and not names[0] and cells[0].startswith("#"):
                names = names[1:]
            if len(names) < 2 or any(map(DATUM.match, names)) or not _fits(lines[number + 1 :], delimiter, len(names), near=near):
                continue
            units = _are_units(names)
            rank = (0 if units else max(_proof(each, asked) for each in names), not units and not line.lstrip().startswith("#"))
            candidates.append(((*rank, -number, len(names)), Header(number, delimiter, tuple(names))))
    return max(candidates, key=lambda each: each[0])[1] if candidates else None


def _proof(name: str, asked: set[str]) -> int:
    """2 for a column that the user names or a unit of power, 1 for a word for power, else 0."""
    column = parse_name(name)
    if {name.casefold(), bare_name(name).casefold()} & asked or (column.may_be_power and column.factor is not None):
        return 2
    return int(column.may_be_power)


def _fits(below: Sequence[str], delimiter: str, count: int, *, near: bool) -> bool:
    """Whether the lines below split into about as many cells, with data among them; columns of blanks must do so exactly."""
    lines = [line for line in below[: 3 * LOOK] if line.strip() and not line.lstrip().startswith("#")][:LOOK]
    rows = [split(line, delimiter) for line in lines]
    if rows and _are_units(rows[0]):
        rows = rows[1:]
    good = [len(row) >= 2 and any(map(DATUM.match, row)) for row in rows]
    if near and sum(good[:NEXT]) < min(len(good), NEXT) - (len(good) >= NEXT):
        return False
    widths = [len(_trimmed(row)) for row in rows]
    if delimiter == " ":
        return bool(rows) and all(width == count for width in widths) and not any(other in line for line in lines for other in ";\t|")
    close = sum(data and abs(width - count) <= max(1, count // 4) for width, data in zip(widths, good, strict=True))
    return not rows or 2 * close >= max(sum(good), 1)


def _headless(lines: Sequence[str]) -> Header | None:
    """Numbered columns of a log that begins with data; None if it does not."""
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    for delimiter in (*DELIMITERS, " "):
        cells = _trimmed(split(first, delimiter))
        if len(cells) >= 2 and DATUM.match(cells[0]) and any(map(DATUM.match, cells[1:])):
            return Header(-1, delimiter, tuple(f"column {i + 1}" for i in range(len(cells))))
    return None


@dataclass
class _Lines:
    """The lines below a header by kind."""

    good: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    torn: Torn = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    headers: int = 0
    comments: int = 0


def _body(name: str, lines: Sequence[str], header: Header, *, ended: bool) -> Table:
    """The table below a header."""
    width = len(header.names)
    below = _classified(name, lines, header)
    units = [unit.strip("[]() ") for unit in below.units] + [""] * width
    names = numbered([f"{each} [{unit}]" if unit else each for each, unit in zip(header.names, units, strict=False)])
    cells = _frame(below.good, header.delimiter, width)
    table = Table(name, names, cells, np.array(below.numbers, dtype=int), below.torn, header.delimiter, header.line >= 0)
    table.notes += [f"the header is repeated {below.headers} times: the logger was restarted"] if below.headers else []
    table.notes += [f"{below.comments} lines are comments"] if below.comments else []
    return table if ended else table.without_cut_row()


def _classified(name: str, lines: Sequence[str], header: Header) -> _Lines:
    """Rows, torn rows, units, comments and repeated headers; refuses rows below a second header with other columns."""
    kinds, width, headed = _Lines(), len(header.names), header.line >= 0
    for number, line in enumerate(lines[: max(header.line, 0)], 1):
        cells = _trimmed(split(line, header.delimiter))
        if len(cells) == width and DATUM.match(cells[0]) and is_moment(cells[0]):
            kinds.torn.append((number, 0, "a row above the header"))
    below = [
        (number, line, split(line, header.delimiter))
        for number, line in enumerate(lines[header.line + 1 :], header.line + 2)
        if line.strip()
    ]
    usual = Counter(len(cells) for _, _, cells in below[:500]).most_common(1)
    counts = {width, len(split(lines[header.line], header.delimiter)) if headed else width, *(count for count, _ in usual)}
    changed = 0
    for number, line, cells in below:
        if headed and [each.lstrip("#").strip() for each in _trimmed(cells)][-width:] == list(header.names):
            kinds.headers += 1
        elif line.lstrip().startswith("#"):
            kinds.comments += 1
        elif headed and not kinds.good and not kinds.units and _are_units(cells):
            kinds.units = cells
        elif headed and _is_header_like(cells, header):
            changed = changed or number
        elif changed and any(map(DATUM.match, cells[:2])):
            raise MeterError(
                f"the columns of {name} change at line {changed}: the logger was restarted", "cut the log there, import one part"
            )
        elif why := _why_torn(line, cells, width, counts) or ("a row below a second header" if changed else ""):
            kinds.torn.append((number, len(kinds.good), why))
        else:
            kinds.good.append(line)
            kinds.numbers.append(number)
    return kinds


def _is_header_like(cells: Sequence[str], header: Header) -> bool:
    """Whether a row contains no data and several of the header's names."""
    bare = {cell.lstrip("#").strip().casefold() for cell in cells if cell}
    names = {name.casefold() for name in header.names if name}
    return len(bare & names) >= max(2, len(names) // 3) and not any(map(DATUM.match, cells))


def _are_units(cells: Sequence[str]) -> bool:
    """Whether a row below the header holds units: none of its cells is data, and half of them are units."""
    bare = [cell.strip("[]()# ") for cell in cells if cell]
    units = [cell for cell in bare if factor_of(cell) is not None or cell == MEGA or is_other(cell)]
    return bool(units) and 2 * len(units) >= len(bare) and not any(map(DATUM.match, bare))


def _why_torn(line: str, cells: Sequence[str], width: int, counts: set[int]) -> str:
    """Why a row cannot be assigned to columns, such as a comma inside a number; empty if it can."""
    if line.count('"') % 2:
        return "an open quote"
    if any(cells[width:]) or len(cells) < width or len(cells) not in counts:
        return f"{len(cells)} cells where there are {width} columns"
    return ""


def _frame(lines: Sequence[str], delimiter: str, width: int) -> pd.DataFrame:
    """The cells of rows, stripped, shape (n, width)."""
    if not lines:
        return pd.DataFrame({i: pd.Series([], dtype=str) for i in range(width)})
    most = max(width, *(line.count(delimiter) + 1 for line in lines)) if delimiter != " " else width
    frame: pd.DataFrame = pd.read_csv(
        io.StringIO("\n".join(lines)),
        sep=r"\s+" if delimiter == " " else delimiter,
        header=None,
        names=list(range(most)),
        index_col=False,
        dtype=str,
        na_filter=False,
        skipinitialspace=True,
        skip_blank_lines=False,
    ).iloc[:, :width]
    return pd.DataFrame({i: frame[i].str.strip() for i in range(width)})
