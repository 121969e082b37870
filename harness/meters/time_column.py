"""Times of the rows of a table: which columns hold them, what they count from, and their zone if the log states it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat
from harness.meters.options import Options
from harness.meters.table import Table
from harness.meters.timestamps import DATE_ONLY, DAY_S, MINUTES, TIME_OF_DAY, Times, is_moment, read_times
from harness.meters.units import lower_words, parse_name, words
from harness.meters.zones import Zone, offset_text, zone_info
from harness.schema import Floats

WORDS = words(
    "timestamp datetime unix epoch ts time utc t date day zeit zeitstempel datum uhrzeit temps heure horodatage fecha hora tempo tiempo czas tid elapsed "
    "relative seconds sec secs s ms us ns millis when clock gmt 时间 日期 日時 時刻"
)
"""Words that name a column of times."""
NOT_TIMES = words("tsc rdtsc cycles ticks uptime duration delta delay boot exec execution latency interval period busy idle")
SAMPLE = 60
"""Cells that decide what a column holds."""
MOSTLY = 0.8
"""Share of them that must agree."""
MIN_ROWS = 3
"""Rows that show whether a number runs on."""
AGREE_S = 1.5
"""Columns of times that differ by less, apart from whole quarter hours, are the same clock."""
MIN_APART_S = 0.05
"""Columns of times with a larger constant difference are start and end of a row."""
OFFSET = re.compile(r"(?:UTC|GMT)\s*([+-]\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
ZONE = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?\b")
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?")
KINDS: dict[str, Callable[[str], object]] = {
    "moment": is_moment,
    "date": DATE_ONLY.match,
    "day": TIME_OF_DAY.match,
    "minutes": MINUTES.match,
    "number": NUMBER.fullmatch,
}
"""What a column may hold: a date with a time of day, a date, a time of day, minutes and seconds, a number."""


@dataclass
class RowTimes:
    """The times of a log's rows.

    Attributes:
        t_s: Times in seconds, shape (n,); NaN where a row contains no time.
        local: Whether they are clock readings without a zone.
        floating: Whether they count from an unknown start or midnight.
        zone: Zone of local times, if the log states it.
        columns: Indices of the columns used.
        notes: What was read from where, as sentences.
    """

    t_s: Floats
    local: bool
    floating: bool = False
    zone: Zone | None = None
    columns: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Column:
    """A column that could be read as times, or a date joined with its time of day."""

    indices: tuple[int, ...]
    name: str
    times: Times


def times_of(table: Table, form: MeterFormat, options: Options) -> RowTimes:
    """The times of a table's rows, by its format and the choices of the user.

    Raises:
        MeterError: No column holds times, several disagree, or the times can be read in two ways.
    """
    column = _column(table, form, options)
    times = column.times
    rows = RowTimes(times.t_s, times.origin == "local", columns=set(column.indices), notes=[f"{column.name!r}: {times.note}"])
    if times.origin in ("elapsed", "day"):
        _anchor(rows, times, options)
    if rows.local and not rows.floating:
        _read_zone(rows, column.name, form.offset(table))
    return rows


def _column(table: Table, form: MeterFormat, options: Options) -> _Column:
    """The column of times; refuses several that disagree."""
    indices = [table.asked(options.time_column)] if options.time_column is not None else table.matching(form.time) or _candidates(table)
    kinds = [_kind(table.cells[i]) for i in range(len(table.names))]
    columns: list[_Column] = []
    errors: list[MeterError] = []
    for index in indices:
        try:
            column = _read(table, index, kinds, options, options.date_order or form.date_order)
        except MeterError as error:
            errors.append(MeterError(f"{table.source}: {error.what}", _advice(error.hint, options)))
            continue
        if column is not None:
            columns.append(column)
    if columns:
        return _best(columns, table, options)
    if errors:
        raise errors[0]
    raise MeterError(
        f"{table.source}: no column contains times"
        if options.time_column is None
        else f"the column {options.time_column!r} of {table.source} contains no times",
        f"a log needs a time in each row; columns found: {table.listed()}",
    )


def _advice(hint: str, options: Options) -> str:
    """The commands for a hint that lists arguments, one per line; other hints as they are."""
    if not hint.startswith("--"):
        return hint
    return options.advice(*(("or" if k else "choose", tuple(line.split())) for k, line in enumerate(hint.split("\n"))))


def _candidates(table: Table) -> list[int]:
    """Columns that may hold the time, by name and content.

    A counter of energy or of cycles may run through the range of Unix time: a number whose name does not state a time is used only if there is no other column.
    """
    times, numeric = [], []
    for index, name in enumerate(table.names):
        own, kind = lower_words(name), _kind(table.cells[index])
        if own & NOT_TIMES or parse_name(name).factor is not None:
            continue
        runs = kind == "number" and own & WORDS and _changes(table.cells[index])
        if runs or kind in ("moment", "day", "minutes") or (kind == "date" and own):
            times.append(index)
        elif kind == "number":
            numeric.append(index)
    if times:
        return times
    unix = [i for i in numeric if not parse_name(table.names[i]).other and _is_unix(table.cells[i])]
    return unix or ([0] if not table.headed and numeric[:1] == [0] else [])


def _kind(column: pd.Series) -> str:
    """Which of `KINDS` a column holds; empty for none."""
    cells = [cell for cell in column.iloc[:SAMPLE] if cell] or [""]
    return next((kind for kind, test in KINDS.items() if sum(bool(test(cell)) for cell in cells) >= MOSTLY * len(cells)), "")


def _changes(column: pd.Series) -> bool:
    """Whether numbers differ from first to last, unlike a clock rate."""
    return len(column) < MIN_ROWS or column.iloc[0] != column.iloc[-1]


def _is_unix(column: pd.Series) -> bool:
    """Whether numbers are Unix times of 2001 to 2100 that only rise or only fall."""
    values = pd.to_numeric(column, errors="coerce").dropna().to_numpy(dtype=float)
    if len(values) < 2 or not any(1e9 <= np.median(values) * factor < 4.2e9 for factor in (1.0, 1e-3, 1e-6, 1e-9)):
        return False
    steps = np.diff(values)
    return bool(np.all(steps >= 0) or np.all(steps <= 0))


def _read(table: Table, index: int, kinds: Sequence[str], options: Options, order: str | None) -> _Column | None:
    """One column as times, a date joined with its time of day; None if it contains no times."""
    cells, name = table.cells[index], table.names[index]
    indices: tuple[int, ...] = (index,)
    partner = {"date": "day", "day": "date"}.get(kinds[index])
    if partner in kinds:
        other = kinds.index(partner)
        day, clock = (index, other) if partner == "day" else (other, index)
        both = (table.cells[day] != "") & (table.cells[clock] != "")
        cells = (table.cells[day].str.rstrip(",") + " " + table.cells[clock]).where(both, "")
        name, indices = f"{table.names[day]}, {table.names[clock]}", (day, clock)
    elif partner == "day" or not kinds[index]:
        return None
    times = read_times(cells.tolist(), name, unit=options.time_unit, order=order)
    if np.mean(np.isfinite(times.t_s)) < 0.5 or (times.origin == "elapsed" and not _runs(times.t_s)):
        return None
    return _Column(indices, name, times)


def _runs(t_s: Floats) -> bool:
    """Whether numbers increase like a clock: they rarely decrease, and end later than they began."""
    good = t_s[np.isfinite(t_s)]
    return len(good) > 1 and good[-1] > good[0] and float(np.mean(np.diff(good) >= 0)) >= 0.9


def _best(columns: Sequence[_Column], table: Table, options: Options) -> _Column:
    """The column with the most certain clock; refuses columns that disagree."""
    dated = [each for each in columns if each.times.origin in ("unix", "local")]
    if not dated:
        origin = "day" if options.start is not None and DATE_ONLY.match(options.start) else "elapsed"
        return next((each for each in columns if each.times.origin == origin), columns[0])
    best = min(dated, key=lambda each: (each.times.origin != "unix", -len(np.unique(each.times.t_s))))
    for other in dated:
        if other.indices != best.indices and _disagree(best.times, other.times):
            choices = [("--time-column", table.names[each.indices[0]]) for each in (best, other)]
            raise MeterError(
                f"{table.source} has two columns of times that differ: {best.name!r} and {other.name!r}",
                options.advice(("choose one", choices[0]), ("or", choices[1])),
            )
    return best


def _disagree(first: Times, second: Times) -> bool:
    """Whether two columns are different clocks, or start and end of a row rather than one time with and without fractions."""
    gap = first.t_s - second.t_s
    gap = gap[np.isfinite(gap)]
    if not len(gap):
        return False
    middle = float(np.median(gap))
    apart = middle if first.origin == second.origin == "unix" else middle - round(middle / 900) * 900
    varies = float(np.max(np.abs(gap - middle)))
    return abs(apart) > AGREE_S or varies > AGREE_S or (abs(apart) > MIN_APART_S and varies < 0.1 * abs(apart))


def _anchor(rows: RowTimes, times: Times, options: Options) -> None:
    """Put times since a start, or times of day, on the calendar by `--start`."""
    if options.start is None:
        rows.local, rows.floating = True, True
        return
    start_s, local, date_only = _start(options.start)
    if date_only and times.origin == "elapsed":
        raise MeterError(
            "--start is a date, but the times of the log are seconds since a start",
            options.advice(("give the time of day too", ("--start", options.start + "T12:00:00"))),
        )
    if times.origin == "day" and not date_only:
        first = times.t_s[np.isfinite(times.t_s)][:1]
        within = start_s % DAY_S
        if len(first) and abs(within - float(first[0])) <= AGREE_S:
            start_s -= within
    rows.t_s, rows.local = times.t_s + start_s, local
    rows.notes.append(f"they begin at {options.start}, as given")


def _start(text: str) -> tuple[float, bool, bool]:
    """(seconds, whether local, whether only a date) of `--start`."""
    try:
        return float(text), False, False
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MeterError(f"--start cannot be {text!r}", "write ISO 8601, such as 2025-06-16T12:00:00+02:00, or Unix time in s") from None
    local = moment.tzinfo is None
    return (moment.replace(tzinfo=UTC) if local else moment).timestamp(), local, len(text.strip()) <= len("2025-06-16")


def _read_zone(rows: RowTimes, name: str, offset_s: float | None) -> None:
    """Take the zone from the log's format or the name of the column."""
    if offset_s is None and (match := OFFSET.search(name)):
        hours = int(match[1])
        offset_s = 3600.0 * hours + (60.0 if hours >= 0 else -60.0) * int(match[2] or 0)
    elif offset_s is None and {part.lower() for part in re.findall("[A-Za-z]+", name)} & {"utc", "gmt", "zulu"}:
        offset_s = 0.0
    if offset_s is not None:
        rows.zone = Zone(utc_offset_s=offset_s)
        rows.notes.append(f"local time is {offset_text(offset_s)} according to the log")
    elif (zone := ZONE.search(name)) and zone_info(zone[0]):  # not `Date/Time`
        rows.zone = Zone(zone[0])
        rows.notes.append(f"local time is that of {zone[0]} according to the log")
