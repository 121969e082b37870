"""The closed set of reason codes: what may be wrong with a measurement, each with its sentence, its remedy, and whether the energy may still be used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.schema import Finding


class Code(NamedTuple):
    """A reason: the sentence takes the finding's values by name."""

    sentence: str
    remedy: str
    invalid: bool


CODES: dict[str, Code] = {
    "sensor_failed": Code("{domain} could not be read: {why}", "see `harness doctor`", invalid=True),
    "sensor_gap": Code(
        "{domain} was not read for {gap_s:.2f} s of the window", "free the machine of other work, and run again", invalid=True
    ),
    "window_not_bracketed": Code("no reading of {domain} brackets the window", "run again; that would be extrapolation", invalid=True),
    "load_not_bracketed": Code(
        "the load did not run through both edges of the window of {domain}", "run again; its inferences cannot be counted", invalid=True
    ),
    "too_few_samples": Code("the window holds {n} readings of {domain}", "lengthen the window: a longer profile", invalid=True),
    "sensor_stuck": Code(
        "{domain} showed one value {how}",
        "restart the driver or the meter; this reading is not the power",
        invalid=True,
    ),
    "implausible_value": Code(
        "{domain} showed {watts:.4g} W, outside 0 to {limit_w:.4g} W", "the sensor lies; see `harness doctor`", invalid=True
    ),
    "no_clean_tick": Code(
        "the counter {domain} showed no usable tick at an edge of the window",
        "lengthen the window, or see `harness doctor` for the counter's update period",
        invalid=True,
    ),
    "counter_without_edge": Code(
        "the counter {domain} showed no tick at an edge of the window: its energy is the integral of its power reading, {bound}",
        "see `harness doctor` for the counter's update period; a longer window makes the bound smaller",
        invalid=False,
    ),
    "edge_uncertainty": Code(
        "the ticks of the counter {domain} are bracketed so widely that the edges leave {share:.1%} of its energy uncertain (95 %)",
        "free the machine of other work, or lengthen the window (--window)",
        invalid=False,
    ),
    "no_device_sensor": Code(
        "{why}, and that of the rest of the machine does not stand for it",
        "see `harness doctor`: it names what is missing and how to get it; a suite that lists `domains` must list the device's too",
        invalid=True,
    ),
    "wrong_device": Code(
        "the case ran on {ran}, and its energy is that of {charged}",
        "name the card in CUDA_VISIBLE_DEVICES by its UUID, and let no code of the engine choose another one",
        invalid=True,
    ),
    "device_not_confirmed": Code(
        "nothing confirms that the case ran on {charged}, whose energy it is charged with: {why}",
        "see that the engine uses CUDA here; the utilization of the card is in the record",
        invalid=False,
    ),
    "counter_reset": Code(
        "the counter {domain} went backwards by more than a wrap explains", "was the driver reloaded? run again", invalid=True
    ),
    "counter_lags": Code(
        "the counter {domain} shows about {lag_s:.3f} s late, or smooths",
        "its window may be off by that time at each edge: lengthen it",
        invalid=False,
    ),
    "counter_power_disagree": Code(
        "{domain}: the counter says {counter_j:.3g} J, its integrated power {power_j:.3g} J{doubt}",
        "treat both with care, or calibrate against a meter; above 10 % neither is used",
        invalid=False,
    ),
    "throttled": Code("{device} slowed itself down {how}", "cool it, or check its power supply", invalid=True),
    "power_capped": Code(
        "the power limit held the clock of {device} down in {share} of the window",
        "normal at full load; compare with cases under the same limit only",
        invalid=False,
    ),
    "mig_shared": Code(
        "{device} is divided (MIG): the energy is the whole card's, the work a slice's",
        "measure on a card without MIG; to use the whole card's energy, write `allow: [mig_shared]` in the suite",
        invalid=True,
    ),
    "card_shared": Code(
        "{device} was shared: {how}",
        "stop what else uses it (`nvidia-smi`), also what other users or containers hide, or choose another card",
        invalid=False,
    ),
    "card_not_used": Code(
        "{device} did nothing in the window: neither its utilization nor the child's memory on it rose",
        "the engine may have computed on the CPU: look at engine_facts and kernels in the record, and at the engine's log",
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
    "temperature_out_of_range": Code("{domain} was at {degc:.0f} degC", "cool the machine, or check the sensor", invalid=False),
    "clock_frequency_changed": Code(
        "{domain} went from {before_hz:.3g} to {after_hz:.3g} Hz in the window",
        "warm up longer, or hold the clock by the system's own means",
        invalid=False,
    ),
    "clock_stepped": Code(
        "the system's clock was set by {seconds:+.2f} s meanwhile", "times are monotonic and hold; align meters with care", invalid=False
    ),
    "meter_gap": Code(
        "{domain}, {phase}: {why}",
        "log the whole run, with a period well below the window; a longer profile helps a slow meter",
        invalid=False,
    ),
    "meter_slow": Code(
        "{domain} has a reading every {period_s:.3g} s, and the windows are {window_s:.3g} s long: expect an error of about {error:.0%} in an energy",
        "log faster, or measure longer windows: a longer profile",
        invalid=False,
    ),
    "meter_discarded": Code(
        "{count} of {readings} readings of {domain} inside the run are no number or could not be read, and were interpolated",
        "see the reasons that `harness import-meter` prints",
        invalid=False,
    ),
    "meter_clock": Code(
        "the meter's clock is taken as {offset_s:g} s ahead, but the run's load is found in its log at {found}",
        "import the log again with --find-pulse",
        invalid=False,
    ),
    "steady_state_not_reached": Code(
        "the machine had not settled after {seconds:.0f} s of warm-up", "use a longer profile, or cool the machine", invalid=False
    ),
    "optimisation_not_run": Code(
        "the variant asks for {asked}, but what ran computed in {ran}{share}",
        "its time and energy are those of {ran}: try another recipe or engine, or look at the kernels in the record",
        invalid=False,
    ),
    "optimisation_not_confirmed": Code(
        "the variant asks for {asked}, and nothing shows that it ran: {why}",
        "do not publish it as {asked}: use an engine that tells the kernels it ran, or an artifact that stores {asked}",
        invalid=False,
    ),
    "ties_in_top_class": Code(
        "{ties} of {samples} test samples have an exact tie for the top class, which counts for the first of the tied classes: {metric} may be off by "
        "up to {share:.2g}",
        "outputs in a coarse number format tie: keep the last layer in float",
        invalid=False,
    ),
    "threshold_doubtful": Code(
        "the output is taken as a logit and cut at 0, where {metric} is {value:.4g}; cut at 0.5 it would be {rival:.4g}",
        "if the model gives 0 and 1 themselves, add `metric: {{name: {metric}, threshold: 0.5}}` to it in the suite",
        invalid=False,
    ),
}


def finding(code: str, **values: object) -> Finding:
    """A finding with its sentence made from its values."""
    entry = CODES[code]
    return Finding(
        code=code,
        sentence=entry.sentence.format(**values),
        remedy=entry.remedy.format(**values),
        invalid=entry.invalid,
        values={name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()},
    )
