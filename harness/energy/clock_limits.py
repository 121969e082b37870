"""Share of a window in which the clock of a card was limited, by reason, from its event reasons and time counters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.schema import Sample, Trace

CLOCKS_SET, POWER_CAP, HW_SLOWDOWN, SW_THERMAL, HW_THERMAL, POWER_BRAKE = 0x2, 0x4, 0x8, 0x20, 0x40, 0x80
"""NVML's event reasons (nvml.h). The power cap is normal at full load; set clocks are the user's choice."""
SLOWED = HW_SLOWDOWN | SW_THERMAL | HW_THERMAL | POWER_BRAKE
REASONS = {"power_capped": POWER_CAP, "slowed": SLOWED, "clocks_set": CLOCKS_SET}
COUNTERS = {"power_capped_time": "power_capped", "slowed_time": "slowed"}
"""Domains that count the time of a reason, and the share that each gives."""
MAX_SHARE = 1.5
"""Share of the window above which a counter counts something else: two reasons may hold at once, and a driver counts in steps of 0.1 s."""
SEEN, UNSEEN = 2, 0.01
"""Number of flag readings with a reason from which a time counter below this share of the window is not trusted."""


class ClockLimit(NamedTuple):
    """Time for which one reason limited the clock of a card.

    Attributes:
        share: Share of the window, 0 to 1.
        counted: Whether it is from a counter of the driver, else from readings of the flags.
        reasons: Event reasons that the readings showed; 0 if only a counter showed one.
    """

    share: float
    counted: bool
    reasons: int


def clock_limits(trace: Trace, start_s: float, end_s: float) -> dict[str, ClockLimit]:
    """Clock limits of each card in a window, by `<card> power_capped`, `<card> slowed` and `<card> clocks_set`, if reported.

    Flags are read at 4 Hz and miss shorter events, so a counter of the driver takes precedence: its increase over the window is the time that
    the reason held. It is ignored if it gains more than the window is long, or nothing where the flags repeatedly show the reason.
    """
    limits: dict[str, ClockLimit] = {}
    for name, domain in trace.domains.items():
        if domain.quantity == "flags":
            flags = trace.readings(name, start_s, end_s).astype(np.int64)
            for reason, bits in REASONS.items():
                if len(flags):
                    set_bits = flags & bits
                    limits[f"{card_of(name)} {reason}"] = ClockLimit(
                        float(np.mean(set_bits != 0)), False, int(np.bitwise_or.reduce(set_bits))
                    )
    for name, domain in trace.domains.items():
        card = card_of(name)
        reason_of = COUNTERS.get(name.removeprefix(f"{card} "))
        if domain.quantity == "duration" and reason_of:
            key = f"{card} {reason_of}"
            share, flagged = gained(trace.samples[name], start_s, end_s), limits.get(key, ClockLimit(0.0, False, 0))
            flagged_often = flagged.share * _flag_readings(trace, card, start_s, end_s) >= SEEN
            if share is not None and 0 <= share <= MAX_SHARE and not (share < UNSEEN and flagged_often):
                limits[key] = ClockLimit(min(share, 1.0), True, flagged.reasons)
    return limits


def gained(sample: Sample, start_s: float, end_s: float) -> float | None:
    """Interpolated increase of a time counter over a window, relative to its length; None if the readings do not cover it."""
    known = sample.finite()
    if len(known.t_s) < 2 or end_s <= start_s or known.t_s[0] > start_s or known.t_s[-1] < end_s:
        return None
    before, after = np.interp([start_s, end_s], known.t_s, known.value)
    return float((after - before) / (end_s - start_s))


def card_of(domain: str) -> str:
    """The card of a domain: `gpu:0` of `gpu:0 utilization`."""
    return domain.split(" ", maxsplit=1)[0]


def _flag_readings(trace: Trace, card: str, start_s: float, end_s: float) -> int:
    """Number of readings of a card's flags in a window."""
    flags = (name for name, domain in trace.domains.items() if domain.quantity == "flags" and card_of(name) == card)
    return sum(len(trace.readings(name, start_s, end_s)) for name in flags)
