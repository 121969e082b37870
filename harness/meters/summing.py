"""Channels of one log -> their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from harness.meters.rows import Channel
from harness.schema import Floats


def summed(channels: Sequence[Channel], *, on_change: bool = False) -> Channel:
    """The sum of several channels, at the times of the one with the most readings.

    A channel with other time stamps is interpolated; of a log of changes each value holds until the next one, and the sum has a row at every
    change. The sum is missing where a channel has no reading before or after it, or one that is missing.

    Args:
        channels: On one clock.
        on_change: Whether they have a row only where the value changes.
    """
    ordered = [_ordered(channel) for channel in channels]
    base = max(ordered, key=lambda channel: len(channel.t_s))
    t_s, row = base.t_s, base.row
    if on_change:
        t_s = np.unique(np.concatenate([channel.t_s for channel in ordered]))
        row = np.zeros(len(t_s), dtype=int)
    total = np.zeros(len(t_s))
    for channel in ordered:
        total += _kept(t_s, channel) if on_change else _at(t_s, channel)
    discarded: Counter[str] = sum((channel.discarded for channel in channels), Counter())
    missing = int(np.sum(~np.isfinite(total))) - discarded.total()
    if missing > 0:
        discarded["a channel has no reading there"] += missing
    return Channel(t_s, total, row, discarded)


def _ordered(channel: Channel) -> Channel:
    if np.all(np.diff(channel.t_s) >= 0) or not np.all(np.diff(channel.t_s) <= 0):
        return channel
    return Channel(channel.t_s[::-1], channel.watts[::-1], channel.row[::-1], channel.discarded)


def _at(t_s: Floats, channel: Channel) -> Floats:
    """A channel at other times: its own readings where the times are equal, else between two readings; NaN beyond and beside what is missing."""
    if np.array_equal(t_s, channel.t_s):
        return channel.watts
    found = np.interp(t_s, channel.t_s, channel.watts, left=np.nan, right=np.nan)
    return np.asarray(found, dtype=float)


def _kept(t_s: Floats, channel: Channel) -> Floats:
    at = np.searchsorted(channel.t_s, t_s, side="right") - 1
    return np.where(at >= 0, channel.watts[np.maximum(at, 0)], np.nan)
