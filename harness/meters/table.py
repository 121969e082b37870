"""A log's text -> a table of cells: delimited text, or text in columns of blanks."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.dates import is_moment
from harness.meters.names import factor_of, is_other, understood
from harness.meters.options import Options

HEADER_LINES = 60
"""A header is looked for so far down; what stands above it is a preamble."""
DELIMITERS = (",", ";", "\t", "|")
NEXT = 3
"""Of so many lines directly below a header all but one are data."""
BLANKS = r"\s+"
LOOK = 20
"""How many lines below a header are compared with it."""
DATUM = re.compile(
    r"^[+-]?[\d.,'\u2019\s\u00a0\u202f]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*(?:[mkMu]?W|Watts?|%)?$|^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d).*|^\d{1,2}:\d{2}.*"
)
"""A cell that is data: a number, a date, a time of day."""


@dataclass
class Table:
    """A log as rows of cells.

    Attributes:
        names: Column names; equal ones are numbered, those of a log without a header are `column 1`, `column 2`, ...
        cells: Text, one row a reading, one column (0, 1, ...) a name; shape (n, len(names)).
        lines: Line number of each row, shape (n,).
        torn: Rows that could not be split, as (line number, number of good rows above it, reason).
        delimiter: `,`, `;`, a tab, `|`, a blank, or empty for JSON.
        headed: Whether the log has a header.
        preamble: Text above the header.
        on_change: Whether a row is written only when the value changes.
        notes: What was skipped, as sentences.
    """

    names: list[str]
    cells: pd.DataFrame
    lines: np.ndarray
    torn: list[tuple[int, int, str]] = field(default_factory=list)
    delimiter: str = ","
    headed: bool = True
    preamble: str = ""
    on_change: bool = False
    notes: list[str] = field(default_factory=list)

    def column(self, name: str) -> int | None:
        """Index of a column by its name, its bare name or its number from 1; None if there is none."""
        for key in (lambda each: each, lambda each: each.casefold(), bare_name, lambda each: bare_name(each).casefold()):
            found = [i for i, each in enumerate(self.names) if key(each) == key(name)]
            if len(found) == 1:
                return found[0]
        return int(name) - 1 if name.isdecimal() and 0 < int(name) <= len(self.names) else None


def bare_name(name: str) -> str:
    """A column's name without its unit: `power.draw` of `power.draw [W]`."""
    return re.sub(r"\s*[\[(][^\[\]()]*[\])]\s*$", "", name).strip() or name


def numbered(names: Sequence[str]) -> list[str]:
    """The names, those that come again with `#2`, `#3`, ... before their unit."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        bare = bare_name(name)
        found.append(name if seen[name] == 1 else f"{bare} #{seen[name]}{name[len(bare) :] if name.startswith(bare) else ''}")
    return found


# --- delimited ---


@dataclass(frozen=True)
class Header:
    """Where a header stands and how it is split."""

    line: int
    delimiter: str
    names: tuple[str, ...]

    @property
    def headed(self) -> bool:
        """Whether it stands in the file at all."""
        return self.line >= 0


def delimited(name: str, text: str, options: Options, *, comments: bool = True) -> Table:
    """Split delimited text.

    Args:
        name: Name of the file, for messages.
        text: Its content.
        options: The user's choices; columns that they name mark the header.
        comments: Whether lines that begin with `#` below the header are comments.

    Raises:
        MeterError: No table of two columns.
    """
    lines = text.splitlines()
    header = _header(lines, options, near=True) or _headless(lines) or _header(lines, options, near=False)
    if header is None:
        raise MeterError(f"{name} holds no table of times and numbers", "log as CSV, one line a reading: docs/meters.md lists the formats")
    return _body(name, lines, header, ended=text.endswith(("\n", "\r")), comments=comments)


def blank_separated(name: str, text: str, names: Sequence[str], first: int, is_data: Callable[[str], bool]) -> Table:
    """Split text whose columns are separated by blanks.

    Args:
        name: Name of the file, for messages.
        text: Its content.
        names: Names of the columns.
        first: Index of the first line to read.
        is_data: Whether a line holds a reading; others are headers that come again.
    """
    lines = [line if i >= first and is_data(line) else "" for i, line in enumerate(text.splitlines())]
    return _body(name, lines, Header(first - 1, " ", tuple(names)), ended=text.endswith("\n"), comments=False)


def split(line: str, delimiter: str) -> list[str]:
    """One line's cells, stripped; empty ones at its end stay."""
    if delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def _trimmed(cells: Sequence[str]) -> list[str]:
    """Without the empty cells at the end."""
    count = max((i + 1 for i, cell in enumerate(cells) if cell), default=0)
    return list(cells[:count])


def _header(lines: Sequence[str], options: Options, *, near: bool) -> Header | None:
    """The line of names above lines of data: one with a unit of power or a wanted column, else with a word for power, else any; the first of them."""
    wanted = {each.casefold() for each in (options.time_column, options.power_column, options.device_column) if each}
    found: list[tuple[int, bool, int, int, Header]] = []
    for number, line in enumerate(lines[:HEADER_LINES]):
        for delimiter in (*DELIMITERS, " "):
            if delimiter == " " and any(other in line for other in DELIMITERS):
                continue
            cells = _trimmed(split(line, delimiter))
            names = [each.lstrip("#").strip() for each in cells]
            if len(names) > 1 and not names[0] and cells[0].startswith("#"):
                names = names[1:]
            if (
                len(names) < 2
                or any(DATUM.match(each) for each in names)
                or not _fits(lines[number + 1 :], delimiter, len(names), near=near)
            ):
                continue
            bare = not line.lstrip().startswith("#") and not _are_units(names)
            proof = max(_proof(each, wanted) for each in names) if not _are_units(names) else 0
            found.append((proof, bare, -number, len(names), Header(number, delimiter, tuple(names))))
    return max(found, key=lambda each: each[:4])[-1] if found else None


def _proof(name: str, wanted: set[str]) -> int:
    """2: a wanted column or a unit of power; 1: a word for power; 0: neither."""
    read = understood(name)
    if {name.casefold(), bare_name(name).casefold()} & wanted or (read.usable and read.factor is not None):
        return 2
    return int(read.usable)


def _fits(below: Sequence[str], delimiter: str, count: int, *, near: bool) -> bool:
    """Whether lines below split into as many cells, with data among them, `near`: directly below; columns of blanks must do so exactly."""
    lines = [line for line in below[: 3 * LOOK] if line.strip() and not line.lstrip().startswith("#")][:LOOK]
    rows = [split(line, delimiter) for line in lines]
    if rows and _are_units(rows[0]):
        rows = rows[1:]
    good = [len(row) >= 2 and any(DATUM.match(cell) for cell in row) for row in rows]
    if near and sum(good[:NEXT]) < min(len(good), NEXT) - (len(good) >= NEXT):
        return False
    if delimiter == " ":
        return (
            bool(rows) and all(len(_trimmed(row)) == count for row in rows) and not any(mark in line for line in lines for mark in ";\t|")
        )
    close = [row for row, data in zip(rows, good, strict=True) if data and abs(len(_trimmed(row)) - count) <= max(1, count // 4)]
    return not rows or 2 * len(close) >= max(sum(good), 1)


def _headless(lines: Sequence[str]) -> Header | None:
    """Numbered columns for a log that begins with data."""
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    for delimiter in (*DELIMITERS, " "):
        cells = _trimmed(split(first, delimiter))
        if len(cells) >= 2 and DATUM.match(cells[0]) and any(DATUM.match(cell) for cell in cells[1:]):
            return Header(-1, delimiter, tuple(f"column {i + 1}" for i in range(len(cells))))
    return None


@dataclass
class _Lines:
    """The lines below a header, sorted by what they are."""

    good: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    torn: list[tuple[int, int, str]] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    again: int = 0
    comments: int = 0


def _body(name: str, lines: Sequence[str], header: Header, *, ended: bool, comments: bool) -> Table:
    """The rows below a header."""
    width = len(header.names)
    found = _sorted(name, lines, header, comments=comments)
    units = [unit.strip("[]() ") for unit in found.units] + [""] * width
    table = Table(
        numbered([f"{each} [{unit}]" if unit else each for each, unit in zip(header.names, units, strict=False)]),
        _frame(found.good, header.delimiter, width),
        np.array(found.numbers, dtype=int),
        found.torn,
        header.delimiter,
        header.headed,
        "\n".join(lines[: max(header.line, 0)]),
    )
    table.notes += [f"the header comes again {found.again} times: the logger was started again"] if found.again else []
    table.notes += [f"{found.comments} lines are comments"] if found.comments else []
    if not ended:
        _drop_cut_row(table)
    return table


def _sorted(name: str, lines: Sequence[str], header: Header, *, comments: bool) -> _Lines:
    """Rows, torn rows, comments, and headers that come again.

    Raises:
        MeterError: Rows follow a second header with other columns.
    """
    found, width = _Lines(), len(header.names)
    for number, line in enumerate(lines[: max(header.line, 0)], 1):
        cells = _trimmed(split(line, header.delimiter))
        if len(cells) == width and DATUM.match(cells[0]) and is_moment(cells[0]):
            found.torn.append((number, 0, "a row above the header"))
    below = [(number, line) for number, line in enumerate(lines[header.line + 1 :], header.line + 2) if line.strip()]
    usual = _usual_count([line for _, line in below], header.delimiter)
    own = len(split(lines[header.line], header.delimiter)) if header.headed else width
    changed = 0
    for number, line in below:
        cells = split(line, header.delimiter)
        if header.headed and [each.lstrip("#").strip() for each in _trimmed(cells)][-width:] == list(header.names):
            found.again += 1
        elif comments and line.lstrip().startswith("#"):
            found.comments += 1
        elif header.headed and not found.good and not found.units and _are_units(cells):
            found.units = cells
        elif header.headed and _is_header_like(cells, header):
            changed = changed or number
        elif changed and any(DATUM.match(cell) for cell in cells[:2]):
            raise MeterError(
                f"the columns of {name} change at its line {changed}: the logger was started again",
                "cut the log there, and import one part",
            )
        elif why := "an open quote" if line.count('"') % 2 else _miscounted(cells, width, {usual, own, width}):
            found.torn.append((number, len(found.good), why))
        elif changed:
            found.torn.append((number, len(found.good), "a row below a second header"))
        else:
            found.good.append(line)
            found.numbers.append(number)
    return found


def _usual_count(lines: Sequence[str], delimiter: str) -> int:
    """Cells of most rows, empty ones at the end included."""
    counts = Counter(len(split(line, delimiter)) for line in lines[:500])
    return counts.most_common(1)[0][0] if counts else 0


def _is_header_like(cells: Sequence[str], header: Header) -> bool:
    """Whether a row holds column names: no data, and several of the header's names."""
    bare = {cell.lstrip("#").strip().casefold() for cell in cells if cell}
    names = {name.casefold() for name in header.names if name}
    return len(bare & names) >= max(2, len(names) // 3) and not any(DATUM.match(cell) for cell in cells)


def _are_units(cells: Sequence[str]) -> bool:
    """Whether a row below the header holds units: none of its cells is data, and half of them are units."""
    bare = [cell.strip("[]()# ") for cell in cells if cell]
    units = [cell for cell in bare if factor_of(cell) is not None or cell == "MW" or is_other(cell)]
    return bool(units) and 2 * len(units) >= len(bare) and not any(DATUM.match(cell) for cell in bare)


def _miscounted(cells: Sequence[str], width: int, usual: set[int]) -> str:
    """Why a row of so many cells cannot be assigned to columns; empty where it can.

    A row with an empty cell more than the others at its end may hold a comma inside a number.
    """
    if any(cells[width:]) or len(cells) < width or len(cells) not in usual:
        return f"{len(cells)} cells where there are {width} columns"
    return ""


def _frame(lines: Sequence[str], delimiter: str, width: int) -> pd.DataFrame:
    if not lines:
        return pd.DataFrame({i: pd.Series([], dtype=str) for i in range(width)})
    most = max(width, *(line.count(delimiter) + 1 for line in lines)) if delimiter != " " else width
    frame = pd.read_csv(
        io.StringIO("\n".join(lines)),
        sep=BLANKS if delimiter == " " else delimiter,
        header=None,
        names=list(range(most)),
        index_col=False,
        dtype=str,
        na_filter=False,
        skipinitialspace=True,
        skip_blank_lines=False,
    ).iloc[:, :width]
    return pd.DataFrame({i: frame[i].str.strip() for i in range(width)})


def _drop_cut_row(table: Table) -> None:
    """Take out a last row without a line end whose last cell is shorter than all those above it: its number may be cut."""
    last = table.cells.iloc[:, -1].tolist()
    if len(last) < 3 or not last[-1]:
        return
    above = [cell for cell in last[-51:-1] if cell]
    *decimals, own = [len(re.split(r"[.,]", cell)[-1]) if re.search(r"[.,]", cell) else 0 for cell in [*above, last[-1]]]
    rare = len(above) // 20  # a footer may stand among them
    if above and (len(last[-1]) < sorted(map(len, above))[rare] or own < sorted(decimals)[rare]):
        table.torn.append((int(table.lines[-1]), len(last) - 1, "the last line was cut"))
        table.cells, table.lines = table.cells.iloc[:-1], table.lines[:-1]
