"""Findings on the conditions of an accelerator in one repetition (throttling, heat, clocks, sharing, use), and memory of the child.

"Before the case" means the readings until the child could begin to use the card, which takes longer than its interpreter to start.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from harness.energy.clock_limits import UNSEEN, card_of, clock_limits
from harness.schema import Domain, Measurement, Phase, Trace

Remark = tuple[str, dict[str, object]]
"""A code of `harness.energy.codes.CODES` with its values."""
STARTS_S = 0.15
"""Shortest time from the start of a child's interpreter to its first use of the card."""
BUSY = 0.05
"""Utilization before the load above which a card is shared."""
MOVED = 0.02
"""Rise of the utilization, reported in steps of 0.01, that shows that a card is used."""
MEMORY_RISE_BYTES = 16 * 2**20
"""Rise of memory in use below which there is no context: the smallest takes some 60 MiB."""
OCCUPIED_BYTES, OCCUPIED_WITH_RESERVE_BYTES = 256 * 2**20, 2**30
"""Memory in use that shows another process: a context takes 300 to 600 MiB. Older drivers include their own reserve."""
HOT_DEGC, MEMORY_HOT_DEGC, COLD_DEGC = 95.0, 110.0, -20.0
"""Limits of plausible temperatures; GDDR6X and HBM are specified up to 105 degC and more."""
CLOCK_CHANGED = 0.05
CAP_TOLERANCE = 0.005
"""Relative difference of a power limit from its default that is rounding."""


class Span(NamedTuple):
    """Times of one repetition, s on CLOCK_MONOTONIC.

    Attributes:
        load_s: Start of the child; None: unknown.
        idle: Idle phase before the load; None: there is none.
        start_s: First edge of `steady`.
        end_s: Last edge of `steady`.
    """

    load_s: float | None
    idle: tuple[float, float] | None
    start_s: float
    end_s: float


def span_of(measurements: Iterable[Measurement]) -> Span | None:
    """Times of a repetition; None if nothing was measured in `steady`."""
    measurements = list(measurements)
    steady = [m for m in measurements if m.phase == "steady"]
    if not steady:
        return None
    load = [m.start_s for m in measurements if m.phase == "load"]
    idle = [(m.start_s, m.end_s) for m in measurements if m.phase == "idle"]
    return Span(min(load, default=None), idle[0] if idle else None, min(m.start_s for m in steady), max(m.end_s for m in steady))


def remarks(trace: Trace, span: Span, devices: Collection[str], device: str | None) -> Iterator[Remark]:
    """Remarks on throttling, heat, clocks, sharing, and a card that was not used.

    Args:
        trace: Readings of the repetition.
        span: Times of the repetition.
        devices: Devices whose energy counts.
        device: Device of the case; None: unknown.
    """
    limits = clock_limits(trace, span.start_s, span.end_s)
    for card in dict.fromkeys(card_of(name) for name, d in trace.domains.items() if d.device in devices and d.device != "cpu"):
        slowed, capped = limits.get(f"{card} slowed"), limits.get(f"{card} power_capped")
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


def device_memory(trace: Trace, phases: Sequence[Phase], device: str | None) -> tuple[int | None, Literal["process", "rise"] | None]:
    """Largest memory of an accelerator that the child held, bytes, and its source.

    Args:
        trace: Readings of the task.
        phases: Phases of the task; the child was started when `load` began, and a memory of 0 must have been read in `steady`.
        device: Device of the case; None for a build.

    Returns:
        `process`: as the driver reports it for the child's processes. `rise`: if it does not list them, the largest memory in use of the whole
        card over what was in use before the case. (None, None): unknown, or no accelerator.
    """
    if device in (None, "cpu"):
        return None, None
    load_s = next((phase.start_s for phase in phases if phase.name == "load"), None)
    steady = next(((phase.start_s, phase.end_s) for phase in phases if phase.name == "steady"), None)
    begin_s = -math.inf if load_s is None else load_s
    for card in dict.fromkeys(card_of(name) for name, d in trace.domains.items() if d.device == device):
        own = trace.readings(f"{card} child_memory", begin_s)
        if np.any(own > 0):
            return int(np.max(own)), "process"
        used, level = trace.readings(f"{card} memory_used", begin_s), _before(trace, f"{card} memory_used", load_s)
        if _absent(trace, card, load_s) and _was_read(trace, f"{card} child_memory", steady):
            return 0, "process"
        if level is not None and len(used) and (np.max(used) > level or _was_read(trace, f"{card} memory_used", steady)):
            return max(0, int(np.max(used) - level)), "rise"
    return None, None


def cap_share(facts: Mapping[str, Any]) -> float | None:
    """Power limit of a card as a share of its default, from the facts that its sensor reports; None if one of them is unknown."""
    limit_w, default_w = facts.get("power_limit_w"), facts.get("power_limit_default_w")
    return limit_w / default_w if limit_w and default_w else None


def why_not_read(trace: Trace, device: str) -> str:
    """Why a case on an accelerator has no energy of it, as a clause."""
    energies = [domain for domain in trace.domains.values() if domain.kind]
    if any(domain.device == device for domain in energies):
        return f"the suite's `domains` leave out the energy of the device {device}"
    unseen = next((domain.detail["unseen"] for domain in energies if domain.detail.get("unseen")), None)
    return f"{unseen}, so that no sensor reads its energy" if unseen else f"no sensor reads the energy of the device {device}"


def percent(share: float) -> str:
    """A share as a percentage with three digits: `12 %`."""
    return f"{100 * share:.3g} %"


def _of(trace: Trace, card: str) -> dict[str, Domain]:
    """Domains of one card."""
    return {name: domain for name, domain in trace.domains.items() if card_of(name) == card}


def _before(trace: Trace, name: str, load_s: float | None) -> float | None:
    """Smallest reading before the case; None if there is none."""
    values = trace.readings(name, end_s=load_s + STARTS_S) if load_s is not None else np.zeros(0)
    return float(np.min(values)) if len(values) else None


def _was_read(trace: Trace, name: str, steady: tuple[float, float] | None) -> bool:
    return steady is None or len(trace.readings(name, *steady)) > 0


def _absent(trace: Trace, card: str, load_s: float | None) -> bool:
    """Whether the driver lists all processes on the card throughout, and the child is not among them."""
    sample = trace.samples.get(f"{card} child_memory")
    if sample is None:
        return False
    held = sample.between(-math.inf if load_s is None else load_s, math.inf).value
    return bool(len(held) and np.isfinite(held).all() and not np.any(held > 0))


def _load(trace: Trace, card: str) -> str:
    """Name of the domain of a card's utilization; empty if there is none."""
    return next((name for name, domain in _of(trace, card).items() if domain.quantity == "load"), "")


def _idle_load(trace: Trace, card: str, span: Span) -> float | None:
    """Smallest utilization before the load, so that a busy moment of the child or of the previous case does not count; None: not read."""
    name = _load(trace, card)
    level = _before(trace, name, span.load_s)
    values = [*(trace.readings(name, *span.idle) if span.idle else ()), *(() if level is None else (level,))]
    return float(min(values)) if values else None


def _shared(trace: Trace, card: str, span: Span) -> Iterator[Remark]:
    """Other users of the card: known foreign processes, or memory in use or load before the case. Hidden processes are ignored."""
    signs = []
    foreign = trace.readings(f"{card} foreign_processes", end_s=span.end_s)
    if len(foreign) and (n := int(np.max(foreign))):
        signs.append(f"{n} other {'process was' if n == 1 else 'processes were'} on it")
    used = _before(trace, f"{card} memory_used", span.load_s)
    if used is not None:
        without_reserve = trace.domains[f"{card} memory_used"].detail.get("without_reserve")
        if used > (OCCUPIED_BYTES if without_reserve else OCCUPIED_WITH_RESERVE_BYTES):
            signs.append(f"{used / 2**20:,.0f} MiB of its memory were in use before the case")
    busy = _idle_load(trace, card, span)
    if busy is not None and busy > BUSY:
        signs.append(f"it was {percent(busy)} busy before the load began")
    if signs:
        yield "card_shared", {"device": card, "how": "; ".join(signs)}


def _not_used(trace: Trace, card: str, span: Span) -> Iterator[Remark]:
    """A card whose utilization and child's memory did not rise in `steady`; nothing if either is unknown."""
    load, before = trace.readings(_load(trace, card), span.start_s, span.end_s), _idle_load(trace, card, span)
    if not len(load) or before is None or float(np.max(load)) - before >= MOVED:
        return
    begin_s = -math.inf if span.load_s is None else span.load_s
    if np.any(trace.readings(f"{card} child_memory", begin_s, span.end_s) > 0):
        return
    used, level = trace.readings(f"{card} memory_used", begin_s, span.end_s), _before(trace, f"{card} memory_used", span.load_s)
    if _absent(trace, card, span.load_s) or (level is not None and len(used) and float(np.max(used)) - level < MEMORY_RISE_BYTES):
        yield "card_not_used", {"device": card}


def _heat_and_clocks(trace: Trace, name: str, domain: Domain, span: Span) -> Iterator[Remark]:
    value = trace.readings(name, span.start_s, span.end_s)
    if domain.quantity == "temperature" and len(value):
        hot = MEMORY_HOT_DEGC if name.endswith(" memory_temperature") else HOT_DEGC
        if not COLD_DEGC <= value.min() <= value.max() <= hot:
            yield "temperature_out_of_range", {"domain": name, "degc": float(value.max() if value.max() > hot else value.min())}
    elif domain.quantity == "clock":
        tenth_s = (span.end_s - span.start_s) / 10
        first = trace.readings(name, span.start_s, span.start_s + tenth_s)
        last = trace.readings(name, span.end_s - tenth_s, span.end_s)
        if len(first) and len(last) and abs(float(np.mean(last)) / float(np.mean(first)) - 1) > CLOCK_CHANGED:
            yield "clock_frequency_changed", {"domain": name, "before_hz": float(np.mean(first)), "after_hz": float(np.mean(last))}
