"""What every reader of a log gives: channels of time and power, still on the file's own clock, and what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from harness.schema import Floats


@dataclass
class Channel:
    """One power of one device.

    Attributes:
        t_s: Times on the file's clock, shape (n,).
        watts: Power in W, shape (n,); NaN where a value is no number.
        row: Row of the table that each reading comes from, shape (n,).
        discarded: Why values are missing, with their count.
    """

    t_s: Floats
    watts: Floats
    row: np.ndarray
    discarded: Counter[str] = field(default_factory=Counter)


@dataclass
class Rows:
    """A log as it is written.

    Attributes:
        channels: By name.
        local: Whether the times are clock readings without a zone, counted as if they were UTC.
        preferred: The channel meant where none is named; None: there are several of one rank.
        count: Rows in the file.
        torn: Rows left out because they could not be split or hold no time, as (line, row of the table that it follows, reason).
        floating: Whether the times count from a start, or a midnight, that the log does not hold.
        summed: The channels that `sum` adds; empty: all.
        overlapping: Whether a channel may contain others, so that a sum is not proposed.
        on_change: Whether a row is written only when the value changes.
        marks: Named times on the same clock.
        utc_offset_s: Local time less UTC, where the log itself shows it.
        timezone: Name of the zone, where the log itself names it.
        zone_sentence: The sentence on that; dropped when the user knows better.
        notes: What was read from where, as sentences.
    """

    channels: dict[str, Channel]
    local: bool
    preferred: str | None
    count: int
    torn: list[tuple[int, int, str]] = field(default_factory=list)
    floating: bool = False
    summed: tuple[str, ...] = ()
    overlapping: bool = False
    on_change: bool = False
    marks: dict[str, float] = field(default_factory=dict)
    utc_offset_s: float | None = None
    timezone: str | None = None
    zone_sentence: str | None = None
    notes: list[str] = field(default_factory=list)
