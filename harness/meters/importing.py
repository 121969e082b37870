"""A meter's log and a stored run -> the energy of each phase as the meter saw it, and how far its clock is ahead of the run's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.energy import joules
from harness.energy.codes import finding
from harness.energy.completions import CompletionCurve
from harness.energy.validity import ABSURD_W
from harness.errors import MeterError
from harness.meters import Log
from harness.meters.clock import QUARTER_S, offset_text, to_unix
from harness.meters.pulse import Pulse, find_pulse
from harness.schema import Domain, Finding, Floats, Measurement, Meter, MeterReading, Phase, Record, Sample, StoredRun
from harness.store import read_completions

RULES = ("trapezoid", "rectangle")
GAIN = 0.01
"""Relative standard uncertainty of a meter's gain: that of a smart plug (measurement.md, section 5); a laboratory's is better."""
GAP_PERIODS = 3.0
"""A longer time between two rows is a gap."""
GAP_SHARE = 0.01
"""Of a phase that may lie in gaps; there the power is guessed."""
DISCARDED_SHARE = 0.01
"""Of the readings inside the run: more that were left out, and the rest is no mean."""
SLOW_ERROR = 0.05
"""Of an energy: a larger error to expect from a slow meter is a warning."""
FEW = "readings of the meter lie inside"
LEAST_ROWS = 2
"""Inside a phase: with fewer its energy is that of the rows beside it."""
BELOW_ZERO = 0.02
"""Of the highest reading: a meter of consumption reads no lower below 0 W."""
LOADS = {"idle": 0.0, "warmup": 1.0, "steady": 1.0}
CLOCK_SLACK_S = 1.0
"""How far the load may be found from where the clocks put it."""
ZONE_SLACK_S = 60.0
"""How far a meter's clock may be wrong before a found offset no longer tells the zone."""


def energy_between(log: Log, start_s: float, end_s: float, rule: str = "trapezoid") -> float | None:
    """Energy between two Unix times, J; null where no reading brackets one of them.

    Args:
        log: With its zone known.
        start_s: First mark.
        end_s: Last mark.
        rule: `rectangle` for rows that carry the mean of the interval that ends there.
    """
    integral = joules.integrate if rule == "trapezoid" else joules.integrate_means
    return integral(log.sample, start_s, end_s)


def import_log(
    run: StoredRun, log: Log, *, name: str = "wall", rule: str = "trapezoid", clock_offset_s: float = 0.0, by_pulse: bool = False
) -> Meter:
    """What a meter says of each record of a run.

    Args:
        run: As recorded, without its meters.
        log: The meter's.
        name: Of the new domain, such as `wall` or `system`.
        rule: How rows become energy: see `energy_between`.
        clock_offset_s: How far the meter's clock is ahead of the run's.
        by_pulse: Find that from the load instead; a zone that is not known is then found with it.

    Raises:
        MeterError: The run has this domain, the zone is not known and cannot be found, or the log covers no phase.
    """
    _check_request(run, log, name, rule, by_pulse=by_pulse)
    run = _own_records(run)
    u_s, doubts = None, []
    if by_pulse:
        pulse = _sure_pulse(run, log, rule)
        clock_offset_s, u_s = pulse.offset_s, pulse.u_s
        said = f"the meter's clock{' with its zone' if log.local else ''} is ahead of the run's by {_pulse_text(pulse)}"
        log = replace(log, told=(*log.told, said))
    else:
        log = on_unix_time(run, log, rule)
        doubts = _clock_doubts(run, log, rule, clock_offset_s)
    sample = log.sample
    shifted = Sample(sample.start_s - clock_offset_s, sample.end_s - clock_offset_s, sample.value)
    readings, lost = _checked_discards(run, log, shifted, clock_offset_s)
    doubts = [*doubts, *_slow(run, log, shifted, name)]
    doubts += [finding("meter_discarded", domain=name, count=lost, readings=readings)] if lost else []
    meter = Meter(
        domain=_domain(log, name, rule, simulated=any(map(_is_simulated, run.records))),
        source=log.source,
        sha256=log.sha256,
        clock_offset_s=clock_offset_s,
        clock_u_s=u_s,
        notes=(*log.told, *(doubt.sentence for doubt in doubts)),
        rows=log.rows,
        discarded=dict(log.discarded),
        readings_in_run=readings,
        discarded_in_run=lost,
    )
    found = tuple(_reading(run, record, meter.domain, shifted, log.period_s, doubts) for record in run.records)
    covers = any(m.gross_j is not None for reading in found for m in reading.measurements)
    slow = readings > 0 and any(doubt.code == "meter_slow" for doubt in doubts) and FEW in _commonest_reason(found)
    if not slow and not covers:
        raise MeterError(
            f"{log.source} covers no phase of the run whole ({_commonest_reason(found)}): {_spans_text(run, shifted)}",
            "check its values, the zone and the clock offset",
        )
    return meter.model_copy(update={"readings": found})


def _check_request(run: StoredRun, log: Log, name: str, rule: str, *, by_pulse: bool) -> None:
    """Refuse a name that is taken, a rule that does not exist, and times of which nobody knows when they began."""
    if name in {d.name for d in run.header.domains} or not name.replace(":", "").replace("-", "").replace("_", "").isalnum():
        raise MeterError(f"{name!r} cannot be the meter's domain: the run has it already, or it is no plain word", "choose another --name")
    if rule not in RULES:
        raise MeterError(f"there is no rule {rule!r}", "choose trapezoid, or rectangle for rows that carry the mean since the row before")
    if log.floating and not by_pulse:
        raise MeterError(
            f"{log.source} holds times since a start, or times of day, and not when that was",
            f"find it from the run's own load:\n  {log.command} --find-pulse\nor give the moment of second 0, or the date of times of day, such as:\n"
            f"  {log.command} --start 2025-06-16T12:00:00+02:00",
        )


def _checked_discards(run: StoredRun, log: Log, shifted: Sample, clock_offset_s: float) -> tuple[int, int]:
    """(readings, rows and values left out) between the run's first and last phase.

    Raises:
        MeterError: More than 1 % were left out.
    """
    t_s = [t + r.utc_minus_monotonic_s for r in run.records for p in r.phases for t in (p.start_s, p.end_s)]
    if not t_s:
        return 0, 0
    first_s, last_s = min(t_s), max(t_s)
    good = shifted.finite().t_s
    lost_s = log.discarded_s - clock_offset_s
    lost = int(np.sum((lost_s >= first_s) & (lost_s <= last_s)))
    readings = int(np.sum((good >= first_s) & (good <= last_s))) + lost
    if lost > DISCARDED_SHARE * readings:
        reasons = ", ".join(f"{count} x {why}" for why, count in log.discarded.most_common(3))
        raise MeterError(
            f"{lost} of {readings} readings of {log.source} inside the run are no number or could not be read ({reasons}): more than {DISCARDED_SHARE:.0%}",
            "the mean of the rest is not the mean power: set a range that the meter can show, or log again",
        )
    return readings, lost


def _slow(run: StoredRun, log: Log, shifted: Sample, name: str) -> list[Finding]:
    """A warning where a reading comes seldom beside the length of the windows, with the error to expect of an energy.

    The power goes up and down somewhere between two readings at each edge: a rectangle one period wide, twice (GUM 4.3.7).
    """
    windows_s = [p.duration_s for r in run.records for p in r.phases if p.name in ("steady", "build")]
    watts = shifted.finite().value
    if log.held or not windows_s or not len(watts) or log.period_s <= 0:
        return []
    window_s, low_w, high_w = min(windows_s), float(np.quantile(watts, 0.05)), float(np.quantile(watts, 0.95))
    error = (high_w - low_w) / max(abs(high_w), abs(low_w), 1e-9) * log.period_s / window_s * float(np.sqrt(2 / 12))
    if error < SLOW_ERROR and log.period_s < window_s / LEAST_ROWS:
        return []
    return [finding("meter_slow", domain=name, period_s=log.period_s, window_s=window_s, error=error)]


def pulse_in(run: StoredRun, log: Log, rule: str = "trapezoid") -> Pulse | None:
    """The run's own load, found in the log; null where there is none to find."""
    spans = [
        (p.start_s + r.utc_minus_monotonic_s, p.end_s + r.utc_minus_monotonic_s, LOADS[p.name])
        for r in run.records
        for p in r.phases
        if p.name in LOADS
    ]
    t_s = log.sample.t_s
    if rule == "rectangle":  # a mean stands for the middle of its interval
        t_s = t_s - np.diff(t_s, prepend=2 * t_s[0] - t_s[1]) / 2
    return find_pulse(t_s, log.sample.value, spans) if spans else None


def on_unix_time(run: StoredRun, log: Log, rule: str = "trapezoid") -> Log:
    """The log as its sample is to be stored: local times whose zone the load shows are put on Unix time.

    Raises:
        MeterError: The load does not show the zone.
    """
    return in_zone(_own_records(run), log, rule) if log.local and not log.floating else log


def _own_records(run: StoredRun) -> StoredRun:
    """Without builds that are quoted from another run, whose phases lie at another time."""
    return replace(run, records=tuple(r for r in run.records if r.phases and not r.cached))


def in_zone(run: StoredRun, log: Log, rule: str = "trapezoid") -> Log:
    """A log of local times on Unix time, its zone found in whole quarter hours from the load that it saw.

    Raises:
        MeterError: The load does not tell.
    """
    sentence = f"{log.source} holds local times and no zone"
    pulse = pulse_in(run, log, rule)
    if pulse is None or not pulse.sure:
        raise MeterError(f"{sentence}, and the run's load does not stand out in it", "give --timezone, --utc-offset or --find-pulse")
    zone_s = round(pulse.offset_s / QUARTER_S) * QUARTER_S
    if abs(pulse.offset_s - zone_s) > ZONE_SLACK_S or abs(zone_s) > 14 * 3600:
        raise MeterError(
            f"{sentence}; the run's load lies {pulse.offset_s:.1f} s off in it, which is no time zone",
            "give --find-pulse, or --timezone with --clock-offset",
        )
    t_s = to_unix(log.sample.t_s, utc_offset_s=zone_s)
    marks = {mark: t - zone_s for mark, t in log.marks.items()}
    told = f"local time is {offset_text(zone_s)}: there the run's load is found (correlation {pulse.correlation:.2f})"
    sample = Sample(t_s, t_s, log.sample.value)
    return replace(log, sample=sample, local=False, marks=marks, told=(*log.told, told), discarded_s=log.discarded_s - zone_s)


def _sure_pulse(run: StoredRun, log: Log, rule: str) -> Pulse:
    pulse = pulse_in(run, log, rule)
    if pulse is None:
        raise MeterError(
            "the run has no idle and loaded phases, or the log too few rows, to find its load in it",
            "give --clock-offset, or --start where the log counts from a start",
        )
    if not pulse.sure:
        raise MeterError(f"the run's load does not stand out in the log: the best guess is {_pulse_text(pulse)}", "give --clock-offset")
    return pulse


def _clock_doubts(run: StoredRun, log: Log, rule: str, clock_offset_s: float) -> list[Finding]:
    """A remark where the run's load stands out in the log, but at another time than the clocks say."""
    pulse = pulse_in(run, log, rule)
    if pulse is None or not pulse.sure or abs(pulse.offset_s - clock_offset_s) <= max(CLOCK_SLACK_S, 5 * pulse.u_s):
        return []
    return [finding("meter_clock", offset_s=clock_offset_s, found=_pulse_text(pulse))]


def _pulse_text(pulse: Pulse) -> str:
    second = "no other shift fits" if pulse.runner_up is None else f"the next best elsewhere {pulse.runner_up:.2f}"
    return f"{pulse.offset_s:.3f} s +- {pulse.u_s:.3f} s (correlation {pulse.correlation:.2f}, {second})"


def _domain(log: Log, name: str, rule: str, *, simulated: bool) -> Domain:
    """Of the meter; what is measured beside a simulated sensor is simulated too."""
    return Domain(
        name=name,
        sensor="meter",
        quantity="power" if rule == "trapezoid" else "mean_power",
        unit="W",
        kind="simulated" if simulated else "sampled",
        device="wall",
        update_period_s=log.period_s,
        gain=GAIN,
        detail={"source": log.source, "channel": log.channel, "rule": rule},
    )


def _is_simulated(record: Record) -> bool:
    return any(m.kind == "simulated" for m in record.measurements)


def _commonest_reason(readings: Sequence[MeterReading]) -> str:
    """Of those why a phase has no energy."""
    reasons = Counter(str(f.values["why"]) for reading in readings for f in reading.findings if f.code == "meter_gap")
    return reasons.most_common(1)[0][0] if reasons else "the run has no phases"


def _spans_text(run: StoredRun, sample: Sample) -> str:
    """Where the log and the run lie, for the error."""
    t_s = [p.start_s + r.utc_minus_monotonic_s for r in run.records for p in r.phases]
    if not t_s:
        return "it has none"
    return f"the log reaches {_utc(sample.t_s[0])} to {_utc(sample.t_s[-1])}, the run {_utc(min(t_s))} to {_utc(max(t_s))}"


def _utc(unix_s: float) -> str:
    return f"{np.datetime64(round(unix_s), 's')} UTC"


# --- one record ---


def _reading(run: StoredRun, record: Record, domain: Domain, sample: Sample, period_s: float, doubts: Sequence[Finding]) -> MeterReading:
    """Its phases as the meter saw them."""
    ahead_s = record.utc_minus_monotonic_s
    t_s = sample.t_s
    near = slice(
        max(int(np.searchsorted(t_s, record.phases[0].start_s + ahead_s)) - 2, 0),
        int(np.searchsorted(t_s, record.phases[-1].end_s + ahead_s)) + 2,
    )
    own = Sample(sample.start_s[near] - ahead_s, sample.end_s[near] - ahead_s, sample.value[near])
    balance = bool(np.any(own.finite().value < -BELOW_ZERO * np.max(np.abs(own.finite().value), initial=0.0)))
    stuck = len(own.finite().value) >= 10 and np.ptp(own.finite().value) == 0
    progress = _progress(run, record)
    found = [_phase(domain, own, phase, progress, period_s, stuck=bool(stuck), balance=balance) for phase in record.phases]
    idle_w = joules.mean_power(m for m, _ in found if m.phase == "idle")
    return MeterReading(
        task=record.task,
        case_id=record.case_id,
        build_id=record.build_id,
        repetition=record.repetition,
        attempt=record.attempt,
        measurements=tuple(_with_idle(m, idle_w) if m.phase == "steady" else m for m, _ in found),
        findings=(
            *doubts,
            *(finding("meter_gap", domain=domain.name, phase=m.phase, why=why) for m, why in found if why is not None),
        ),
    )


def _progress(run: StoredRun, record: Record) -> CompletionCurve:
    completions = read_completions(run, record)
    case = next((c for c in run.header.suite.cases if c.case_id == record.case_id), None)
    return CompletionCurve.of(
        completions[0], completions[1], completions[2], case.batch_size if case else 1, shifted=record.shift_s is not None
    )


def _phase(
    domain: Domain, sample: Sample, phase: Phase, progress: CompletionCurve, period_s: float, *, stuck: bool, balance: bool
) -> tuple[Measurement, str | None]:
    """(its measurement, why it has no energy or null)."""
    why = "the meter showed one value all the while" if stuck else _why_not(sample, phase, period_s)
    why = why or (
        "the meter reads below 0 W beside it: is its clamp turned round, or does it show what is fed in too?" if balance else None
    )
    integral = joules.integrate if domain.quantity == "power" else joules.integrate_means
    gross_j = None if why else integral(sample, phase.start_s, phase.end_s)
    measurement = Measurement(
        domain=domain.name,
        sensor=domain.sensor,
        kind="absent" if gross_j is None else domain.kind or "sampled",
        phase=phase.name,
        start_s=phase.start_s,
        end_s=phase.end_s,
        inferences=progress.between(phase.start_s, phase.end_s) if phase.name == "steady" else None,
        gross_j=gross_j,
        edge_j=None if gross_j is None else _edge_j(sample, phase),
        device=domain.device,
        gain=domain.gain,
    )
    return measurement, why


def _why_not(sample: Sample, phase: Phase, period_s: float) -> str | None:
    """Why a phase cannot be given an energy; null where it can."""
    sample = sample.finite()
    t_s = sample.t_s
    if not len(t_s) or t_s[0] > phase.start_s or t_s[-1] < phase.end_s:
        return "no reading of the meter lies before its start, or none after its end"
    inside = (t_s > phase.start_s) & (t_s < phase.end_s)
    if np.sum(inside) < LEAST_ROWS:
        return f"{np.sum(inside)} {FEW} its {phase.duration_s:.3g} s, one comes every {period_s:.3g} s"
    missing_s = sum(_gaps(t_s, phase, period_s))
    if missing_s > GAP_SHARE * phase.duration_s:
        return f"the meter told nothing for {missing_s:.3g} s of its {phase.duration_s:.3g} s"
    if np.any(sample.value[inside] < 0):
        return "the meter reads below 0 W: is its clamp turned round?"
    first, last = np.searchsorted(t_s, [phase.start_s, phase.end_s])
    highest_w = float(np.max(sample.value[max(first - 1, 0) : last + 1]))  # the readings that bracket it count at its edges
    if highest_w > ABSURD_W:
        return f"the meter showed {highest_w:.4g} W, which cannot be"
    return None


def _gaps(t_s: Floats, phase: Phase, period_s: float) -> Iterator[float]:
    """How much of the phase lies in each gap, s."""
    for at in np.flatnonzero(np.diff(t_s) > GAP_PERIODS * period_s):
        yield max(min(t_s[at + 1], phase.end_s) - max(t_s[at], phase.start_s), 0.0)


def _edge_j(sample: Sample, phase: Phase) -> float:
    """Standard uncertainty from the edges: somewhere between two readings the power went from one to the other (rectangle, GUM 4.3.7)."""
    sample = sample.finite()
    after = np.clip(np.searchsorted(sample.t_s, [phase.start_s, phase.end_s], side="right"), 1, len(sample.value) - 1)
    jumps_j = (sample.value[after] - sample.value[after - 1]) * (sample.t_s[after] - sample.t_s[after - 1])
    return float(np.sqrt(np.sum(jumps_j**2) / 12))


def _with_idle(measurement: Measurement, idle_w: float | None) -> Measurement:
    gross_j = measurement.gross_j
    net_j = None if gross_j is None or idle_w is None else gross_j - idle_w * (measurement.end_s - measurement.start_s)
    return measurement.model_copy(update={"idle_w": idle_w, "net_j": net_j})


def covered(readings: Sequence[MeterReading]) -> tuple[int, int]:
    """(records with an energy in every window that counts, records): for people."""
    kept = [r for r in readings if r.task == "case"] or list(readings)
    whole = [r for r in kept if all(m.gross_j is not None for m in r.measurements if m.phase in ("steady", "build"))]
    return len(whole), len(kept)
