"""Trace + measurements -> what may be wrong with them: a closed set of codes, each with its sentence, its remedy, and whether the energy may still be used."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.analysis.kernels import precision_of, share_of
from harness.energy import cards
from harness.energy.codes import finding
from harness.energy.cross_check import cross_check
from harness.energy.scope import holds_device
from harness.energy.ticks import Z95
from harness.schema import Domain, Finding, Kernel, Measurement, Quality, Trace

EDGE_LIMIT = 0.01
"""Of a window's energy: a window grows until its edges leave 0.5 % uncertain; where they leave twice that, it is reported."""
STILL_S, STILL_TICKS = 1.0, 10
"""A counter that ticked and then does not for so long is stuck: no device draws nothing."""
UNSTABLE_IDLE = 0.02
FOREIGN_CORES = 0.1
GAP_S = 0.5
FEWEST_SAMPLES = 5
LIMIT_MARGIN = 1.1
ABSURD_W = 1e5
"""More than any device draws whose limit the driver does not tell."""
STEPPED_S = 0.5
IN_THE_FILE = {"int16x8": "int8"}
"""What an artifact stores of a precision that is told by activations and weights; of every other one the same."""
RIVALS, MORE = 3, 0.02
"""A threshold is in doubt where another gets so many more samples right, and so much more of all."""
NO_NUMBER = {"kind": "absent", "gross_j": None, "net_j": None, "integrated_j": None, "idle_w": None, "edge_j": None}
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
    """Everything that may be wrong with one repetition.

    Args:
        trace: What the sensors said.
        measurements: Of all its phases.
        conditions: Means over `steady`.
        scope: The domains that are the case's energy: what is wrong with another one makes nothing invalid.
        device: Of the case.
        lags_s: Counters whose lag is not known well enough to correct, with the estimate.
        clock_step_s: How far the system's clock was set during the repetition.
        query_s: Mean time of a query, s; null: not known.
        allow: Codes that the suite accepts: they are reported, and make nothing invalid.
    """
    found = []
    steady = [m for m in measurements if m.phase == "steady" and (m.domain in scope or m.device in ("cpu", device))]
    if device != "cpu" and not any(holds_device(m.domain, m.device, device) for m in steady if m.domain in scope):
        found.append(finding("no_device_sensor", why=cards.why_not_read(trace, device)))
    for m in steady:
        domain = trace.domains.get(m.domain)
        each = [*_of_domain(trace, domain, m), *_disagreement(trace, m, query_s)] if domain else []
        each += [finding("load_not_bracketed", domain=m.domain)] if m.gross_j is not None and m.inferences is None else []
        each += [finding("counter_lags", domain=m.domain, lag_s=lags_s[m.domain])] if m.domain in lags_s else []
        # Few readings of a power beside a counter are a weaker witness, which it allows for itself.
        each = [f for f in each if f.code != "too_few_samples" or not (domain and domain.counter)]
        found += [f.model_copy(update={"invalid": f.invalid and m.domain in scope}) for f in each]
    found += _idle([m for m in measurements if m.domain in scope or m.device in ("cpu", device)])
    foreign = conditions.get("foreign_load")
    if foreign is not None and foreign > FOREIGN_CORES:
        found.append(finding("foreign_load", cores=foreign))
    own = [trace.domains[m.domain] for m in steady if m.domain in scope and m.domain in trace.domains]
    found += [finding("mig_shared", device=name) for name in dict.fromkeys(domain.name for domain in own if domain.detail.get("mig"))]
    if span := cards.span_of(measurements):
        remarks = cards.remarks(trace, span, {domain.device for domain in own}, device)
        found += [finding(code, **values) for code, values in remarks]
    if abs(clock_step_s) > STEPPED_S:
        found.append(finding("clock_stepped", seconds=clock_step_s))
    return [f.model_copy(update={"invalid": False}) if f.code in allow else f for f in found]


def void(trace: Trace, measurements: Sequence[Measurement]) -> list[Measurement]:
    """The same, without the energy of what is known not to be it: a sensor that stuck or lied, a window with gaps. The trace keeps what was read.

    Args:
        trace: What the sensors said.
        measurements: As computed from it.
    """
    return [m.model_copy(update=NO_NUMBER) if _is_void(trace, m) else m for m in measurements]


def _is_void(trace: Trace, m: Measurement) -> bool:
    """Whether the window is examined and found invalid, or the sensor stuck throughout, so that no phase of it is a reading."""
    domain = trace.domains.get(m.domain)
    if domain is None or m.gross_j is None:
        return False
    return (
        any(f.invalid for f in _of_domain(trace, domain, m))
        if m.phase == "steady"
        else not m.gauge and _stuck_while(trace, domain) is not None
    )


def examine_device(device: str, charged: str | None, facts: Mapping[str, Any], *, simulated: bool = False) -> list[Finding]:
    """Whether a case ran on the card whose energy it is charged with.

    Args:
        device: Of the case.
        charged: UUID of that card; None: no sensor reads it.
        facts: What the child reported of its engine: `device_uuids` are those of the cards that it could use, None where it loaded no CUDA driver.
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


def examine_precision(
    asked: str | None, said: str | None, kernels: Sequence[Kernel], stored: Collection[str] | None = None, *, profiled: bool = True
) -> list[Finding]:
    """Whether a variant ran in what it promises. Shown is what the kernels say and the artifact does not contradict; the engine's own word is no proof.

    Args:
        asked: What the variant promises; null: nothing.
        said: The engine's word on what it computes in; null: it has none.
        kernels: That ran; empty: not known.
        stored: Types of the numbers that the artifact stores; null: not known.
        profiled: Whether the engine was asked for its kernels in this repetition: one that was not proves nothing, and need not. Its word alone
            would deny what the kernels of another repetition show, where a model is int8 in what it multiplies and float32 in the rest.
    """
    if asked is None or not profiled:
        return []
    told = precision_of(kernels)
    ran = told or said
    if ran and asked not in ran.replace("uint8", "int8").split():
        return [finding("optimisation_not_run", asked=asked, ran=ran, share=_share_told(kernels, asked))]
    if told is None:
        return [
            finding(
                "optimisation_not_confirmed",
                asked=asked,
                why=f"the engine tells no kernels, only {said!r}" if said else "the engine tells neither kernels nor precision",
            )
        ]
    if stored is not None and IN_THE_FILE.get(asked, asked) not in stored:
        why = f"its kernels are said to compute in {asked}, but the artifact stores {' and '.join(sorted(stored)) or 'no numbers'} alone"
        return [finding("optimisation_not_confirmed", asked=asked, why=why)]
    return []


def examine_quality(quality: Quality | None) -> list[Finding]:
    """What a quality's own figures leave in doubt: exact ties, and a threshold beside which another does clearly better.

    Args:
        quality: Of one repetition; None: it has none.
    """
    if quality is None:
        return []
    found = []
    if quality.ties:
        share = quality.ties / quality.samples
        found.append(finding("ties_in_top_class", ties=quality.ties, samples=quality.samples, metric=quality.metric, share=share))
    if quality.rival is not None and (quality.rival - quality.value) * quality.samples >= RIVALS and quality.rival - quality.value > MORE:
        found.append(finding("threshold_doubtful", metric=quality.metric, value=quality.value, rival=quality.rival))
    return found


def _share_told(kernels: Sequence[Kernel], asked: str) -> str:
    share = share_of(kernels, asked)
    basis = "time" if kernels and kernels[0].basis == "time" else "multiply-accumulates"
    return "" if share is None else f" ({share:.0%} of the {basis} was in {asked} kernels)".replace("%", " %")


# --- one domain's energy ----------------------------------------------------------------------------------------------


def _of_domain(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """What is wrong with one domain's window; the gravest alone where there is no number."""
    moved = _stuck_while(trace, domain)
    if moved and not m.gauge:  # a counter that ticks more seldom than a repetition is long shows one value too, and its power stands in
        yield finding("sensor_stuck", domain=domain.name, how=f"throughout while {moved} moved")
    elif m.gross_j is None:
        yield _why_missing(trace, domain, m)
    else:
        yield from _of_edges(trace, domain, m)
        yield from _of_readings(trace, domain, m)


def _disagreement(trace: Trace, m: Measurement, query_s: float | None) -> Iterator[Finding]:
    """A counter and its power reading that are too far apart. Which of them is wrong is not known, so the energy is kept in the record, and not used."""
    seen = cross_check(trace, m, query_s)
    if seen and seen.warns:
        doubt = "; the reading may miss a part of queries that repeat in step with it" if seen.in_step else ""
        found = finding("counter_power_disagree", domain=m.domain, counter_j=m.gross_j, power_j=m.integrated_j, doubt=doubt)
        yield found.model_copy(update={"invalid": seen.rejects})


def _of_edges(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """A counter that stuck, whose energy another reading stands in for, or whose edges are not known well."""
    if domain.quantity != "energy" or not m.gross_j:
        return
    if m.gauge and (stuck := _stuck_at_the_end(trace, domain, m)):
        yield stuck
    elif m.gauge:
        bound = (
            "for which no bound is known: it may see a part of the load"
            if m.edge_j is None
            else f"within {cards.percent(Z95 * m.edge_j / m.gross_j)} beside its gain"
        )
        yield finding("counter_without_edge", domain=domain.name, bound=bound)
        if gauge := trace.domains.get(m.gauge):
            yield from _of_readings(trace, gauge, m)
        if gauge and (moved := _stuck_while(trace, gauge)):
            yield finding("sensor_stuck", domain=gauge.name, how=f"throughout while {moved} moved")
    elif m.poll_gap_s is not None and m.edge_j is not None and Z95 * m.edge_j > EDGE_LIMIT * m.gross_j:
        yield finding("edge_uncertainty", domain=domain.name, share=Z95 * m.edge_j / m.gross_j)


def _stuck_at_the_end(trace: Trace, domain: Domain, m: Measurement) -> Finding | None:
    """A counter that ticked in the window and then did not for so long that it stopped, or could no longer be read."""
    whole = trace.samples[domain.name]
    newest = whole.value[(whole.t_s >= m.start_s) & (whole.t_s <= m.end_s)][-1:]
    if domain.name in trace.failures and not np.isfinite(newest).all():
        return finding("sensor_failed", domain=domain.name, why=trace.failures[domain.name].splitlines()[0])
    sample = whole.finite()
    inside = (sample.t_s >= m.start_s) & (sample.t_s <= m.end_s)
    steps = np.diff(sample.value[inside])
    still_s = m.end_s - float(sample.t_s[inside][1:][steps != 0][-1]) if np.any(steps) else 0.0
    if still_s <= max(STILL_S, STILL_TICKS * (domain.update_period_s or 0.0)):
        return None
    return finding("sensor_stuck", domain=domain.name, how=f"for the last {still_s:.1f} s of the window")


def _why_missing(trace: Trace, domain: Domain, m: Measurement) -> Finding:
    sample = trace.samples[domain.name].finite()
    if domain.name in trace.failures:
        return finding("sensor_failed", domain=domain.name, why=trace.failures[domain.name].splitlines()[0])
    if domain.quantity != "energy":
        return finding("window_not_bracketed", domain=domain.name)
    inside = (sample.t_s >= m.start_s) & (sample.t_s <= m.end_s)
    if stuck := _stuck_at_the_end(trace, domain, m):
        return stuck
    steps = np.diff(sample.value[inside])
    backwards = bool(np.any(steps < -(domain.wrap_j or 0.0) * 1e-9))
    return finding("counter_reset" if backwards else "no_clean_tick", domain=domain.name)


def _of_readings(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """Gaps and values. A counter needs no reading inside its window, and a mean covers its own gap."""
    sample = trace.samples[domain.name].finite()
    inside = (sample.t_s >= m.start_s) & (sample.t_s <= m.end_s)
    t_s, value = sample.t_s[inside], sample.value[inside]
    if domain.quantity == "power":
        gaps = np.diff(np.concatenate([[m.start_s], t_s, [m.end_s]]))
        covers_s = 0.0 if domain.part_time else domain.average_s or 0.0  # a mean of a second that is read twice a second misses nothing
        if len(t_s) < FEWEST_SAMPLES and gaps.max() > covers_s:
            yield finding("too_few_samples", domain=domain.name, n=len(t_s))
        elif gaps.max() > max(GAP_S, covers_s, 5 * float(np.median(gaps))):
            yield finding("sensor_gap", domain=domain.name, gap_s=float(gaps.max()))
    watts = value if domain.quantity != "energy" else np.array([(m.gross_j or 0.0) / (m.end_s - m.start_s)])
    limit_w = domain.limit_w * LIMIT_MARGIN if domain.limit_w else ABSURD_W
    wrong = watts[(watts < 0) | (watts > limit_w)]
    if len(wrong):
        yield finding("implausible_value", domain=domain.name, watts=float(wrong[0]), limit_w=limit_w)


def _stuck_while(trace: Trace, domain: Domain) -> str | None:
    """What moved on the same device while the domain showed one value throughout; null where it did not, or nothing moved."""
    value = trace.samples[domain.name].finite().value
    if domain.kind == "modelled" or len(value) < 2 * FEWEST_SAMPLES or np.ptp(value) > 0:
        return None
    for name, other in trace.domains.items():
        seen = trace.samples[name].finite().value
        if other.device != domain.device or not len(seen):
            continue
        span = float(np.ptp(seen))
        if (other.quantity, True) in (
            ("load", span > 0.3 and name != "foreign_load"),
            ("temperature", span >= 3.0),
            ("clock", span > 0.1 * float(np.max(seen))),
        ):
            return name
    return None


# --- the rest of the machine --------------------------------------------------------------------------------------------


def _idle(measurements: Sequence[Measurement]) -> Iterator[Finding]:
    """A measured idle power that differs before and after by more than the edges of its short windows leave open; a rail with a counter is judged by that alone."""
    for name in dict.fromkeys(m.domain for m in measurements if m.kind in MEASURED and m.gain is not None and m.counter is None):
        found = [
            (m.gross_j, m.edge_j or 0.0, m.end_s - m.start_s) for m in measurements if m.domain == name and m.phase == "idle" and m.gross_j
        ]
        if len(found) == 2:
            before_w, after_w = (joules / seconds for joules, _, seconds in found)
            open_w = Z95 * math.hypot(*(edge_j / seconds for _, edge_j, seconds in found))
            if abs(after_w - before_w) > UNSTABLE_IDLE * before_w + open_w:
                yield finding("unstable_idle", domain=name, before_w=before_w, after_w=after_w)
