"""Times as logs write them -> seconds; local clock readings and a zone -> Unix time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from harness.errors import MeterError
from harness.meters.dates import MINUTES, TIME_OF_DAY, dated, time_of_day
from harness.meters.options import TIME_UNITS_S
from harness.schema import Floats

Clock = Literal["unix", "local", "elapsed", "day"]
"""Unix time; local clock readings counted as UTC; seconds since a start; seconds since a midnight."""

QUARTER_S = 900.0
"""Offsets of zones, and their changes, are whole quarter hours."""
DAY_S, HOUR_S = 86_400.0, 3_600.0
EPOCH = datetime(1970, 1, 1)
UNITS = ((1e17, 1e-9, "ns"), (1e14, 1e-6, "us"), (1e11, 1e-3, "ms"), (1e8, 1.0, "s"))
"""Unix times show their unit by their size."""
UNIX_S = (9.46e8, 4.11e9)
"""Unix times of 2000 to 2100."""
COMPACT = re.compile(r"(?:19|20)\d{12}(?:\.\d+)?")
"""YYYYMMDDhhmmss."""
ELAPSED = (
    (re.compile(r"(?:\b|_)(?:ms|msec|millis|milliseconds?)(?:\b|_|$)", re.IGNORECASE), "ms"),
    (re.compile(r"(?:\b|_)(?:us|µs|usec|microseconds?)(?:\b|_|$)", re.IGNORECASE), "us"),
    (re.compile(r"(?:\b|_)(?:ns|nsec|nanoseconds?)(?:\b|_|$)", re.IGNORECASE), "ns"),
    (re.compile(r"(?:\b|_)(?:min|mins|minutes?)(?:\b|_|$)", re.IGNORECASE), "min"),
    (re.compile(r"(?:\b|_)(?:h|hours?)(?:\b|_|$)", re.IGNORECASE), "h"),
    (re.compile(r"(?:\b|_)(?:s|sec|secs|seconds?)(?:\b|_|$)", re.IGNORECASE), "s"),
)
"""Units of a time since a start, as a column's name gives them."""


@dataclass(frozen=True)
class Times:
    """A column of times.

    Attributes:
        t_s: Seconds, shape (n,); NaN where a cell holds no time.
        clock: What they count from.
        sentence: On the format.
    """

    t_s: Floats
    clock: Clock
    sentence: str


def read_times(texts: Sequence[str], name: str = "time", *, unit: str | None = None, order: str | None = None) -> Times:
    """Read a column of times.

    Args:
        texts: As written: ISO 8601, a date in the usual orders, Unix time in s, ms, us or ns, a time of day, or a time since a start.
        name: The column's name, which may state the unit of a time since a start.
        unit: That unit, if the user gives it.
        order: `ymd`, `dmy` or `mdy`, if the user gives it; None: the one that the column allows.

    Raises:
        MeterError: Some rows with a zone and some without, a date that may be read in two ways, or a time since a start without its unit.
    """
    cells = [text.strip() for text in texts]
    numbers = _numbers(cells)
    if np.mean(np.isfinite(numbers)) > 0.5 and not _compact(cells):
        return _counted(numbers, name, unit)
    minutes = [60 * float(match[1]) + float(match[2].replace(",", ".")) if (match := MINUTES.match(cell)) else np.nan for cell in cells]
    if np.mean(np.isfinite(minutes)) > 0.5:
        return Times(_over(np.array(minutes), HOUR_S), "elapsed", "times are minutes and seconds since a start, or within an hour")
    clock = [time_of_day(cell) if TIME_OF_DAY.match(cell) else np.nan for cell in cells]
    if np.mean(np.isfinite(clock)) > 0.5:
        if not any(cell.count(":") > 1 for cell in cells):
            raise MeterError(f"{name!r} holds hours and minutes, or minutes and seconds, and no date", "log the date and the seconds too")
        return Times(_over(np.array(clock), DAY_S), "day", "times of day without a date")
    parsed = dated(cells, order)
    zoned = {p.tzinfo is not None for p in parsed if p is not None}
    if len(zoned) == 2:
        raise MeterError("some times of the log have a zone and some have none", "write all of them with one")
    seconds = np.array([_seconds(p) for p in parsed])
    if True in zoned:
        return Times(seconds, "unix", "times carry their zone")
    return Times(seconds, "local", "times are local and name no zone")


def parse_times(texts: Sequence[str], *, month_first: bool | None = None) -> tuple[Floats, Clock, str]:
    """Dates or Unix times as (seconds, clock, sentence), with the month first where that is known."""
    times = read_times(texts, order="mdy" if month_first else None)
    return times.t_s, times.clock, times.sentence


def to_unix(local_s: Floats, timezone: str | None = None, utc_offset_s: float | None = None) -> Floats:
    """Local clock readings as Unix time.

    Args:
        local_s: Clock readings in the order of the log, counted as if they were UTC, s. Where they go back once, those behind it are taken
            for the second pass of an hour that occurs twice.
        timezone: The zone's name; null: `utc_offset_s` holds.
        utc_offset_s: Local time less UTC, s.

    Raises:
        MeterError: No such zone, or a time that never occurs there, or twice and the log does not tell which, because daylight saving begins or ends.
    """
    if timezone is None:
        assert utc_offset_s is not None
        return local_s - utc_offset_s
    back = np.flatnonzero(np.diff(local_s) < 0)
    if len(back) == 1:
        return np.concatenate([_in_zone(part, timezone, fold) for fold, part in enumerate(np.split(local_s, back + 1))])
    return _in_zone(local_s, timezone)


def _in_zone(local_s: Floats, timezone: str, fold: int | None = None) -> Floats:
    """Unix time; `fold` says which pass of a time that occurs twice, null refuses it."""
    quarters, which = np.unique(np.floor(local_s / QUARTER_S), return_inverse=True)
    offsets_s: Floats = np.array([_offset_s(q * QUARTER_S, timezone, fold) for q in quarters])
    return local_s - offsets_s[which]


def is_zone(name: str) -> bool:
    """Whether the database of time zones has such a name."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def offset_text(offset_s: float) -> str:
    """`UTC-05:00` of -18000."""
    minutes = round(abs(offset_s) / 60)
    return f"UTC{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _numbers(texts: Sequence[str]) -> Floats:
    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return float("nan")

    comma = sum("," in text for text in texts) > 0.5 * len(texts)
    return np.array([number(text.replace(",", ".") if comma and text.count(",") == 1 else text) for text in texts])


def _compact(texts: Sequence[str]) -> bool:
    return sum(COMPACT.fullmatch(text) is not None for text in texts) > 0.5 * len(texts)


def _counted(numbers: Floats, name: str, unit: str | None) -> Times:
    """Unix time, or a time since a start."""
    size = float(np.nanmedian(np.abs(numbers)))
    stated = unit or next((each for pattern, each in ELAPSED if pattern.search(name)), None)
    by_size = next((shown for least, factor, shown in UNITS if size >= least and _is_unix(size * factor)), None)
    if stated is not None and _is_unix(size * TIME_UNITS_S[stated]):
        by_size = stated
    elif stated is not None and by_size is not None and unit is None:
        raise MeterError(
            f"{name!r} names {stated}, but its numbers (about {size:g}) are Unix time in {by_size}, or {stated} since a start",
            "--time-unit s",
        )
    if by_size is not None and (stated is None or by_size == stated):
        return Times(numbers * TIME_UNITS_S[by_size], "unix", f"times are Unix time in {by_size}")
    steps = np.abs(np.diff(numbers[np.isfinite(numbers)]))
    if 2e4 < size < 8e4 and len(steps) and np.median(steps) < 0.02 and unit is None:
        raise MeterError(
            f"{name!r} holds day numbers of a spreadsheet (about {size:g})", "format the column as date and time, and export again"
        )
    if stated is None:
        raise MeterError(
            f"{name!r} holds small numbers (about {size:g}): times since a start, in a unit that it does not name", "--time-unit s"
        )
    return Times(numbers * TIME_UNITS_S[stated], "elapsed", f"times are {stated} since a start")


def _is_unix(seconds: float) -> bool:
    """Whether seconds are a Unix time from 2000 to 2100."""
    return UNIX_S[0] <= seconds <= UNIX_S[1]


def _over(seconds: Floats, turn_s: float) -> Floats:
    """Times within a day or an hour that run on: a step back by about as much is its end."""
    steps = np.diff(seconds, prepend=seconds[:1])
    return seconds + turn_s * np.cumsum(np.where(steps < -turn_s / 2, 1, 0))


def _seconds(moment: datetime | None) -> float:
    if moment is None:
        return float("nan")
    return moment.timestamp() if moment.tzinfo else (moment - EPOCH).total_seconds()


def _offset_s(local_s: float, timezone: str, fold: int | None) -> float:
    """Local time less UTC in the quarter hour that begins at `local_s`; `fold` as in `_in_zone`."""
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise MeterError(f"there is no time zone {timezone!r}", "write it as in Europe/Berlin, or give --utc-offset") from None
    moment = datetime.fromtimestamp(local_s, UTC).replace(tzinfo=zone)
    first, second = (moment.replace(fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None and second is not None
    if first > second and fold is not None:
        return (first, second)[fold].total_seconds()
    if first != second:
        what = "occurs twice: daylight saving ends" if first > second else "does not exist: daylight saving begins"
        raise MeterError(
            f"the local time {moment:%Y-%m-%d %H:%M} {what} in {timezone}",
            f"give the offset that held, --utc-offset {first.total_seconds():.0f} or --utc-offset {second.total_seconds():.0f}, or cut the log there",
        )
    return first.total_seconds()
