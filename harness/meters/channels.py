"""Channels of time and power of a log, on the clock of its file; their sum, and resampling of a log of changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.meters.zones import Zone
from harness.schema import Floats

STEP_S = 1e-3
"""Time before a change at which the old value is repeated."""
MAX_READINGS = 2_000_000
LONGEST_PERIOD_S = 1.0
"""A held value is repeated at least once a second, so that it does not count as a gap."""


@dataclass
class Channel:
    """One power of one device.

    Attributes:
        t_s: Times on the clock of the file, shape (n,).
        watts: Power in W, shape (n,); NaN where a value is not a number.
        row: Row of the table that each reading comes from, shape (n,).
        discarded: Number of missing values, by reason.
    """

    t_s: Floats
    watts: Floats
    row: np.ndarray
    discarded: Counter[str] = field(default_factory=Counter)

    def ascending(self) -> Channel:
        """The channel in time order if its newest reading comes first; else itself."""
        if np.all(np.diff(self.t_s) >= 0) or not np.all(np.diff(self.t_s) <= 0):
            return self
        return Channel(self.t_s[::-1], self.watts[::-1], self.row[::-1], self.discarded)


@dataclass
class Channels:
    """All channels of a log.

    Attributes:
        by_name: The channels by name.
        local: Whether the times are clock readings without a zone, counted as if they were UTC.
        preferred: Channel to take if the user names none; None if several are equally good.
        count: Rows in the file.
        torn: Rows that could not be split or contain no time, as (line, row of the table that it follows, reason).
        floating: Whether the times count from a start or a midnight that the log does not hold.
        summed: Channels that `sum` adds; empty for all.
        overlapping: Whether a channel may contain others, so that a sum is not proposed.
        on_change: Whether a row is written only when the value changes.
        marks: Named times on the same clock.
        zone: Zone of local times, if the log states it.
        zone_note: The note on it; dropped if the user gives another zone.
        notes: What was read from where, as sentences.
    """

    by_name: dict[str, Channel]
    local: bool
    preferred: str | None
    count: int
    torn: list[tuple[int, int, str]] = field(default_factory=list)
    floating: bool = False
    summed: tuple[str, ...] = ()
    overlapping: bool = False
    on_change: bool = False
    marks: dict[str, float] = field(default_factory=dict)
    zone: Zone | None = None
    zone_note: str | None = None
    notes: list[str] = field(default_factory=list)


def sum_of(channels: Sequence[Channel], *, on_change: bool = False) -> Channel:
    """Sum of channels on one clock, at the times of the one with the most readings.

    A channel with other time stamps is interpolated. In a log of changes each value holds until the next one, and the sum has a row at
    every change. The sum is NaN where a channel has no reading before or after it, or a missing one.
    """
    ordered = [channel.ascending() for channel in channels]
    base = max(ordered, key=lambda channel: len(channel.t_s))
    t_s, row = base.t_s, base.row
    if on_change:
        t_s = np.unique(np.concatenate([channel.t_s for channel in ordered]))
        row = np.zeros(len(t_s), dtype=int)
    total = np.sum([(_latest if on_change else _interpolated)(channel, t_s) for channel in ordered], axis=0)
    discarded: Counter[str] = sum((channel.discarded for channel in channels), Counter())
    missing = int(np.sum(~np.isfinite(total))) - discarded.total()
    if missing > 0:
        discarded["a channel has no reading there"] += missing
    return Channel(t_s, total, row, discarded)


def _interpolated(channel: Channel, t_s: Floats) -> Floats:
    """A channel at other times; NaN outside of its own times and next to missing values."""
    if np.array_equal(t_s, channel.t_s):
        return channel.watts
    return np.interp(t_s, channel.t_s, channel.watts, left=np.nan, right=np.nan)


def _latest(channel: Channel, t_s: Floats) -> Floats:
    """Last value at or before each time; NaN before the first one."""
    at = np.searchsorted(channel.t_s, t_s, side="right") - 1
    return np.where(at >= 0, channel.watts[np.maximum(at, 0)], np.nan)


def hold(t_s: Floats, watts: Floats) -> tuple[Floats, Floats]:
    """Readings of a log of changes (times that rise and values, shape (n,)) with each value held until the next row.

    A value is repeated at least once a second, and just before the next row.
    """
    steps = np.diff(t_s)
    rising = steps[steps > 0]
    if not len(rising):
        return t_s, watts
    period_s = max(min(float(np.median(rising)), LONGEST_PERIOD_S), float(t_s[-1] - t_s[0]) / MAX_READINGS)
    counts = np.maximum(np.ceil((steps - STEP_S) / period_s).astype(int) - 1, 0)
    times, values = [], []
    for start, stop, watt, count in zip(t_s[:-1], t_s[1:], watts[:-1], counts, strict=True):
        own = [start + period_s * k for k in range(count + 1)]
        if stop - own[-1] > 2 * STEP_S:
            own.append(stop - STEP_S)
        times += own
        values += [watt] * len(own)
    return np.array([*times, t_s[-1]]), np.array([*values, watts[-1]])
