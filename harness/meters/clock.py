"""Offset of a meter's clock from the run's, and the zone of its local times, found in the load of the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.energy.codes import finding
from harness.errors import MeterError
from harness.meters.log import Log
from harness.meters.pulse import Pulse, find_pulse
from harness.meters.zones import MAX_OFFSET_S, QUARTER_S, Zone, offset_text, to_unix
from harness.schema import Finding, Sample, StoredRun

LOADS = {"idle": 0.0, "warmup": 1.0, "steady": 1.0}
CLOCK_SLACK_S = 1.0
"""Largest difference between the load's time in the log and in the run, if the clocks agree."""
ZONE_SLACK_S = 60.0
"""Largest error of a meter's clock at which an offset still shows the zone."""


def pulse_in(run: StoredRun, log: Log, rule: str = "trapezoid") -> Pulse | None:
    """The load of a run in a log whose rows follow `rule` (as for `import_log`); None if the run has no phases of known load."""
    spans = [
        (p.start_s + r.utc_minus_monotonic_s, p.end_s + r.utc_minus_monotonic_s, LOADS[p.name])
        for r in run.records
        for p in r.phases
        if p.name in LOADS
    ]
    t_s = log.sample.t_s
    if rule == "rectangle":  # a mean refers to the middle of its interval
        t_s = t_s - np.diff(t_s, prepend=2 * t_s[0] - t_s[1]) / 2
    return find_pulse(t_s, log.sample.value, spans) if spans else None


def on_unix_time(run: StoredRun, log: Log, rule: str = "trapezoid") -> Log:
    """The log on Unix time, as it is stored: the zone of local times is found from the load, in whole quarter hours.

    Args:
        run: The run.
        log: The log of the meter.
        rule: As for `import_log`.

    Raises:
        MeterError: The load does not show the zone.
    """
    if not log.local or log.floating:
        return log
    what = f"{log.source} contains local times without a zone"
    pulse = pulse_in(own_records(run), log, rule)
    if pulse is None or not pulse.sure:
        raise MeterError(f"{what}, and the run's load cannot be recognised in it", "use --timezone, --utc-offset or --find-pulse")
    zone_s = round(pulse.offset_s / QUARTER_S) * QUARTER_S
    if abs(pulse.offset_s - zone_s) > ZONE_SLACK_S or abs(zone_s) > MAX_OFFSET_S:
        raise MeterError(
            f"{what}; the run's load is {pulse.offset_s:.1f} s off in it, which does not correspond to a time zone",
            "use --find-pulse, or --timezone with --clock-offset",
        )
    note = f"local time is {offset_text(zone_s)}, where the run's load is found (correlation {pulse.correlation:.2f})"
    t_s = to_unix(log.sample.t_s, Zone(utc_offset_s=zone_s))
    return replace(
        log,
        sample=Sample(t_s, t_s, log.sample.value),
        local=False,
        marks={name: t - zone_s for name, t in log.marks.items()},
        notes=(*log.notes, note),
        discarded_s=log.discarded_s - zone_s,
    )


def sure_pulse(run: StoredRun, log: Log, rule: str) -> Pulse:
    """The load of a run in a log; raises MeterError if it is not found, or cannot be recognised."""
    pulse = pulse_in(run, log, rule)
    if pulse is None:
        raise MeterError(
            "the run has no idle and loaded phases, or the log too few rows, to find its load in it",
            "use --clock-offset, or --start if the log counts from a start",
        )
    if not pulse.sure:
        raise MeterError(f"the run's load cannot be recognised in the log: the best match is {pulse_text(pulse)}", "use --clock-offset")
    return pulse


def clock_findings(run: StoredRun, log: Log, rule: str, clock_offset_s: float) -> list[Finding]:
    """A warning if the load of the run is found in the log at another time than the clocks state."""
    pulse = pulse_in(run, log, rule)
    if pulse is None or not pulse.sure or abs(pulse.offset_s - clock_offset_s) <= max(CLOCK_SLACK_S, 5 * pulse.u_s):
        return []
    return [finding("meter_clock", offset_s=clock_offset_s, found=pulse_text(pulse))]


def pulse_text(pulse: Pulse) -> str:
    """The offset with its uncertainty, and how well it fits, for messages."""
    second = "no other shift fits" if pulse.runner_up is None else f"the next best elsewhere {pulse.runner_up:.2f}"
    return f"{pulse.offset_s:.3f} s +- {pulse.u_s:.3f} s (correlation {pulse.correlation:.2f}, {second})"


def own_records(run: StoredRun) -> StoredRun:
    """The run without builds copied from another run, whose phases are at another time."""
    return replace(run, records=tuple(r for r in run.records if r.phases and not r.cached))
