"""The conditions of an accelerator in one repetition -> what is to be remarked of them: codes with their values. Pure.

What was there before the case: the readings until the child's process could begin to use the card, which takes longer than its interpreter to start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from harness.energy.clock_limits import UNSEEN, card_of, clock_limits
from harness.schema import Domain, Floats, Measurement, Trace

Remark = tuple[str, dict[str, object]]
"""A code of `harness.energy.codes.CODES` with the values of its sentence."""
STARTS_S = 0.15
"""A child's interpreter starts for at least so long before anything can be on the card."""
BUSY = 0.05
"""A card that is busier before the load is shared."""
MOVED = 0.02
"""By so much the utilization rises where a card is used; it is reported in steps of 0.01."""
MEMORY_RISE_BYTES = 16 * 2**20
"""Less is no context: the smallest takes some 60 MiB."""
OCCUPIED_BYTES, OCCUPIED_WITH_RESERVE_BYTES = 256 * 2**20, 2**30
"""Device memory in use from which somebody else is on the card: a context takes 300 to 600 MiB. Older drivers count their own reserve in."""
HOT_DEGC, MEMORY_HOT_DEGC, COLD_DEGC = 95.0, 110.0, -20.0
"""GDDR6X and HBM are made for up to 105 degC and more."""
CLOCK_CHANGED = 0.05


class Span(NamedTuple):
    """The times of one repetition, CLOCK_MONOTONIC, s.

    Attributes:
        load_s: When the child was started; null: not known.
        idle: The idle phase before the load; null: none.
        start_s: The first edge of `steady`.
        end_s: Its last edge.
    """

    load_s: float | None
    idle: tuple[float, float] | None
    start_s: float
    end_s: float


def span_of(measurements: Iterable[Measurement]) -> Span | None:
    """The times that the measurements of a repetition give; null where nothing was measured in `steady`."""
    measurements = list(measurements)
    steady = [m for m in measurements if m.phase == "steady"]
    if not steady:
        return None
    load = [m.start_s for m in measurements if m.phase == "load"]
    idle = [(m.start_s, m.end_s) for m in measurements if m.phase == "idle"]
    return Span(min(load, default=None), idle[0] if idle else None, min(m.start_s for m in steady), max(m.end_s for m in steady))


def remarks(trace: Trace, span: Span, devices: Collection[str], device: str | None) -> Iterator[Remark]:
    """Slowing down, heat, clocks, sharing, and a card that did nothing.

    Args:
        trace: What the sensors reported.
        span: The times of the repetition.
        devices: Whose energy counts.
        device: Of the case; null: not known.
    """
    shares = clock_limits(trace, span.start_s, span.end_s)
    cards = dict.fromkeys(card_of(name) for name, d in trace.domains.items() if d.device in devices and d.device != "cpu")
    for card in cards:
        slowed, capped = shares.get(f"{card} slowed"), shares.get(f"{card} power_capped")
        if slowed and slowed.share >= (UNSEEN if slowed.counted else 1e-9):
            reasons = f" (event reasons {slowed.reasons:#x})" if slowed.reasons else ""
            of = "of the window" if slowed.counted else "of the readings in the window"
            yield "throttled", {"device": card, "how": f"in {percent(slowed.share)} {of}{reasons}"}
        if capped and capped.share >= UNSEEN:
            yield "power_capped", {"device": card, "share": percent(capped.share)}
        yield from _shared(trace, card, span)
        if device not in (None, "cpu") and any(d.device == device for d in _of(trace, card).values()):
            yield from _not_used(trace, card, span)
    for name, domain in trace.domains.items():
        if domain.device in devices:
            yield from _heat_and_clocks(trace, name, domain, span)


def device_memory(
    trace: Trace, device: str, load_s: float | None, steady: tuple[float, float] | None = None
) -> tuple[int | None, Literal["process", "rise"] | None]:
    """Most memory of an accelerator that the measured process held, bytes, and how that is known.

    Args:
        trace: What the sensors reported.
        device: Of the case.
        load_s: When the child was started; null: not known.
        steady: The window: that nothing was held is known only where it was read in it; null: it is not asked for.

    Returns:
        `process`: as the driver reports it of the child's own processes. `rise`: where it does not name them, the most memory in use of the whole card
        over what was in use before the case. (None, None) where neither is known.
    """
    cards = dict.fromkeys(card_of(name) for name, d in trace.domains.items() if d.device == device)
    for card in cards:
        own = _values(trace, f"{card} child_memory", load_s, None)
        if np.any(own > 0):
            return int(np.max(own)), "process"
        used, level = _values(trace, f"{card} memory_used", load_s, None), _before(trace, f"{card} memory_used", load_s)
        if _absent(trace, card, load_s) and _was_read(trace, f"{card} child_memory", steady):
            return 0, "process"
        if level is not None and len(used) and (np.max(used) > level or _was_read(trace, f"{card} memory_used", steady)):
            return max(0, int(np.max(used) - level)), "rise"
    return None, None


def why_not_read(trace: Trace, device: str) -> str:
    """Why a case on an accelerator has no energy of it, as a clause.

    Args:
        trace: What the sensors reported.
        device: Of the case.
    """
    energies = [domain for domain in trace.domains.values() if domain.kind]
    if any(domain.device == device for domain in energies):
        return f"the suite's `domains` leave out the energy of the device {device}"
    unseen = next((domain.detail["unseen"] for domain in energies if domain.detail.get("unseen")), None)
    return f"{unseen}, so that no sensor reads its energy" if unseen else f"no sensor reads the energy of the device {device}"


def percent(share: float) -> str:
    """`12 %` of 0.12; three digits."""
    return f"{100 * share:.3g} %"


def _of(trace: Trace, card: str) -> dict[str, Domain]:
    """The domains of one card."""
    return {name: domain for name, domain in trace.domains.items() if card_of(name) == card}


def _values(trace: Trace, name: str, start_s: float | None, end_s: float | None) -> Floats:
    """Readings in a time, without those that failed; empty where there is no such domain."""
    if name not in trace.samples:
        return np.zeros(0)
    sample = trace.samples[name].finite()
    low, high = -np.inf if start_s is None else start_s, np.inf if end_s is None else end_s
    return sample.value[(sample.t_s >= low) & (sample.t_s <= high)]


def _before(trace: Trace, name: str, load_s: float | None) -> float | None:
    """The least that was read before the case; null where nothing was."""
    values = _values(trace, name, None, load_s + STARTS_S) if load_s is not None else np.zeros(0)
    return float(np.min(values)) if len(values) else None


def _was_read(trace: Trace, name: str, steady: tuple[float, float] | None) -> bool:
    """Whether a domain has a reading in the window."""
    return steady is None or len(_values(trace, name, *steady)) > 0


def _absent(trace: Trace, card: str, load_s: float | None) -> bool:
    """Whether the driver names everybody on the card throughout, and the measured process is not among them."""
    name = f"{card} child_memory"
    if name not in trace.samples:
        return False
    sample = trace.samples[name]
    known = sample.value[sample.t_s >= (-np.inf if load_s is None else load_s)]
    return bool(len(known) and np.isfinite(known).all() and not np.any(known > 0))


def _load(trace: Trace, card: str) -> str:
    """The domain that shows how busy a card is; empty where there is none."""
    return next((name for name, domain in _of(trace, card).items() if domain.quantity == "load"), "")


def _idle_load(trace: Trace, card: str, span: Span) -> float | None:
    """The least utilization before the load: a busy moment of the child's own, or of the case before, is none of somebody else's."""
    name = _load(trace, card)
    idle = _values(trace, name, *span.idle) if span.idle else np.zeros(0)
    found = [*idle, *([level] if (level := _before(trace, name, span.load_s)) is not None else [])]
    return float(min(found)) if found else None


def _shared(trace: Trace, card: str, span: Span) -> Iterator[Remark]:
    """Others on the card: processes that are not ours, memory in use, or load, before the case. What no pid here names is no evidence."""
    found = []
    foreign = _values(trace, f"{card} foreign_processes", None, span.end_s)
    if len(foreign) and (n := int(np.max(foreign))):
        found.append(f"{n} other {'process was' if n == 1 else 'processes were'} on it")
    used = _before(trace, f"{card} memory_used", span.load_s)
    if used is not None:
        without_reserve = trace.domains[f"{card} memory_used"].detail.get("without_reserve")
        if used > (OCCUPIED_BYTES if without_reserve else OCCUPIED_WITH_RESERVE_BYTES):
            found.append(f"{used / 2**20:,.0f} MiB of its memory were in use before the case")
    busy = _idle_load(trace, card, span)
    if busy is not None and busy > BUSY:
        found.append(f"it was {percent(busy)} busy before the load began")
    if found:
        yield "card_shared", {"device": card, "how": "; ".join(found)}


def _not_used(trace: Trace, card: str, span: Span) -> Iterator[Remark]:
    """Neither the utilization rose in `steady`, nor did the child's memory on the card; silent where one of the two is not known."""
    load, before = _values(trace, _load(trace, card), span.start_s, span.end_s), _idle_load(trace, card, span)
    if not len(load) or before is None or float(np.max(load)) - before >= MOVED:
        return
    own = _values(trace, f"{card} child_memory", span.load_s, span.end_s)
    used, level = _values(trace, f"{card} memory_used", span.load_s, span.end_s), _before(trace, f"{card} memory_used", span.load_s)
    if np.any(own > 0):
        return
    if _absent(trace, card, span.load_s) or (level is not None and len(used) and float(np.max(used)) - level < MEMORY_RISE_BYTES):
        yield "card_not_used", {"device": card}


def _heat_and_clocks(trace: Trace, name: str, domain: Domain, span: Span) -> Iterator[Remark]:
    value = _values(trace, name, span.start_s, span.end_s)
    if domain.quantity == "temperature" and len(value):
        hot = MEMORY_HOT_DEGC if name.endswith(" memory_temperature") else HOT_DEGC
        if not COLD_DEGC <= value.min() <= value.max() <= hot:
            yield "temperature_out_of_range", {"domain": name, "degc": float(value.max() if value.max() > hot else value.min())}
    elif domain.quantity == "clock":
        tenth_s = (span.end_s - span.start_s) / 10
        first = _values(trace, name, span.start_s, span.start_s + tenth_s)
        last = _values(trace, name, span.end_s - tenth_s, span.end_s)
        if len(first) and len(last) and abs(float(np.mean(last)) / float(np.mean(first)) - 1) > CLOCK_CHANGED:
            yield "clock_frequency_changed", {"domain": name, "before_hz": float(np.mean(first)), "after_hz": float(np.mean(last))}
