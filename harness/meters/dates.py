"""Dates and times of day as logs write them -> datetimes: ISO 8601, numbers in the usual orders, English month names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from harness.errors import MeterError

MONTHS = {
    month: f"{n:02d}" for n, month in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
} | {"mär": "03", "mrz": "03", "mai": "05", "okt": "10", "dez": "12"}
CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?"
ZONE = (
    r"\s*(?P<zone>Z|(?:UTC|GMT)?\s?[+-]\d{1,2}:\d{2}|(?:UTC|GMT)?\s?[+-]\d{4}|(?:UTC|GMT)[+-]\d{1,2}|[+-]\d{2}|UTC|GMT)?"
    r"(?:\s*\(?[A-Z][A-Za-z]{1,4}\)?|\s*\([^()]*\))?(?:\[[\w/+-]+\])?"
)
PATTERN = re.compile(rf"(?P<a>\d{{1,4}})(?P<mark>[./-])(?P<b>\d{{1,2}})(?P=mark)(?P<c>\d{{1,4}})\.?(?:[ T,_-]+| at ){CLOCK}{ZONE}")
COMPACT = re.compile(
    rf"(?P<a>(?:19|20)\d{{2}})(?P<b>\d{{2}})(?P<c>\d{{2}})[ T_-]*(?:{CLOCK}|(?P<hms>\d{{6}})(?:[.,](?P<part>\d{{1,9}}))?){ZONE}"
)
ISO = re.compile(r"^[\d-]+(?:W[\d-]+)?[ T][\d:.,]+\s*(?:Z|[+-][\d:.]+)?(?:\[[\w/+-]+\])?$", re.IGNORECASE)
"""Only digits between the marks: Python reads the Z of a name such as MEZ as UTC."""
TIME_OF_DAY = re.compile(rf"^{CLOCK}$")
MINUTES = re.compile(r"^(\d{1,3}):(\d{2}[.,]\d+)$")
"""Minutes and seconds with a fraction, as spreadsheets write times of day with one."""
DATE_ONLY = re.compile(r"^(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\.?|(?:19|20)\d{6}|(?:\d{1,2}[ -])?[A-Za-z]{3,9}[ -]\d{1,4},?(?:[ -]\d{4})?)$")
NAMED_DAY = re.compile(r"^(?:[A-Za-z]{2,10}\.?,?\s+)?(\d{1,2})(?:\.? |\.|-)([^\W\d_]{3,9})\.?[ ,-]\s*(\d{4}|\d{2}(?=[ ,T]))")
"""16 Jun 2025, 16-Jun-2025, Mon, 16 Jun 2025."""
NAMED_MONTH = re.compile(r"^(?:[A-Za-z]{3,9}\.?,?\s+)?([A-Za-z]{3,9})\.?\s+(\d{1,2}),?\s+(\d{4})")
"""Jun 16, 2025."""
MARKED = re.compile(r"(?<=\d[ _T])(\d{1,2})([.-])(\d{2})\2(\d{2})(?!\d)")
"""A time of day with points or dashes behind a date: 22.14.06, 22-14-06."""
WEEKDAY = re.compile(r"^[A-Za-z]{2,9}\.?,?\s+(?=\d)")
C_TIME = re.compile(r"^[A-Za-z]{3}\s+([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)((?:\s+[A-Z]{2,5})?)\s+(\d{4})$")
"""Mon Jun 16 12:00:00 2025, the form of C's `ctime` and of `date`."""


def dated(texts: Sequence[str], order: str | None = None) -> list[datetime | None]:
    """Moments of a column, with a zone where the text has one; None where a cell holds none.

    Args:
        texts: As written.
        order: `ymd`, `dmy` or `mdy`; None: the only one that the column allows.

    Raises:
        MeterError: The dates can be read in two ways.
    """
    parsed = [_iso(text) for text in texts]
    if sum(p is None for p in parsed) <= len(parsed) / 2:
        return parsed
    found = [match_of(text) for text in texts]
    known = [match for match in found if match is not None and "mark" in match.groupdict()]
    chosen = order or (_order(known) if known else "ymd")
    return [_moment(match, chosen) for match in found]


def match_of(text: str) -> re.Match[str] | None:
    """A date with a time of day, by its parts."""
    numeric = _numeric(text)
    return PATTERN.fullmatch(numeric) or COMPACT.fullmatch(numeric)


def is_moment(text: str) -> bool:
    """Whether a cell holds a date and a time of day."""
    return _iso(text) is not None or match_of(text) is not None


def time_of_day(text: str) -> float:
    """Seconds since midnight."""
    match = TIME_OF_DAY.match(text)
    assert match is not None
    return 3600.0 * _hours(match) + 60.0 * int(match["minute"]) + float(f"{match['second'] or '0'}.{match['fraction'] or '0'}")


def _iso(text: str) -> datetime | None:
    if ":" not in text or not ISO.match(text.strip()):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"\[[\w/+-]+\]$", "", text.strip()).replace(",", ".").upper())
    except ValueError:
        return None


def _numeric(text: str) -> str:
    """With the name of the month as a number, the year first."""
    text = MARKED.sub(r"\1:\3:\4", text.strip())
    match = C_TIME.match(text)
    if match and match[1].lower() in MONTHS:
        return f"{match[5]}-{MONTHS[match[1].lower()]}-{match[2]} {match[3]}{match[4]}"
    for pattern, day, month in ((NAMED_DAY, 1, 2), (NAMED_MONTH, 2, 1)):
        match = pattern.match(text)
        if match and match[month][:3].lower() in MONTHS:
            return f"{'20' if len(match[3]) == 2 else ''}{match[3]}-{MONTHS[match[month][:3].lower()]}-{match[day]} {text[match.end() :].lstrip(' ,:T-')}"
    return WEEKDAY.sub("", text)


def _order(found: Sequence[re.Match[str]]) -> str:
    """The only order of year, month and day in which every date exists and no year has one digit.

    Raises:
        MeterError: Two orders are left, and give different dates.
    """
    first = [(match["a"], match["mark"], match["b"], match["c"]) for match in found]
    if any(len(a) == 4 for a, _, _, _ in first):
        return "ymd"
    possible = ["dmy"] if any(mark == "." for _, mark, _, _ in first) else ["mdy", "dmy"]
    if not any(len(c) == 4 for _, _, _, c in first):
        possible.append("ymd")  # a year of two digits may come first
    left = [order for order in possible if all(_exists(order, *each) for each in first)]
    if "ymd" in left and len(left) > 1 and any(mark == "." for _, mark, _, _ in first):
        left.remove("ymd")
    same = all(_parts(left[0], *each) == _parts(order, *each) for order in left for each in first) if left else False
    if len(left) == 1 or same:
        return left[0]
    if not left:
        return possible[0]
    a, mark, b, c = first[0]
    orders = {_date(order, *first[0]): order for order in left}
    raise MeterError(
        f"the log's dates can be read in two ways: {a}{mark}{b}{mark}{c} is {' or '.join(orders)}",
        "\n".join(f"--date-order {order}" for order in orders.values()),
    )


def _parts(order: str, a: str, mark: str, b: str, c: str) -> tuple[int, int, int]:
    """(year, month, day)."""
    named = dict(zip(order, (a, b, c), strict=True))
    year = int(named["y"])
    return year + 2000 if len(named["y"]) <= 2 else year, int(named["m"]), int(named["d"])


def _date(order: str, a: str, mark: str, b: str, c: str) -> str:
    year, month, day = _parts(order, a, mark, b, c)
    return f"{year:04d}-{month:02d}-{day:02d}"


def _exists(order: str, a: str, mark: str, b: str, c: str) -> bool:
    year, month, day = _parts(order, a, mark, b, c)
    try:
        datetime(year, month, day)
    except ValueError:
        return False
    return True


def _hours(match: re.Match[str]) -> int:
    half = (match["half"] or "").lower()
    return int(match["hour"]) % 12 + 12 * half.startswith("p") if half else int(match["hour"])


def _offset(zone: str) -> str:
    """`+01:00` of `+0100`, `GMT+1` or `UTC +01:00`."""
    sign, hours, minutes = re.fullmatch(r"\D*?([+-])(\d{1,2}?):?(\d{2})?", zone).groups()  # type: ignore[union-attr]
    return f"{sign}{int(hours):02d}:{minutes or '00'}"


def _moment(match: re.Match[str] | None, order: str) -> datetime | None:
    if match is None:
        return None
    parts = match.groupdict()
    a, b, c = parts["a"], parts["b"], parts["c"]
    year, month, day = _parts("ymd" if len(a) == 4 else order, a, "", b, c)
    if parts.get("hms"):
        clock, fraction = ":".join(re.findall("..", parts["hms"])), parts["part"]
    else:
        clock, fraction = f"{_hours(match):02d}:{parts['minute']}:{parts['second'] or '00'}", parts["fraction"]
    zone = (parts["zone"] or "").upper()
    tail = "" if not zone else "+00:00" if zone in ("Z", "UTC", "GMT") else _offset(zone)
    return _iso(f"{year:04d}-{month:02d}-{day:02d}T{clock}.{(fraction or '0')[:6]:0<6}{tail}")
