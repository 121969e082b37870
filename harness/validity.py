"""What may be wrong with a measurement: a closed set of codes, each with its sentence, its remedy, and whether the energy may still be used."""

from __future__ import annotations

from typing import NamedTuple

from harness.schema import Finding


class Code(NamedTuple):
    """A reason: the sentence takes the finding's values by name."""

    sentence: str
    remedy: str
    invalid: bool


CODES: dict[str, Code] = {
    "no_clean_tick": Code(
        "the counter {domain} showed no usable tick at an edge of the window",
        "lengthen the window, or see `harness doctor` for the counter's update period",
        True,
    ),
    "counter_reset": Code(
        "the counter {domain} went backwards by more than a wrap explains", "was the driver reloaded? run the case again", True
    ),
    "sensor_failed": Code("{domain} could not be read: {why}", "see `harness doctor`", True),
    "sensor_gap": Code(
        "{domain} was not read for {gap_s:.2f} s of the window", "is the machine overloaded? run the case again on an idle one", True
    ),
    "counter_power_disagree": Code(
        "{domain}: the counter says {counter_j:.3g} J, its integrated power {power_j:.3g} J",
        "treat both with care, or calibrate against a meter",
        False,
    ),
    "unstable_idle": Code(
        "idle power of {domain} was {before_w:.3g} W before and {after_w:.3g} W after",
        "let the machine settle; gross energy is not affected",
        False,
    ),
    "foreign_load": Code("other processes used {cores:.2f} cores during the window", "stop them, or run on a machine of your own", False),
    "steady_state_not_reached": Code(
        "the machine had not settled after {seconds:.0f} s of warm-up", "use a longer profile, or cool the machine", False
    ),
    "fewer_inferences": Code("the window held {n:.1f} inferences", "use a longer profile", False),
}


def finding(code: str, **values: object) -> Finding:
    """A finding with its sentence filled in."""
    entry = CODES[code]
    return Finding(code=code, sentence=entry.sentence.format(**values), remedy=entry.remedy, invalid=entry.invalid)
