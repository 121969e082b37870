"""Trace + measurements -> what may be wrong with them: a closed set of codes, each with its sentence, its remedy, and whether the energy may still be used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.schema import Finding, Measurement, Trace

DISAGREE = 0.05
UNSTABLE_IDLE = 0.02
FOREIGN_CORES = 0.1
MEASURED = ("counter", "sampled", "simulated")


class Code(NamedTuple):
    """A reason: the sentence takes the finding's values by name."""

    sentence: str
    remedy: str
    invalid: bool


CODES: dict[str, Code] = {
    "no_clean_tick": Code(
        "the counter {domain} showed no usable tick at an edge of the window, or was reset inside it",
        "lengthen the window, or see `harness doctor` for the counter's update period",
        invalid=True,
    ),
    "sensor_failed": Code("{domain} could not be read: {why}", "see `harness doctor`", invalid=True),
    "counter_power_disagree": Code(
        "{domain}: the counter says {counter_j:.3g} J, its integrated power {power_j:.3g} J",
        "treat both with care, or calibrate against a meter",
        invalid=False,
    ),
    "unstable_idle": Code(
        "idle power of {domain} was {before_w:.3g} W before and {after_w:.3g} W after",
        "let the machine settle; gross energy is not affected",
        invalid=False,
    ),
    "foreign_load": Code(
        "other processes used {cores:.2f} cores during the window", "stop them, or run on a machine of your own", invalid=False
    ),
    "steady_state_not_reached": Code(
        "the machine had not settled after {seconds:.0f} s of warm-up", "use a longer profile, or cool the machine", invalid=False
    ),
}


def finding(code: str, **values: object) -> Finding:
    """A finding with its sentence filled in."""
    entry = CODES[code]
    return Finding(code=code, sentence=entry.sentence.format(**values), remedy=entry.remedy, invalid=entry.invalid)


def examine(
    trace: Trace, measurements: Sequence[Measurement], conditions: Mapping[str, float | None], scope: Collection[str]
) -> list[Finding]:
    """Everything that may be wrong with one repetition.

    Args:
        trace: What the sensors said.
        measurements: Of all its phases.
        conditions: Means over `steady`.
        scope: The domains that are the case's energy: what is wrong with another one makes nothing invalid.
    """
    found = []
    for measurement in measurements:
        if measurement.phase == "steady":
            counts = measurement.domain in scope
            found += [each.model_copy(update={"invalid": each.invalid and counts}) for each in _of_measurement(trace, measurement)]
    found += _idle(measurements)
    foreign = conditions.get("foreign_load")
    if foreign is not None and foreign > FOREIGN_CORES:
        found.append(finding("foreign_load", cores=foreign))
    return found


def _of_measurement(trace: Trace, measurement: Measurement) -> Iterator[Finding]:
    name, gross_j, power_j = measurement.domain, measurement.gross_j, measurement.integrated_j
    if gross_j is None and name in trace.failures:
        yield finding("sensor_failed", domain=name, why=trace.failures[name].splitlines()[0])
    elif gross_j is None:
        yield finding("no_clean_tick", domain=name)
    elif power_j and abs(gross_j / power_j - 1) > DISAGREE:
        yield finding("counter_power_disagree", domain=name, counter_j=gross_j, power_j=power_j)


def _idle(measurements: Sequence[Measurement]) -> Iterator[Finding]:
    """A measured idle power that differs before and after."""
    for name in dict.fromkeys(m.domain for m in measurements if m.kind in MEASURED and m.gain is not None):
        powers = [m.gross_j / (m.end_s - m.start_s) for m in measurements if m.domain == name and m.phase == "idle" and m.gross_j]
        if len(powers) == 2 and abs(powers[1] / powers[0] - 1) > UNSTABLE_IDLE:
            yield finding("unstable_idle", domain=name, before_w=powers[0], after_w=powers[1])
