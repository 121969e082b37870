"""Trace + measurements -> what may be wrong with them: a closed set of codes, each with its sentence, its remedy, and whether the energy may still be used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.kernels import precision_of, share_of
from harness.schema import Domain, Finding, Floats, Kernel, Measurement, Quality, Trace

DISAGREE = 0.05
STILL_S, STILL_TICKS = 1.0, 10
"""A counter that ticked and then does not for so long is stuck: no device draws nothing."""
UNSTABLE_IDLE = 0.02
FOREIGN_CORES = 0.1
FOREIGN_GPU = 0.05
GAP_S = 0.5
FEWEST_SAMPLES = 5
LIMIT_MARGIN = 1.1
ABSURD_W = 1e5
"""More than any device draws whose limit the driver does not tell."""
REJECTED_REASONS = 0x08 | 0x20 | 0x40 | 0x80
"""NVML event reasons: hardware slowdown, software and hardware thermal slowdown, power brake. The power cap (4) is normal at full load."""
HOT_DEGC, COLD_DEGC = 95.0, -20.0
CLOCK_CHANGED = 0.05
STEPPED_S = 0.5
IN_THE_FILE = {"int16x8": "int8"}
"""What an artifact stores of a precision that is told by activations and weights; of every other one the same."""
RIVALS, MORE = 3, 0.02
"""A threshold is in doubt where another gets so many more samples right, and so much more of all."""
NO_NUMBER = {"kind": "absent", "gross_j": None, "net_j": None, "integrated_j": None, "idle_w": None, "edge_j": None}
MEASURED = ("counter", "sampled", "simulated")


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
    "counter_reset": Code(
        "the counter {domain} went backwards by more than a wrap explains", "was the driver reloaded? run again", invalid=True
    ),
    "counter_lags": Code(
        "the counter {domain} shows about {lag_s:.3f} s late, or smooths",
        "its window may be off by that time at each edge: lengthen it",
        invalid=False,
    ),
    "counter_power_disagree": Code(
        "{domain}: the counter says {counter_j:.3g} J, its integrated power {power_j:.3g} J",
        "treat both with care, or calibrate against a meter",
        invalid=False,
    ),
    "throttled": Code("{device} slowed itself down (event reasons {reasons:#x})", "cool it, or mend its power supply", invalid=True),
    "unstable_idle": Code(
        "idle power of {domain} was {before_w:.3g} W before and {after_w:.3g} W after",
        "let the machine settle; gross energy is not affected",
        invalid=False,
    ),
    "foreign_load": Code(
        "other processes used {cores:.2f} cores during the window", "stop them, or run on a machine of your own", invalid=False
    ),
    "foreign_gpu_load": Code(
        "{device} was {share:.0%} busy before the load began",
        "stop what else uses it, also what other users or containers hide",
        invalid=False,
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
    "optimisation_not_shown": Code(
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
    """A finding with its sentence filled in."""
    entry = CODES[code]
    return Finding(code=code, sentence=entry.sentence.format(**values), remedy=entry.remedy.format(**values), invalid=entry.invalid)


def examine(
    trace: Trace,
    measurements: Sequence[Measurement],
    conditions: Mapping[str, float | None],
    scope: Collection[str],
    *,
    lags_s: Mapping[str, float] = {},
    clock_step_s: float = 0.0,
) -> list[Finding]:
    """Everything that may be wrong with one repetition.

    Args:
        trace: What the sensors said.
        measurements: Of all its phases.
        conditions: Means over `steady`.
        scope: The domains that are the case's energy: what is wrong with another one makes nothing invalid.
        lags_s: Counters whose lag is not known well enough to correct, with the estimate.
        clock_step_s: How far the system's clock was set during the repetition.
    """
    found = []
    steady = [m for m in measurements if m.phase == "steady"]
    for m in steady:
        domain = trace.domains.get(m.domain)
        each = list(_of_domain(trace, domain, m)) if domain else []
        each += [finding("load_not_bracketed", domain=m.domain)] if m.gross_j is not None and m.inferences is None else []
        each += [finding("counter_lags", domain=m.domain, lag_s=lags_s[m.domain])] if m.domain in lags_s else []
        found += [f.model_copy(update={"invalid": f.invalid and m.domain in scope}) for f in each]
    found += _idle(measurements)
    foreign = conditions.get("foreign_load")
    if foreign is not None and foreign > FOREIGN_CORES:
        found.append(finding("foreign_load", cores=foreign))
    devices = {trace.domains[m.domain].device for m in steady if m.domain in scope and m.domain in trace.domains}
    found += _of_conditions(trace, measurements, devices)
    if abs(clock_step_s) > STEPPED_S:
        found.append(finding("clock_stepped", seconds=clock_step_s))
    return found


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
    return any(f.invalid for f in _of_domain(trace, domain, m)) if m.phase == "steady" else _stuck_while(trace, domain) is not None


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
                "optimisation_not_shown",
                asked=asked,
                why=f"the engine tells no kernels, only {said!r}" if said else "the engine tells neither kernels nor precision",
            )
        ]
    if stored is not None and IN_THE_FILE.get(asked, asked) not in stored:
        why = f"its kernels are said to compute in {asked}, but the artifact stores {' and '.join(sorted(stored)) or 'no numbers'} alone"
        return [finding("optimisation_not_shown", asked=asked, why=why)]
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
    if moved:
        yield finding("sensor_stuck", domain=domain.name, how=f"throughout while {moved} moved")
    elif m.gross_j is None:
        yield _why_missing(trace, domain, m)
    else:
        yield from _of_readings(trace, domain, m)
        if m.integrated_j and abs(m.gross_j / m.integrated_j - 1) > DISAGREE:
            yield finding("counter_power_disagree", domain=m.domain, counter_j=m.gross_j, power_j=m.integrated_j)


def _why_missing(trace: Trace, domain: Domain, m: Measurement) -> Finding:
    sample = trace.samples[domain.name].finite()
    if domain.name in trace.failures:
        return finding("sensor_failed", domain=domain.name, why=trace.failures[domain.name].splitlines()[0])
    if domain.quantity != "energy":
        return finding("window_not_bracketed", domain=domain.name)
    inside = (sample.t_s >= m.start_s) & (sample.t_s <= m.end_s)
    steps = np.diff(sample.value[inside])
    still_s = m.end_s - float(sample.t_s[inside][1:][steps != 0][-1]) if np.any(steps) else 0.0
    if still_s > max(STILL_S, STILL_TICKS * (domain.update_period_s or 0.0)):
        return finding("sensor_stuck", domain=domain.name, how=f"for the last {still_s:.1f} s of the window")
    backwards = bool(np.any(steps < -(domain.wrap_j or 0.0) * 1e-9))
    return finding("counter_reset" if backwards else "no_clean_tick", domain=domain.name)


def _of_readings(trace: Trace, domain: Domain, m: Measurement) -> Iterator[Finding]:
    """Gaps and values. A counter needs no reading inside its window, and a mean covers its own gap."""
    sample = trace.samples[domain.name].finite()
    inside = (sample.t_s >= m.start_s) & (sample.t_s <= m.end_s)
    t_s, value = sample.t_s[inside], sample.value[inside]
    if domain.quantity == "power":
        gaps = np.diff(np.concatenate([[m.start_s], t_s, [m.end_s]]))
        if len(t_s) < FEWEST_SAMPLES:
            yield finding("too_few_samples", domain=domain.name, n=len(t_s))
        elif gaps.max() > max(GAP_S, 5 * float(np.median(gaps))):
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
    """A measured idle power that differs before and after; a rail with a counter is judged by that alone."""
    for name in dict.fromkeys(m.domain for m in measurements if m.kind in MEASURED and m.gain is not None and m.counter is None):
        powers = [m.gross_j / (m.end_s - m.start_s) for m in measurements if m.domain == name and m.phase == "idle" and m.gross_j]
        if len(powers) == 2 and abs(powers[1] / powers[0] - 1) > UNSTABLE_IDLE:
            yield finding("unstable_idle", domain=name, before_w=powers[0], after_w=powers[1])


def _of_conditions(trace: Trace, measurements: Sequence[Measurement], devices: Collection[str]) -> Iterator[Finding]:
    """Throttling, heat, clocks, and an accelerator that was busy before we began."""
    steady = [(m.start_s, m.end_s) for m in measurements if m.phase == "steady"]
    idle = [(m.start_s, m.end_s) for m in measurements if m.phase == "idle"]
    if not steady:
        return
    start_s, end_s = min(s for s, _ in steady), max(e for _, e in steady)
    for name, domain in trace.domains.items():
        if domain.device not in devices:
            continue
        value = _between(trace, name, start_s, end_s)
        if domain.quantity == "flags" and len(value):
            reasons = int(np.bitwise_or.reduce(value.astype(np.int64))) & REJECTED_REASONS
            if reasons:
                yield finding("throttled", device=name.split(" ")[0], reasons=reasons)
        elif domain.quantity == "temperature" and len(value) and not COLD_DEGC <= value.min() <= value.max() <= HOT_DEGC:
            yield finding("temperature_out_of_range", domain=name, degc=float(value.max() if value.max() > HOT_DEGC else value.min()))
        elif domain.quantity == "clock":
            yield from _clock(trace, name, start_s, end_s)
        elif domain.quantity == "load" and domain.device != "cpu" and idle:
            before = _between(trace, name, *idle[0])
            if len(before) and float(np.mean(before)) > FOREIGN_GPU:
                yield finding("foreign_gpu_load", device=name.split(" ")[0], share=float(np.mean(before)))


def _clock(trace: Trace, name: str, start_s: float, end_s: float) -> Iterator[Finding]:
    tenth_s = (end_s - start_s) / 10
    first, last = _between(trace, name, start_s, start_s + tenth_s), _between(trace, name, end_s - tenth_s, end_s)
    if len(first) and len(last) and abs(float(np.mean(last)) / float(np.mean(first)) - 1) > CLOCK_CHANGED:
        yield finding("clock_frequency_changed", domain=name, before_hz=float(np.mean(first)), after_hz=float(np.mean(last)))


def _between(trace: Trace, name: str, start_s: float, end_s: float) -> Floats:
    sample = trace.samples[name].finite()
    return sample.value[(sample.t_s >= start_s) & (sample.t_s <= end_s)]
