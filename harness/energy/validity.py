"""Findings on the validity of an energy and of the device that was measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.energy import cards
from harness.energy.codes import finding
from harness.energy.cross_check import cross_check
from harness.energy.scope import holds_device
from harness.energy.ticks import Z95
from harness.schema import Domain, Finding, Measurement, Trace

EDGE_LIMIT = 0.01
"""Share of the energy that the edges may leave uncertain without a finding; windows grow until it is half of that."""
STILL_S, STILL_TICKS = 1.0, 10
"""Time in s, and number of update periods, after which a counter without a tick is stuck: no device draws nothing."""
UNSTABLE_IDLE = 0.02
SAME_LIMIT = 0.005
"""Relative difference of a power limit from its default that is a rounding."""
FOREIGN_CORES = 0.1
GAP_S = 0.5
FEWEST_SAMPLES = 5
LIMIT_MARGIN = 1.1
ABSURD_W = 1e5
"""Highest plausible power of a device whose limit is unknown."""
STEPPED_S = 0.5
NO_ENERGY = {"kind": "absent", "gross_j": None, "net_j": None, "integrated_j": None, "idle_w": None, "edge_j": None}
MEASURED = ("counter", "sampled", "simulated")


def examine(
    trace: Trace,
    measurements: Sequence[Measurement],
    conditions: Mapping[str, float | None],
    scope: Collection[str],
    *,
    device: str = "cpu",
    lags_s: Mapping[str, float] = {},
    clock_step_s: float = 0.0,
    query_s: float | None = None,
    allow: Collection[str] = (),
) -> list[Finding]:
    """All findings on the energy of one repetition.

    Args:
        trace: Readings of the repetition.
        measurements: Measurements of all phases.
        conditions: Means over `steady`.
        scope: Domains that are the case's energy; findings on other domains invalidate nothing.
        device: Device of the case.
        lags_s: Estimated lags of counters that are not known well enough to correct, s.
        clock_step_s: Step of the system clock during the repetition, s.
        query_s: Mean time of a query, s; None: unknown.
        allow: Codes that the suite accepts: they are reported and invalidate nothing.
    """
    findings = []
    near = [m for m in measurements if m.domain in scope or m.device in ("cpu", device)]
    steady = [m for m in near if m.phase == "steady"]
    if device != "cpu" and not any(holds_device(m.domain, m.device, device) for m in steady if m.domain in scope):
        findings.append(finding("no_device_sensor", why=cards.why_not_read(trace, device)))
    for m in steady:
        findings += [f.model_copy(update={"invalid": f.invalid and m.domain in scope}) for f in _of_measurement(trace, m, lags_s, query_s)]
    findings += _idle(near)
    foreign = conditions.get("foreign_load")
    if foreign is not None and foreign > FOREIGN_CORES:
        findings.append(finding("foreign_load", cores=foreign))
    own = [trace.domains[m.domain] for m in steady if m.domain in scope and m.domain in trace.domains]
    findings += [finding("mig_shared", device=name) for name in dict.fromkeys(domain.name for domain in own if domain.detail.get("mig"))]
    findings += [remark for domain in own if (remark := _limited(domain))]
    findings += [_part_time(domain) for domain in own if domain.quantity == "energy" and domain.part_time]
    if span := cards.span_of(measurements):
        remarks = cards.remarks(trace, span, {domain.device for domain in own}, device)
        findings += [finding(code, **values) for code, values in remarks]
    if abs(clock_step_s) > STEPPED_S:
        findings.append(finding("clock_stepped", seconds=clock_step_s))
    return [f.model_copy(update={"invalid": False}) if f.code in allow else f for f in findings]


def discard_invalid(trace: Trace, measurements: Sequence[Measurement]) -> list[Measurement]:
    """The measurements without energies that are known to be wrong: of a stuck sensor, an implausible reading, a window with gaps."""
    return [m.model_copy(update=NO_ENERGY) if _is_invalid(trace, m) else m for m in measurements]


def examine_device(device: str, charged: str | None, facts: Mapping[str, Any], *, simulated: bool = False) -> list[Finding]:
    """Findings on whether a case ran on the card whose energy it is charged with.

    Args:
        device: Device of the case.
        charged: UUID of that card; None: no sensor reads it.
        facts: Facts that the engine reports: `device_uuids` are those of the cards that it could use, None if it loaded no CUDA driver.
        simulated: Whether the engine is a test double, which uses no card.
    """
    if device == "cpu" or charged is None or simulated:
        return []
    ran = facts.get("device_uuids")
    if ran is None:
        return [finding("device_not_confirmed", charged=charged, why="its process did not load the CUDA driver")]
    if len(ran) > 1:
        return [finding("device_not_confirmed", charged=charged, why=f"its process could use {len(ran)} cards")]
    return [] if ran == [charged] else [finding("wrong_device", ran=" and ".join(ran) or "no card", charged=charged)]


def _is_invalid(trace: Trace, m: Measurement) -> bool:
    """Whether the window of `steady` has an invalidating finding; in other phases, whether the sensor was stuck throughout."""
    domain = trace.domains.get(m.domain)
    if domain is None or m.gross_j is None:
        return False
    if m.phase == "steady":
        return any(f.invalid for f in _of_window(trace, domain, m))
    return not m.gauge and _stuck_throughout(trace, domain) is not None


# --- one domain's energy ----------------------------------------------------------------------------------------------


def _of_measurement(trace: Trace, m: Measurement, lags_s: Mapping[str, float], query_s: float | None) -> Iterator[Finding]:
    """Findings on one measurement of `steady`."""
    if domain := trace.domains.get(m.domain):
        # Few readings of a power that belongs to a counter only weaken the cross-check, which allows for that.
        yield from (f for f in _of_window(trace, domain, m) if f.code != "too_few_samples" or not domain.counter)
        yield from _disagreement(trace, m, query_s)
    if m.gross_j is not None and m.inferences is None:
        yield finding("load_not_bracketed", domain=m.domain)
    if m.domain in lags_s:
        yield finding("counter_lags", domain=m.domain, lag_s=lags_s[m.domain])


def _of_window(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """Findings on one domain's window; without an energy only the most severe."""
    if not m.gauge and (stuck := _stuck_throughout(trace, domain)):
        yield stuck  # a counter that ticks less than once in a repetition has one value too, and its power replaces it
    elif m.gross_j is None:
        yield _why_missing(trace, domain, m)
    else:
        if domain.quantity == "energy" and m.gross_j:
            yield from _of_edges(trace, domain, m)
        yield from _of_readings(trace, domain, m)


def _disagreement(trace: Trace, m: Measurement, query_s: float | None) -> Iterator[Finding]:
    """A counter and its power reading that differ too much; both energies stay in the record, since either may be wrong."""
    check = cross_check(trace, m, query_s)
    if check and check.warns:
        doubt = "; the power reading may miss part of a load that repeats in step with it" if check.in_step else ""
        disagree = finding("counter_power_disagree", domain=m.domain, counter_j=m.gross_j, power_j=m.integrated_j, doubt=doubt)
        yield disagree.model_copy(update={"invalid": check.rejects})


def _of_edges(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """A counter that is stuck, that is replaced by its power reading, or whose edges are uncertain."""
    assert m.gross_j
    if not m.gauge:
        if m.poll_gap_s is not None and m.edge_j is not None and Z95 * m.edge_j > EDGE_LIMIT * m.gross_j:
            yield finding("edge_uncertainty", domain=domain.name, share=Z95 * m.edge_j / m.gross_j)
        return
    if stuck := _stuck_at_the_end(trace, domain, m):
        yield stuck
        return
    bound = "whose uncertainty is unknown, since it may miss part of the load"
    if m.edge_j is not None:
        bound = f"with an uncertainty of {cards.percent(Z95 * m.edge_j / m.gross_j)} (95 %) without the sensor's gain"
    yield finding("counter_without_edge", domain=domain.name, bound=bound)
    if gauge := trace.domains.get(m.gauge):
        yield from _of_readings(trace, gauge, m)
        if stuck := _stuck_throughout(trace, gauge):
            yield stuck


def _stuck_at_the_end(trace: Trace, domain: Domain, m: Measurement) -> Finding | None:
    """A counter that ticked in the window and then stopped, or could no longer be read."""
    window = trace.samples[domain.name].between(m.start_s, m.end_s)
    if domain.name in trace.failures and not np.isfinite(window.value[-1:]).all():
        return _failed(trace, domain)
    sample = window.finite()
    steps = np.diff(sample.value)
    still_s = m.end_s - float(sample.t_s[1:][steps != 0][-1]) if np.any(steps) else 0.0
    if still_s <= max(STILL_S, STILL_TICKS * (domain.update_period_s or 0.0)):
        return None
    return finding("sensor_stuck", domain=domain.name, how=f"for the last {still_s:.1f} s of the window")


def _why_missing(trace: Trace, domain: Domain, m: Measurement) -> Finding:
    """Why a domain has no energy in the window."""
    if domain.name in trace.failures:
        return _failed(trace, domain)
    if domain.quantity != "energy":
        return finding("window_not_bracketed", domain=domain.name)
    if stuck := _stuck_at_the_end(trace, domain, m):
        return stuck
    backwards = np.diff(trace.readings(domain.name, m.start_s, m.end_s)) < -(domain.wrap_j or 0.0) * 1e-9
    return finding("counter_reset" if np.any(backwards) else "no_clean_tick", domain=domain.name)


def _failed(trace: Trace, domain: Domain) -> Finding:
    return finding("sensor_failed", domain=domain.name, why=trace.failures[domain.name].splitlines()[0])


def _of_readings(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """Gaps and implausible values. A counter needs no reading inside its window, and a mean covers its own gap."""
    sample = trace.samples[domain.name].finite().between(m.start_s, m.end_s)
    if domain.quantity == "power":
        gaps = np.diff(np.concatenate([[m.start_s], sample.t_s, [m.end_s]]))
        covers_s = 0.0 if domain.part_time else domain.average_s or 0.0  # a mean over a second that is read twice a second covers all of it
        if len(sample.value) < FEWEST_SAMPLES and gaps.max() > covers_s:
            yield finding("too_few_samples", domain=domain.name, n=len(sample.value))
        elif gaps.max() > max(GAP_S, covers_s, 5 * float(np.median(gaps))):
            yield finding("sensor_gap", domain=domain.name, gap_s=float(gaps.max()))
    watts = sample.value if domain.quantity != "energy" else np.array([(m.gross_j or 0.0) / (m.end_s - m.start_s)])
    limit_w = domain.limit_w * LIMIT_MARGIN if domain.limit_w else ABSURD_W
    implausible = watts[(watts < 0) | (watts > limit_w)]
    if len(implausible):
        yield finding("implausible_value", domain=domain.name, watts=float(implausible[0]), limit_w=limit_w)


def _stuck_throughout(trace: Trace, domain: Domain) -> Finding | None:
    """A sensor with a single value while a condition of the same device changed."""
    value = trace.readings(domain.name)
    if domain.kind == "modelled" or len(value) < 2 * FEWEST_SAMPLES or np.ptp(value) > 0:
        return None
    changed = next((name for name, other in trace.domains.items() if other.device == domain.device and _changed(trace, other)), None)
    return finding("sensor_stuck", domain=domain.name, how=f"throughout, while {changed} changed") if changed else None


def _changed(trace: Trace, condition: Domain) -> bool:
    """Whether a load, temperature or clock changed so much that the power must have changed too."""
    value = trace.readings(condition.name)
    if not len(value):
        return False
    span = float(np.ptp(value))
    if condition.quantity == "temperature":
        return span >= 3.0
    if condition.quantity == "clock":
        return span > 0.1 * float(np.max(value))
    return condition.quantity == "load" and span > 0.3 and condition.name != "foreign_load"


# --- the rest of the machine --------------------------------------------------------------------------------------------


def _limited(domain: Domain) -> Finding | None:
    """A card whose power limit is not its default."""
    limit_w, default_w = domain.limit_w, domain.detail.get("power_limit_default_w")
    if not limit_w or not default_w or abs(limit_w / default_w - 1) <= SAME_LIMIT:
        return None
    return finding("power_limit_set", device=domain.name, limit_w=limit_w, share=cards.percent(limit_w / default_w))


def _part_time(domain: Domain) -> Finding:
    """A counter that a probe of its card found to miss part of a periodic load."""
    share, source = domain.detail.get("missed_share"), domain.detail.get("constants", "by its sensor")
    return finding(
        "counter_part_time", domain=domain.name, share="an unknown share" if share is None else cards.percent(share), source=source
    )


def _idle(measurements: Sequence[Measurement]) -> Iterator[Finding]:
    """Idle powers that differ before and after the load by more than their edges explain; a power reading with a counter is checked by that counter."""
    for name in dict.fromkeys(m.domain for m in measurements if m.kind in MEASURED and m.gain is not None and m.counter is None):
        idle = [
            (m.gross_j, m.edge_j or 0.0, m.end_s - m.start_s) for m in measurements if m.domain == name and m.phase == "idle" and m.gross_j
        ]
        if len(idle) == 2:
            before_w, after_w = (joules / seconds for joules, _, seconds in idle)
            open_w = Z95 * math.hypot(*(edge_j / seconds for _, edge_j, seconds in idle))
            if abs(after_w - before_w) > UNSTABLE_IDLE * before_w + open_w:
                yield finding("unstable_idle", domain=name, before_w=before_w, after_w=after_w)
