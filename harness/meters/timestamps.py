"""Texts of a time column as seconds: ISO 8601, dates in the usual orders, Unix time, times of day, times since a start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from harness.errors import MeterError
from harness.meters.options import TIME_UNITS_S
from harness.schema import Floats

MONTHS = {
    month: f"{n:02d}" for n, month in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
} | {"mär": "03", "mrz": "03", "mai": "05", "okt": "10", "dez": "12"}
CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?"
ZONE = (
    r"\s*(?P<zone>Z|(?:UTC|GMT)?\s?[+-]\d{1,2}:\d{2}|(?:UTC|GMT)?\s?[+-]\d{4}|(?:UTC|GMT)[+-]\d{1,2}|[+-]\d{2}|UTC|GMT)?"
    r"(?:\s*\(?[A-Z][A-Za-z]{1,4}\)?|\s*\([^()]*\))?(?:\[[\w/+-]+\])?"
)
DATE_TIME = re.compile(rf"(?P<a>\d{{1,4}})(?P<mark>[./-])(?P<b>\d{{1,2}})(?P=mark)(?P<c>\d{{1,4}})\.?(?:[ T,_-]+| at ){CLOCK}{ZONE}")
COMPACT = re.compile(
    rf"(?P<a>(?:19|20)\d{{2}})(?P<b>\d{{2}})(?P<c>\d{{2}})[ T_-]*(?:{CLOCK}|(?P<hms>\d{{6}})(?:[.,](?P<part>\d{{1,9}}))?){ZONE}"
)
ISO = re.compile(r"^[\d-]+(?:W[\d-]+)?[ T][\d:.,]+\s*(?:Z|[+-][\d:.]+)?(?:\[[\w/+-]+\])?$", re.IGNORECASE)
"""Digits only between the marks: Python reads the Z of a name such as MEZ as UTC."""
TIME_OF_DAY = re.compile(rf"^{CLOCK}$")
MINUTES = re.compile(r"^(\d{1,3}):(\d{2}[.,]\d+)$")
"""Minutes and seconds with a fraction, as spreadsheets write times of day."""
DATE_ONLY = re.compile(r"^(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\.?|(?:19|20)\d{6}|(?:\d{1,2}[ -])?[A-Za-z]{3,9}[ -]\d{1,4},?(?:[ -]\d{4})?)$")
NAMED_DAY = re.compile(r"^(?:[A-Za-z]{2,10}\.?,?\s+)?(\d{1,2})(?:\.? |\.|-)([^\W\d_]{3,9})\.?[ ,-]\s*(\d{4}|\d{2}(?=[ ,T]))")
"""16 Jun 2025, 16-Jun-2025, Mon, 16 Jun 2025."""
NAMED_MONTH = re.compile(r"^(?:[A-Za-z]{3,9}\.?,?\s+)?([A-Za-z]{3,9})\.?\s+(\d{1,2}),?\s+(\d{4})")
"""Jun 16, 2025."""
MARKED = re.compile(r"(?<=\d[ _T])(\d{1,2})([.-])(\d{2})\2(\d{2})(?!\d)")
"""A time of day with points or dashes after a date: 22.14.06, 22-14-06."""
WEEKDAY = re.compile(r"^[A-Za-z]{2,9}\.?,?\s+(?=\d)")
C_TIME = re.compile(r"^[A-Za-z]{3}\s+([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)((?:\s+[A-Z]{2,5})?)\s+(\d{4})$")
"""Mon Jun 16 12:00:00 2025, the form of C's `ctime` and of `date`."""
DAY_S, HOUR_S = 86_400.0, 3_600.0
UNIX_S = (9.46e8, 4.11e9)
"""Unix times of 2000 to 2100."""
SIZES = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
"""Least size of a Unix time in each unit."""
DIGITS = re.compile(r"(?:19|20)\d{12}(?:\.\d+)?")
"""YYYYMMDDhhmmss."""
UNIT_WORDS = {
    "ms": "ms|msec|millis|milliseconds?",
    "us": "us|µs|usec|microseconds?",
    "ns": "ns|nsec|nanoseconds?",
    "min": "min|mins|minutes?",
    "h": "h|hours?",
    "s": "s|sec|secs|seconds?",
}
"""Words in a column's name that state the unit of times since a start."""


@dataclass(frozen=True)
class Times:
    """A column of times.

    Attributes:
        t_s: Seconds, shape (n,); NaN where a cell contains no time.
        origin: Zero of the seconds: Unix time, local clock readings counted as UTC, an unknown start, or a midnight.
        note: Sentence on the format.
    """

    t_s: Floats
    origin: Literal["unix", "local", "elapsed", "day"]
    note: str


def read_times(texts: Sequence[str], name: str = "time", *, unit: str | None = None, order: str | None = None) -> Times:
    """Read a column of times.

    Args:
        texts: Cells of the column.
        name: Name of the column, which may state the unit of times since a start.
        unit: That unit, if the user gives it.
        order: `ymd`, `dmy` or `mdy`, if the user gives it; None for the one that the column allows.

    Raises:
        MeterError: Some rows have a zone and some have none, a date can be read in two ways, or times since a start have no unit.
    """
    cells = [text.strip() for text in texts]
    numbers = _numbers(cells)
    if _mostly(numbers) and sum(DIGITS.fullmatch(cell) is not None for cell in cells) <= 0.5 * len(cells):
        return _counted(numbers, name, unit)
    minutes = np.array(
        [60 * float(match[1]) + float(match[2].replace(",", ".")) if (match := MINUTES.match(cell)) else np.nan for cell in cells]
    )
    if _mostly(minutes):
        return Times(_unwrapped(minutes, HOUR_S), "elapsed", "times are minutes and seconds since a start, or within an hour")
    clock = np.array([_time_of_day(match) if (match := TIME_OF_DAY.match(cell)) else np.nan for cell in cells])
    if _mostly(clock):
        if not any(cell.count(":") > 1 for cell in cells):
            raise MeterError(
                f"{name!r} contains hours and minutes, or minutes and seconds, without a date", "log the date and the seconds too"
            )
        return Times(_unwrapped(clock, DAY_S), "day", "times of day without a date")
    moments = parse_moments(cells, order)
    zoned = {moment.tzinfo is not None for moment in moments if moment is not None}
    if len(zoned) == 2:
        raise MeterError("some times of the log have a zone and some have none", "write all of them with a zone, or all without")
    t_s = np.array([np.nan if m is None else (m if m.tzinfo else m.replace(tzinfo=UTC)).timestamp() for m in moments])
    return Times(t_s, "unix", "times carry their zone") if True in zoned else Times(t_s, "local", "times are local, without a zone")


def _mostly(values: Floats) -> bool:
    """Whether more than half of the cells could be read."""
    return bool(np.mean(np.isfinite(values)) > 0.5)


def _numbers(texts: Sequence[str]) -> Floats:
    """The numbers of a column, shape (n,); NaN where there is none."""

    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return float("nan")

    comma = sum("," in text for text in texts) > 0.5 * len(texts)
    return np.array([number(text.replace(",", ".") if comma and text.count(",") == 1 else text) for text in texts])


def _counted(numbers: Floats, name: str, unit: str | None) -> Times:
    """Unix times, or times since a start; refuses an unknown or contradictory unit, and day numbers of a spreadsheet."""
    size = float(np.nanmedian(np.abs(numbers)))
    stated = unit or next(
        (each for each, words in UNIT_WORDS.items() if re.search(rf"(?:\b|_)(?:{words})(?:\b|_|$)", name, re.IGNORECASE)), None
    )
    by_size = next((each for least, each in SIZES if size >= least and _is_unix(size * TIME_UNITS_S[each])), None)
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
            f"{name!r} contains day numbers of a spreadsheet (about {size:g})", "format the column as date and time, and export again"
        )
    if stated is None:
        raise MeterError(
            f"{name!r} contains small numbers (about {size:g}), which are times since the start in an unknown unit", "--time-unit s"
        )
    return Times(numbers * TIME_UNITS_S[stated], "elapsed", f"times are {stated} since a start")


def _is_unix(seconds: float) -> bool:
    return UNIX_S[0] <= seconds <= UNIX_S[1]


def _unwrapped(seconds: Floats, period_s: float) -> Floats:
    """Times within a day or an hour as times that run on: a step back of more than half of it begins the next one."""
    steps = np.diff(seconds, prepend=seconds[:1])
    return seconds + period_s * np.cumsum(np.where(steps < -period_s / 2, 1, 0))


def _time_of_day(match: re.Match[str]) -> float:
    """Seconds since midnight."""
    return 3600.0 * _hour(match) + 60.0 * int(match["minute"]) + float(f"{match['second'] or '0'}.{match['fraction'] or '0'}")


def _hour(match: re.Match[str]) -> int:
    """Hour of 24, for AM and PM too."""
    half = (match["half"] or "").lower()
    return int(match["hour"]) % 12 + 12 * half.startswith("p") if half else int(match["hour"])


def is_moment(text: str) -> bool:
    """Whether a cell holds a date and a time of day."""
    return _iso(text) is not None or _match(text) is not None


def parse_moments(texts: Sequence[str], order: str | None = None) -> list[datetime | None]:
    """Dates and times of a column, with a zone where the text has one; None where a cell holds none.

    Without an order (`ymd`, `dmy` or `mdy`) the only one that the column allows is used; MeterError if there are two.
    """
    iso = [_iso(text) for text in texts]
    if sum(moment is None for moment in iso) <= len(iso) / 2:
        return iso
    matches = [_match(text) for text in texts]
    marked = [match for match in matches if match is not None and "mark" in match.groupdict()]
    chosen = order or (_order([(match["a"], match["mark"], match["b"], match["c"]) for match in marked]) if marked else "ymd")
    return [None if match is None else _moment(match, chosen) for match in matches]


def _iso(text: str) -> datetime | None:
    """A moment in ISO 8601; None for other texts."""
    if ":" not in text or not ISO.match(text.strip()):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"\[[\w/+-]+\]$", "", text.strip()).replace(",", ".").upper())
    except ValueError:
        return None


def _match(text: str) -> re.Match[str] | None:
    """The parts of a date with a time of day."""
    numeric = _numeric(text)
    return DATE_TIME.fullmatch(numeric) or COMPACT.fullmatch(numeric)


def _numeric(text: str) -> str:
    """The text with the name of the month as a number and the year first."""
    text = MARKED.sub(r"\1:\3:\4", text.strip())
    match = C_TIME.match(text)
    if match and match[1].lower() in MONTHS:
        return f"{match[5]}-{MONTHS[match[1].lower()]}-{match[2]} {match[3]}{match[4]}"
    for pattern, day, month in ((NAMED_DAY, 1, 2), (NAMED_MONTH, 2, 1)):
        match = pattern.match(text)
        if match and (number := MONTHS.get(match[month][:3].lower())):
            return f"{'20' if len(match[3]) == 2 else ''}{match[3]}-{number}-{match[day]} {text[match.end() :].lstrip(' ,:T-')}"
    return WEEKDAY.sub("", text)


Date = tuple[str, str, str, str]
"""First part, mark, second and third part of a date as written."""


def _order(dates: Sequence[Date]) -> str:
    """The only order of year, month and day in which every date exists; refuses two that give different dates."""
    if any(len(a) == 4 for a, *_ in dates):
        return "ymd"
    points = any(separator == "." for _, separator, *_ in dates)
    possible = ["dmy"] if points else ["mdy", "dmy"]
    if not any(len(c) == 4 for *_, c in dates):
        possible.append("ymd")  # a year of two digits may come first
    left = [order for order in possible if all(_exists(_parts(order, date)) for date in dates)]
    if "ymd" in left and len(left) > 1 and points:
        left.remove("ymd")
    if len({tuple(_parts(order, date) for date in dates) for order in left}) <= 1:
        return (left or possible)[0]
    orders = {"{:04d}-{:02d}-{:02d}".format(*_parts(order, dates[0])): order for order in left}
    a, separator, b, c = dates[0]
    raise MeterError(
        f"the log's dates can be read in two ways: {a}{separator}{b}{separator}{c} is {' or '.join(orders)}",
        "\n".join(f"--date-order {order}" for order in orders.values()),
    )


def _parts(order: str, date: Date) -> tuple[int, int, int]:
    """(year, month, day) of a date."""
    a, _, b, c = date
    named = dict(zip(order, (a, b, c), strict=True))
    return int(named["y"]) + (2000 if len(named["y"]) <= 2 else 0), int(named["m"]), int(named["d"])


def _exists(date: tuple[int, int, int]) -> bool:
    try:
        datetime(*date)
    except ValueError:
        return False
    return True


def _moment(match: re.Match[str], order: str) -> datetime | None:
    """The moment of a date and a time of day; None if it does not exist."""
    parts = match.groupdict()
    year, month, day = _parts("ymd" if len(parts["a"]) == 4 else order, (parts["a"], "", parts["b"], parts["c"]))
    if parts.get("hms"):
        clock, fraction = ":".join(re.findall("..", parts["hms"])), parts["part"]
    else:
        clock, fraction = f"{_hour(match):02d}:{parts['minute']}:{parts['second'] or '00'}", parts["fraction"]
    zone = (parts["zone"] or "").upper()
    offset = "" if not zone else "+00:00" if zone in ("Z", "UTC", "GMT") else _offset(zone)
    return _iso(f"{year:04d}-{month:02d}-{day:02d}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")


def _offset(zone: str) -> str:
    """`+01:00` for `+0100`, `GMT+1` or `UTC +01:00`."""
    sign, hours, minutes = re.fullmatch(r"\D*?([+-])(\d{1,2}?):?(\d{2})?", zone).groups()  # type: ignore[union-attr]
    return f"{sign}{int(hours):02d}:{minutes or '00'}"
