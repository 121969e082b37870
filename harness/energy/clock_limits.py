"""A card's event reasons and the counters of how long they held -> the share of a window in which its clock was held down, and by what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.schema import Sample, Trace

CLOCKS_SET, POWER_CAP, HW_SLOWDOWN, SW_THERMAL, HW_THERMAL, POWER_BRAKE = 0x2, 0x4, 0x8, 0x20, 0x40, 0x80
"""NVML's event reasons (nvml.h). The power cap is normal at full load; that clocks are set is a choice of the user's."""
SLOWED = HW_SLOWDOWN | SW_THERMAL | HW_THERMAL | POWER_BRAKE
REASONS = {"power_capped": POWER_CAP, "slowed": SLOWED, "clocks_set": CLOCKS_SET}
COUNTERS = {"power_capped_time": "power_capped", "slowed_time": "slowed"}
"""Domains that count the time in which a reason held, and the share that each gives."""
MOST = 1.5
"""A counter that gains more than so much of the window counts something else: two reasons may hold at once, and a driver counts in steps of 0.1 s."""
SEEN, UNSEEN = 2, 0.01
"""Where so many readings of the flags show a reason, a counter that gives less than this share of the window does not count it."""


class ClockLimit(NamedTuple):
    """In which share of a window a reason held a card's clock down.

    Attributes:
        share: 0 to 1.
        counted: Whether a counter of the driver gave it; else the share of the readings that showed it.
        reasons: Event reasons that the readings showed; 0 where only a counter saw it.
    """

    share: float
    counted: bool
    reasons: int


def clock_limits(trace: Trace, start_s: float, end_s: float) -> dict[str, ClockLimit]:
    """What held each card's clock down in a window, by `<card> power_capped`, `<card> slowed` and `<card> clocks_set`; left out where nothing reports it.

    Readings of the flags at 4 Hz miss what lasts for less, so a counter of the driver goes first: its gain over the window is the time that the
    reason held. It is not believed where it gains more than the window is long, or nothing of what the flags show again and again.
    """
    found: dict[str, ClockLimit] = {}
    for name, domain in trace.domains.items():
        if domain.quantity == "flags":
            sample = trace.samples[name].finite()
            flags = sample.value[(sample.t_s >= start_s) & (sample.t_s <= end_s)].astype(np.int64)
            for reason, bits in REASONS.items():
                if len(flags):
                    shown = flags & bits
                    found[f"{card_of(name)} {reason}"] = ClockLimit(float(np.mean(shown != 0)), False, int(np.bitwise_or.reduce(shown)))
    for name, domain in trace.domains.items():
        reason_of = COUNTERS.get(name.removeprefix(f"{card_of(name)} "))
        if domain.quantity == "duration" and reason_of:
            key = f"{card_of(name)} {reason_of}"
            share, flagged = gained(trace.samples[name], start_s, end_s), found.get(key, ClockLimit(0.0, False, 0))
            flagged_often = flagged.share * _readings(trace, card_of(name), start_s, end_s) >= SEEN
            if share is not None and 0 <= share <= MOST and not (share < UNSEEN and flagged_often):
                found[key] = ClockLimit(min(share, 1.0), True, flagged.reasons)
    return found


def gained(sample: Sample, start_s: float, end_s: float) -> float | None:
    """What a counter of time gains in a window, over its length; between its readings it is interpolated.

    Returns:
        None where no reading brackets an edge.
    """
    known = sample.finite()
    if len(known.t_s) < 2 or end_s <= start_s or known.t_s[0] > start_s or known.t_s[-1] < end_s:
        return None
    before, after = np.interp([start_s, end_s], known.t_s, known.value)
    return float((after - before) / (end_s - start_s))


def card_of(domain: str) -> str:
    """`gpu:0` of `gpu:0 utilization`."""
    return domain.split(" ", maxsplit=1)[0]


def _readings(trace: Trace, card: str, start_s: float, end_s: float) -> int:
    """How often the flags of a card were read in a window."""
    each = (
        trace.samples[name].finite().t_s for name, domain in trace.domains.items() if domain.quantity == "flags" and card_of(name) == card
    )
    return int(sum(np.sum((t_s >= start_s) & (t_s <= end_s)) for t_s in each))
