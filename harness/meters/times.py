"""Which columns of a table hold the time, what it counts from, and its zone where the log states it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.clock import DAY_S, Times, is_zone, offset_text, read_times
from harness.meters.columns import listed
from harness.meters.dates import DATE_ONLY, MINUTES, TIME_OF_DAY, is_moment
from harness.meters.formats.base import MeterFormat
from harness.meters.names import understood, words
from harness.meters.options import Options
from harness.meters.table import Table
from harness.schema import Floats

WORDS = words(
    "timestamp datetime unix epoch ts time utc t date day zeit zeitstempel datum uhrzeit temps heure horodatage fecha hora tempo tiempo czas tid elapsed "
    "relative seconds sec secs s ms us ns millis when clock gmt 时间 日期 日時 時刻"
)
"""Words that name a column of times."""
NOT_TIMES = words("tsc rdtsc cycles ticks uptime duration delta delay boot exec execution latency interval period busy idle")
SAMPLE = 60
"""Cells that show what a column holds."""
MOSTLY = 0.8
LEAST_ROWS = 3
"""Rows that show whether a number runs on."""
AGREE_S = 1.5
"""Columns of times that differ by less, or by whole quarter hours, are the same clock."""
LEAST_APART_S = 0.05
"""Columns of times that are apart by as much in every row are two moments."""
OFFSET = re.compile(r"(?:UTC|GMT)\s*([+-]\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
ZONE = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+)?\b")


@dataclass
class Clock:
    """The times of a log's rows.

    Attributes:
        t_s: Shape (n,); NaN where a row holds no time.
        local: Whether they are clock readings without a zone.
        floating: Whether they count from a start or a midnight that is not known.
        utc_offset_s: Local time less UTC, where the log states it.
        timezone: Name of the zone, where the log states it.
        columns: Indices of the columns used.
        notes: What was read from where.
    """

    t_s: Floats
    local: bool
    floating: bool = False
    utc_offset_s: float | None = None
    timezone: str | None = None
    columns: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Column:
    indices: tuple[int, ...]
    name: str
    times: Times


def clock_of(table: Table, form: MeterFormat, options: Options, source: str) -> Clock:
    """The times of a table's rows.

    Args:
        table: The log.
        form: Its format.
        options: The user's choices.
        source: Name of the file, for messages.

    Raises:
        MeterError: No column of times, several that disagree, or times that can be read in two ways.
    """
    chosen = _chosen(table, form, options, source)
    times, name = chosen.times, chosen.name
    clock = Clock(times.t_s, times.clock == "local", columns=set(chosen.indices), notes=[f"{name!r}: {times.sentence}"])
    if times.clock in ("elapsed", "day"):
        _anchor(clock, times, options)
    if clock.local and not clock.floating:
        _stated_zone(clock, name, form.offset(table))
    return clock


def _chosen(table: Table, form: MeterFormat, options: Options, source: str) -> _Column:
    """The column of times, a date joined with its time of day."""
    order = options.date_order or form.date_order
    if options.time_column is not None:
        index = table.column(options.time_column)
        if index is None:
            raise MeterError(f"{source} has no column {options.time_column!r}", f"its columns are {listed(table)}")
        wanted = [index]
    else:
        wanted = _wanted(table, form)
    kinds = {i: _kind(table.cells[i]) for i in range(len(table.names))}
    found: list[_Column] = []
    hints: list[MeterError] = []
    for index in wanted:
        try:
            each = _read(table, index, kinds, options, order)
        except MeterError as error:
            hints.append(
                MeterError(
                    f"{source}: {error.what}",
                    _decision(error.hint, options),
                )
            )
            continue
        if each is not None:
            found.append(each)
    if not found and hints:
        raise hints[0]
    if not found:
        names = options.time_column or "TIME"
        raise MeterError(
            f"{source}: no column holds times" if options.time_column is None else f"the column {names!r} of {source} holds no times",
            f"a log needs a time in each row; columns found: {listed(table)}",
        )
    return _best(found, table, options, source)


def _decision(hint: str, options: Options) -> str:
    """The commands for a hint that lists options, one a line."""
    if not hint.startswith("--"):
        return hint
    return options.advice(*(("or" if k else "decide it", tuple(line.split())) for k, line in enumerate(hint.split("\n"))))


def _wanted(table: Table, form: MeterFormat) -> list[int]:
    """Columns that may hold the time: those that the format declares, or else by name and content."""
    declared = [i for pattern in form.time for i, name in enumerate(table.names) if re.fullmatch(pattern, name)]
    if declared:
        return declared
    found, numeric = [], []
    for index, name in enumerate(table.names):
        words = {part.lower() for part in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))}
        kind = _kind(table.cells[index])
        if words & NOT_TIMES or understood(name).factor is not None:
            continue
        if (
            kind in ("moment", "day", "minutes")
            or (kind == "date" and words)
            or (kind == "number" and words & WORDS and _changes(table.cells[index]))
        ):
            found.append(index)
        elif kind == "number":
            numeric.append(index)
    if found:
        return found
    # a counter of energy or of cycles may run through the range of Unix time: a number that names no time is the last resort
    unix = [i for i in numeric if not understood(table.names[i]).other and _is_unix(table.cells[i])]
    return unix or ([i for i in numeric[:1] if i == 0] if not table.headed else [])


def _kind(column: pd.Series) -> str:
    """What a column holds: `moment` (date and time), `date`, `day` (time of day), `number`, or empty."""
    cells = [cell for cell in column.iloc[:SAMPLE] if cell] or [""]
    for kind, test in (
        ("moment", is_moment),
        ("date", DATE_ONLY.match),
        ("day", TIME_OF_DAY.match),
        ("minutes", MINUTES.match),
        ("number", _is_number),
    ):
        if sum(bool(test(cell)) for cell in cells) >= MOSTLY * len(cells):
            return kind
    return ""


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?", cell) is not None


def _changes(column: pd.Series) -> bool:
    """Whether numbers differ from first to last, unlike a clock rate."""
    return len(column) < LEAST_ROWS or column.iloc[0] != column.iloc[-1]


def _is_unix(column: pd.Series) -> bool:
    """Whether numbers are Unix times of 2001 to 2100 that only rise or only fall."""
    values = pd.to_numeric(column, errors="coerce").dropna().to_numpy(dtype=float)
    if len(values) < 2:
        return False
    seconds = next((values * factor for factor in (1.0, 1e-3, 1e-6, 1e-9) if 1e9 <= np.median(values) * factor < 4.2e9), None)
    steps = np.diff(values)
    return seconds is not None and bool(np.all(steps >= 0) or np.all(steps <= 0))


def _read(table: Table, index: int, kinds: dict[int, str], options: Options, order: str | None) -> _Column | None:
    """One column as times; a date takes the time of day beside it, a time of day its date."""
    cells, name = table.cells[index], table.names[index]
    indices: tuple[int, ...] = (index,)
    partner = {"date": "day", "day": "date"}.get(kinds[index])
    if partner is not None:
        other = next((i for i, kind in kinds.items() if kind == partner), None)
        if other is not None:
            day, clock = (index, other) if kinds[index] == "date" else (other, index)
            cells = table.cells[day].str.rstrip(",") + " " + table.cells[clock]
            name, indices = f"{table.names[day]}, {table.names[clock]}", (day, clock)
            cells = cells.where((table.cells[day] != "") & (table.cells[clock] != ""), "")
        elif partner == "day":
            return None
    if not kinds[index]:
        return None
    times = read_times(cells.tolist(), name, unit=options.time_unit, order=order)
    if np.mean(np.isfinite(times.t_s)) < 0.5:
        return None
    if times.clock == "elapsed" and not _runs(times.t_s):
        return None
    return _Column(indices, name, times)


def _runs(t_s: Floats) -> bool:
    """Whether numbers run on like a clock: they seldom go back, and end later than they began."""
    good = t_s[np.isfinite(t_s)]
    return len(good) > 1 and good[-1] > good[0] and float(np.mean(np.diff(good) >= 0)) >= 0.9


def _best(found: list[_Column], table: Table, options: Options, source: str) -> _Column:
    """The column with the most certain clock.

    Raises:
        MeterError: Several of one rank disagree.
    """
    dated = [each for each in found if each.times.clock in ("unix", "local")]
    if not dated:
        wish = "day" if options.start is not None and DATE_ONLY.match(options.start) else "elapsed"
        return next((each for each in found if each.times.clock == wish), found[0])
    first = min(dated, key=lambda each: (each.times.clock != "unix", -len(np.unique(each.times.t_s))))
    for other in dated:
        gap = first.times.t_s - other.times.t_s
        gap = gap[np.isfinite(gap)]
        if not len(gap) or other.indices == first.indices:
            continue
        middle = float(np.median(gap))
        apart = middle if other.times.clock == first.times.clock == "unix" else middle - round(middle / 900) * 900
        varies = float(np.max(np.abs(gap - middle)))
        interval = abs(apart) > LEAST_APART_S and varies < 0.1 * abs(
            apart
        )  # not one clock with and without fractions: start and end of a row
        if abs(apart) > AGREE_S or varies > AGREE_S or interval:
            raise MeterError(
                f"{source} has two columns of times that differ: {first.name!r} and {other.name!r}",
                options.advice(
                    *(
                        ("choose one" if k == 0 else "or", ("--time-column", table.names[each.indices[0]]))
                        for k, each in enumerate((first, other))
                    )
                ),
            )
    return first


def _anchor(clock: Clock, times: Times, options: Options) -> None:
    """Put a time since a start, or a time of day, on the calendar.

    Raises:
        MeterError: `--start` cannot be read, or is a date where a moment is needed.
    """
    if options.start is None:
        clock.local, clock.floating = True, True
        return
    start_s, local, date_only = _start(options.start)
    if date_only and times.clock == "elapsed":
        raise MeterError(
            "--start is a date, and the log counts from a moment",
            options.advice(("give the moment too", ("--start", options.start + "T12:00:00"))),
        )
    if times.clock == "day" and not date_only:
        first = times.t_s[np.isfinite(times.t_s)][:1]
        within = start_s % DAY_S
        if len(first) and abs(within - float(first[0])) <= AGREE_S:
            start_s -= within
    clock.t_s, clock.local = times.t_s + start_s, local
    clock.notes.append(f"they begin at {options.start}, as given")


def _start(text: str) -> tuple[float, bool, bool]:
    """(seconds, whether local, whether a date only) of `--start`."""
    try:
        return float(text), False, False
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MeterError(f"--start cannot be {text!r}", "write ISO 8601, such as 2025-06-16T12:00:00+02:00, or Unix time in s") from None
    local = moment.tzinfo is None
    seconds = moment.timestamp() if not local else (moment - datetime(1970, 1, 1)).total_seconds()
    return seconds, local, len(text.strip()) <= len("2025-06-16")


def _stated_zone(clock: Clock, name: str, offset_s: float | None) -> None:
    """The zone that the log's format or the column's name states."""
    match = OFFSET.search(name)
    words = {part.lower() for part in re.findall("[A-Za-z]+", name)}
    if offset_s is None and match:
        hours = int(match[1])
        offset_s = 3600.0 * hours + (60.0 if hours >= 0 else -60.0) * int(match[2] or 0)
    elif offset_s is None and words & {"utc", "gmt", "zulu"}:
        offset_s = 0.0
    if offset_s is not None:
        clock.utc_offset_s = offset_s
        clock.notes.append(f"local time is {offset_text(offset_s)} by the log")
        return
    zone = ZONE.search(name)
    if zone and is_zone(zone[0]):  # not `Date/Time`
        clock.timezone = zone[0]
        clock.notes.append(f"local time is that of {zone[0]} by the log")
