"""Local times and a time zone as Unix time."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.schema import Floats

QUARTER_S = 900.0
"""Offsets of time zones are whole quarter hours."""
MAX_OFFSET_S = 14 * 3600.0
"""The largest offset of a time zone."""


@dataclass(frozen=True)
class Zone:
    """Zone of local times: its name, or else local time minus UTC in seconds."""

    name: str | None = None
    utc_offset_s: float = 0.0


def to_unix(local_s: Floats, zone: Zone) -> Floats:
    """Local clock readings as Unix time.

    Args:
        local_s: Clock readings in the order of the log, counted as if they were UTC, in seconds. If they go back once, the later ones belong
            to the second pass of an hour that occurs twice.
        zone: Zone of the clock.

    Raises:
        MeterError: The zone does not exist; or a time does not exist there, or occurs twice and the order of the log does not decide which.
    """
    if zone.name is None:
        return local_s - zone.utc_offset_s
    info = zone_info(zone.name)
    if info is None:
        raise MeterError(f"there is no time zone {zone.name!r}", "use a name such as Europe/Berlin, or use --utc-offset")
    local = pd.DatetimeIndex(np.floor(local_s).astype("datetime64[s]"))
    back = np.flatnonzero(np.diff(local_s) < 0)
    first_pass = np.arange(len(local)) <= back[0] if len(back) == 1 else None
    utc = local.tz_localize(info, ambiguous="NaT" if first_pass is None else first_pass, nonexistent="NaT").tz_convert(None)
    if utc.hasnans:
        raise _undecided(local[utc.isna()][0], info)
    offsets_s: Floats = (local - utc).total_seconds().to_numpy()
    return local_s - offsets_s


def _undecided(local: pd.Timestamp, zone: ZoneInfo) -> MeterError:
    """The error for a local time that does not exist in a zone, or occurs twice."""
    first_s, second_s = (
        offset.total_seconds() for fold in (0, 1) if (offset := local.replace(tzinfo=zone, fold=fold).utcoffset()) is not None
    )
    what = "occurs twice: daylight saving ends" if first_s > second_s else "does not exist: daylight saving begins"
    return MeterError(
        f"the local time {local:%Y-%m-%d %H:%M} {what} in {zone.key}",
        f"use the offset in effect at that time, --utc-offset {first_s:.0f} or --utc-offset {second_s:.0f}, or cut the log there",
    )


def zone_info(name: str) -> ZoneInfo | None:
    """The zone of this name in the database of time zones; None if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def offset_text(offset_s: float) -> str:
    """`UTC-05:00` for -18000."""
    minutes = round(abs(offset_s) / 60)
    return f"UTC{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
