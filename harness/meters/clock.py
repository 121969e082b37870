"""Times as logs write them -> seconds; local clock readings and a zone -> Unix time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from harness.errors import MeterError
from harness.schema import Floats

Clock = Literal["unix", "local"]

QUARTER_S = 900.0
"""Offsets of zones, and their changes, are whole quarter hours."""
EPOCH = datetime(1970, 1, 1)
UNITS = ((1e17, 1e-9, "ns"), (1e14, 1e-6, "us"), (1e11, 1e-3, "ms"), (1e8, 1.0, "s"))
"""Unix times tell their unit by their size."""
PATTERN = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,:](\d{1,9}))?)?\s*(AM|PM)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


def parse_times(texts: Sequence[str], *, month_first: bool | None = None) -> tuple[Floats, Clock, str]:
    """Read a column of times.

    Args:
        texts: As written: ISO 8601, a date in the usual orders, or Unix time in s, ms, us or ns.
        month_first: Order of day and month where the year comes last; null: the one that the column allows.

    Returns:
        Seconds (NaN where unreadable), whether they are Unix time or local clock readings counted as UTC, and a sentence on the format.

    Raises:
        MeterError: Seconds since an unknown start, some rows with a zone and some without, or a date that may be read in two ways.
    """
    numbers = _numbers(texts)
    if np.mean(np.isfinite(numbers)) > 0.5:
        return _unix(numbers)
    parsed = [_iso(text) for text in texts]
    if sum(p is None for p in parsed) > len(parsed) / 2:
        found = [PATTERN.fullmatch(text.strip()) for text in texts]
        month_first = _order(found) if month_first is None else month_first
        parsed = [_dated(match, month_first) for match in found]
    zoned = {p.tzinfo is not None for p in parsed if p is not None}
    if len(zoned) == 2:
        raise MeterError("some times of the log have a zone and some have none", "write all of them with one")
    seconds = np.array([_seconds(p) for p in parsed])
    return (seconds, "unix", "times carry their zone") if True in zoned else (seconds, "local", "times are local and name no zone")


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

    return np.array([number(text) for text in texts])


def _unix(numbers: Floats) -> tuple[Floats, Clock, str]:
    size = float(np.nanmedian(np.abs(numbers)))
    for least, factor, unit in UNITS:
        if size >= least:
            return numbers * factor, "unix", f"times are Unix time in {unit}"
    raise MeterError(
        f"the log's times are small numbers (about {size:g}): seconds since a start that it does not tell",
        "add the start to the column, so that it holds Unix time",
    )


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip().replace(",", "."))
    except ValueError:
        return None


def _order(found: Sequence[re.Match[str] | None]) -> bool:
    """Whether the month comes first; only asked of dates whose year comes last."""
    last = [(int(m[1]), m[2], int(m[3])) for m in found if m and len(m[1]) < 4]
    if not last or any(mark == "." for _, mark, _ in last) or any(first > 12 for first, _, _ in last):
        return False
    if any(second > 12 for _, _, second in last):
        return True
    if all(first == second for first, _, second in last):
        return True
    raise MeterError(
        f"the log's dates can be read in two ways: is {last[0][0]}{last[0][1]}{last[0][2]} a month and a day?", "write ISO 8601"
    )


def _dated(match: re.Match[str] | None, month_first: bool) -> datetime | None:
    if match is None:
        return None
    a, _, b, c, hour, minute, second, fraction, half, zone = match.groups()
    year, month, day = (a, b, c) if len(a) == 4 else (c, a, b) if month_first else (c, b, a)
    hours = int(hour) % 12 + 12 * (half.upper() == "PM") if half else int(hour)
    tail = "" if not zone else "+00:00" if zone.upper() in ("Z", "UTC") else zone
    return _iso(f"{year:0>4}-{month:0>2}-{day:0>2}T{hours:02d}:{minute}:{second or '00'}.{(fraction or '0')[:6]:0<6}{tail}")


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
            "give --utc-offset with the offset that held, or cut the log there",
        )
    return first.total_seconds()
