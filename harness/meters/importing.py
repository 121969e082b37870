"""Energy of each phase of a stored run from a meter's log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.energy import joules
from harness.energy.codes import finding
from harness.energy.figures import Raw, Setting, figures, progress_of
from harness.energy.validity import ABSURD_W
from harness.errors import MeterError
from harness.meters.clock import clock_findings, on_unix_time, own_records, pulse_text, sure_pulse
from harness.meters.log import Log
from harness.schema import Domain, Finding, Floats, Measurement, Meter, MeterReading, Phase, Record, Sample, StoredRun, Trace, WindowTimes
from harness.store import read_completions

RULES = {"trapezoid": "power", "rectangle": "mean_power"}
"""How rows become energy, and the quantity that they then hold: the power at the time, or its mean since the row before."""
GAIN = 0.01
"""Relative standard uncertainty of the gain of a smart plug (measurement.md, section 5); that of a laboratory meter is smaller."""
GAP_PERIODS = 3.0
"""Periods without a row that are a gap."""
GAP_SHARE = 0.01
"""Share of a phase that may be in gaps, where the power is interpolated."""
DISCARDED_SHARE = 0.01
"""Share of the readings inside the run that may be left out; with more, the mean of the rest is not the mean power."""
SLOW_ERROR = 0.05
"""Expected relative error of an energy from which a slow meter is a warning."""
MIN_ROWS = 2
"""Rows inside a phase; with fewer its energy would be that of the rows around it."""
FEW = "readings of the meter are inside"
BELOW_ZERO = 0.02
"""Share of the highest reading: readings of a consumption meter are not further below 0 W."""


def import_log(
    run: StoredRun, log: Log, *, name: str = "wall", rule: str = "trapezoid", clock_offset_s: float = 0.0, by_pulse: bool = False
) -> Meter:
    """Readings of a meter for each record of a run.

    Args:
        run: The run as recorded, without its meters.
        log: The log of the meter.
        name: Name of the new domain, such as `wall` or `system`.
        rule: `trapezoid`, or `rectangle` for rows that hold the mean since the row before.
        clock_offset_s: Time by which the meter's clock is ahead of the run's, in seconds.
        by_pulse: Whether to find that offset, with an unknown zone, from the load of the run.

    Raises:
        MeterError: The run has this domain, the zone is not known and cannot be found, or the log covers no phase.
    """
    _check_request(run, log, name, rule, by_pulse=by_pulse)
    run = own_records(run)
    u_s, findings = None, []
    if by_pulse:
        pulse = sure_pulse(run, log, rule)
        clock_offset_s, u_s = pulse.offset_s, pulse.u_s
        note = f"the meter's clock{' with its zone' if log.local else ''} is ahead of the run's by {pulse_text(pulse)}"
        log = replace(log, notes=(*log.notes, note))
    else:
        log = on_unix_time(run, log, rule)
        findings = clock_findings(run, log, rule, clock_offset_s)
    sample = _shifted(log.sample, clock_offset_s)
    count, lost = _checked_discards(run, log, sample, clock_offset_s)
    findings += _slow_findings(run, log, sample, name)
    findings += [finding("meter_discarded", domain=name, count=lost, readings=count)] if lost else []
    domain = _domain(log, name, rule, simulated=any(m.kind == "simulated" for record in run.records for m in record.measurements))
    readings = tuple(_reading(run, record, domain, sample, log.period_s, findings) for record in run.records)
    _check_coverage(run, log, sample, readings, slow=count > 0 and any(f.code == "meter_slow" for f in findings))
    return Meter(
        domain=domain,
        source=log.source,
        sha256=log.sha256,
        clock_offset_s=clock_offset_s,
        clock_u_s=u_s,
        notes=(*log.notes, *(f.sentence for f in findings)),
        rows=log.rows,
        discarded=dict(log.discarded),
        readings_in_run=count,
        discarded_in_run=lost,
        readings=readings,
    )


def covered(readings: Sequence[MeterReading]) -> tuple[int, int]:
    """(records with an energy in every measured window, records); of cases if there are any."""
    kept = [r for r in readings if r.task == "case"] or list(readings)
    complete = [r for r in kept if all(m.gross_j is not None for m in r.measurements if m.phase in ("steady", "build"))]
    return len(complete), len(kept)


def _shifted(sample: Sample, seconds: float | Floats) -> Sample:
    return Sample(sample.start_s - seconds, sample.end_s - seconds, sample.value)


def _domain(log: Log, name: str, rule: str, *, simulated: bool) -> Domain:
    """Domain of the meter; in a run with a simulated sensor it is simulated too."""
    return Domain(
        name=name,
        sensor="meter",
        quantity=RULES[rule],
        unit="W",
        kind="simulated" if simulated else "sampled",
        device="wall",
        update_period_s=log.period_s,
        gain=GAIN,
        detail={"source": log.source, "channel": log.channel, "rule": rule},
    )


def _check_request(run: StoredRun, log: Log, name: str, rule: str, *, by_pulse: bool) -> None:
    """Refuse a name that is taken, an unknown rule, and times since an unknown start."""
    if name in {d.name for d in run.header.domains} or not name.replace(":", "").replace("-", "").replace("_", "").isalnum():
        raise MeterError(
            f"{name!r} cannot be the meter's domain: the run already has it, or it is not a plain word", "choose another --name"
        )
    if rule not in RULES:
        raise MeterError(f"there is no rule {rule!r}", "choose trapezoid, or rectangle for rows that hold the mean since the row before")
    if log.floating and not by_pulse:
        raise MeterError(
            f"{log.source} contains times since a start, or times of day, and not when that was",
            f"find it from the run's own load:\n  {log.command} --find-pulse\nor give the time of second 0, or the date of times of day, such as:\n"
            f"  {log.command} --start 2025-06-16T12:00:00+02:00",
        )


def _phase_times(run: StoredRun) -> list[float]:
    """Unix times at which the phases of a run begin and end."""
    return [t + r.utc_minus_monotonic_s for r in run.records for p in r.phases for t in (p.start_s, p.end_s)]


def _checked_discards(run: StoredRun, log: Log, sample: Sample, clock_offset_s: float) -> tuple[int, int]:
    """(readings, rows and values left out) between the run's first and last phase; refuses more than 1 % left out."""
    t_s = _phase_times(run)
    if not t_s:
        return 0, 0

    def inside(times: Floats) -> int:
        return int(np.sum((times >= min(t_s)) & (times <= max(t_s))))

    lost = inside(log.discarded_s - clock_offset_s)
    count = inside(sample.finite().t_s) + lost
    if lost > DISCARDED_SHARE * count:
        reasons = ", ".join(f"{n} x {why}" for why, n in log.discarded.most_common(3))
        raise MeterError(
            f"{lost} of {count} readings of {log.source} inside the run are not numbers or could not be read ({reasons}): more than {DISCARDED_SHARE:.0%}",
            "the mean of the rest is not the mean power: set a range that the meter can show, or log again",
        )
    return count, lost


def _check_coverage(run: StoredRun, log: Log, sample: Sample, readings: Sequence[MeterReading], *, slow: bool) -> None:
    """Refuse a log that covers no phase, unless it is only too slow, which is a warning."""
    reasons = Counter(str(f.values["why"]) for reading in readings for f in reading.findings if f.code == "meter_gap")
    why = reasons.most_common(1)[0][0] if reasons else "the run has no phases"
    if any(m.gross_j is not None for reading in readings for m in reading.measurements) or (slow and FEW in why):
        return
    run_s = _phase_times(run)
    spans = "it has none"
    if run_s:
        first, last, begin, end = (f"{np.datetime64(round(t), 's')} UTC" for t in (*sample.t_s[[0, -1]], min(run_s), max(run_s)))
        spans = f"the log reaches {first} to {last}, the run {begin} to {end}"
    raise MeterError(
        f"{log.source} does not cover any phase of the run completely ({why}): {spans}",
        "check the values, the time zone and the clock offset of the log",
    )


def _slow_findings(run: StoredRun, log: Log, sample: Sample, name: str) -> list[Finding]:
    """A warning if readings are rare for the length of the windows, with the expected error of an energy.

    The power changes somewhere between two readings at each edge: a rectangle one period wide, twice (GUM 4.3.7).
    """
    windows_s = [p.duration_s for r in run.records for p in r.phases if p.name in ("steady", "build")]
    watts = sample.finite().value
    if log.held or not windows_s or not len(watts) or log.period_s <= 0:
        return []
    window_s, low_w, high_w = min(windows_s), float(np.quantile(watts, 0.05)), float(np.quantile(watts, 0.95))
    error = (high_w - low_w) / max(abs(high_w), abs(low_w), 1e-9) * log.period_s / window_s * float(np.sqrt(2 / 12))
    if error < SLOW_ERROR and log.period_s < window_s / MIN_ROWS:
        return []
    return [finding("meter_slow", domain=name, period_s=log.period_s, window_s=window_s, error=error)]


def _reading(run: StoredRun, record: Record, domain: Domain, sample: Sample, period_s: float, findings: Sequence[Finding]) -> MeterReading:
    """The phases of a record as the meter read them."""
    own = _around(sample, record)
    reasons = _reasons(own, record.phases, period_s)
    gaps = [
        finding("meter_gap", domain=domain.name, phase=phase.name, why=why)
        for phase, why in zip(record.phases, reasons, strict=True)
        if why is not None
    ]
    return MeterReading(
        task=record.task,
        case_id=record.case_id,
        build_id=record.build_id,
        repetition=record.repetition,
        attempt=record.attempt,
        measurements=tuple(_measurements(run, record, domain, own, reasons)),
        findings=(*findings, *gaps),
    )


def _around(sample: Sample, record: Record) -> Sample:
    """The readings around a record, on its clock."""
    ahead_s = record.utc_minus_monotonic_s
    first, last = np.searchsorted(sample.t_s, [record.phases[0].start_s + ahead_s, record.phases[-1].end_s + ahead_s])
    near = slice(max(int(first) - 2, 0), int(last) + 2)
    return _shifted(Sample(sample.start_s[near], sample.end_s[near], sample.value[near]), ahead_s)


def _measurements(run: StoredRun, record: Record, domain: Domain, sample: Sample, reasons: Sequence[str | None]) -> Iterator[Measurement]:
    """A measurement for each phase: its figures with the meter's own edge uncertainty, or no energy if there is a reason."""
    case = next((c for c in run.header.suite.cases if c.case_id == record.case_id), None)
    phases = list(zip(record.phases, reasons, strict=True))
    windows = [WindowTimes.loose(phase.name, phase.start_s, phase.end_s) for phase, why in phases if why is None]
    raw = Raw(Trace({domain.name: domain}, {domain.name: sample}), windows, read_completions(run, record))
    setting = Setting(case=case, shift_s=record.shift_s)
    measured = figures(raw, setting, ended=False).measurements
    idle_w = joules.mean_power(m for m in measured if m.phase == "idle")
    progress, energies = progress_of(raw.completions, setting), iter(measured)
    for phase, why in phases:
        if why is None:
            yield next(energies).model_copy(update={"edge_j": _edge_j(sample, phase)})
        else:
            steady = phase.name == "steady"
            yield Measurement(
                domain=domain.name,
                sensor=domain.sensor,
                kind="absent",
                phase=phase.name,
                start_s=phase.start_s,
                end_s=phase.end_s,
                inferences=progress.between(phase.start_s, phase.end_s) if steady else None,
                gross_j=None,
                idle_w=idle_w if steady else None,
                device=domain.device,
                gain=domain.gain,
            )


def _edge_j(sample: Sample, phase: Phase) -> float:
    """Standard uncertainty from the edges, J: the power changed somewhere between two readings (rectangle, GUM 4.3.7)."""
    sample = sample.finite()
    after = np.clip(np.searchsorted(sample.t_s, [phase.start_s, phase.end_s], side="right"), 1, len(sample.value) - 1)
    jumps_j = (sample.value[after] - sample.value[after - 1]) * (sample.t_s[after] - sample.t_s[after - 1])
    return float(np.sqrt(np.sum(jumps_j**2) / 12))


def _reasons(sample: Sample, phases: Sequence[Phase], period_s: float) -> list[str | None]:
    """Why each phase has no energy; None for one that the meter covers."""
    sample = sample.finite()
    if len(sample.value) >= 10 and np.ptp(sample.value) == 0:
        return ["the meter reported a constant value around the measurement"] * len(phases)
    reasons = [_why_absent(sample, phase, period_s) for phase in phases]
    if np.any(sample.value < -BELOW_ZERO * np.max(np.abs(sample.value), initial=0.0)):
        balance = "the meter reads below 0 W next to it: is its clamp reversed, or does it show the power fed in too?"
        reasons = [why or balance for why in reasons]
    return reasons


def _why_absent(sample: Sample, phase: Phase, period_s: float) -> str | None:
    """Why the readings around a phase give it no energy; None if they do."""
    t_s = sample.t_s
    if not len(t_s) or t_s[0] > phase.start_s or t_s[-1] < phase.end_s:
        return "no reading of the meter is before its start, or none after its end"
    inside = (t_s > phase.start_s) & (t_s < phase.end_s)
    if np.sum(inside) < MIN_ROWS:
        return f"{np.sum(inside)} {FEW} its {phase.duration_s:.3g} s, the period is {period_s:.3g} s"
    missing_s = _gap_s(t_s, phase, period_s)
    if missing_s > GAP_SHARE * phase.duration_s:
        return f"the meter has no reading for {missing_s:.3g} s of its {phase.duration_s:.3g} s"
    if np.any(sample.value[inside] < 0):
        return "the meter reads below 0 W: is its clamp reversed?"
    first, last = np.searchsorted(t_s, [phase.start_s, phase.end_s])
    highest_w = float(np.max(sample.value[max(first - 1, 0) : last + 1]))  # the readings around it count at its edges
    return f"the meter showed {highest_w:.4g} W, which is impossible" if highest_w > ABSURD_W else None


def _gap_s(t_s: Floats, phase: Phase, period_s: float) -> float:
    """Time of a phase that is in gaps, in seconds."""
    gaps = np.flatnonzero(np.diff(t_s) > GAP_PERIODS * period_s)
    return float(np.sum(np.maximum(np.minimum(t_s[gaps + 1], phase.end_s) - np.maximum(t_s[gaps], phase.start_s), 0.0)))
