"""Codes of all findings: what may be wrong with a measurement, its remedy, and whether the energy is still used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.schema import Finding


class Code(NamedTuple):
    """A reason code; sentence and remedy are templates of the finding's values.

    Attributes:
        sentence: What is wrong.
        remedy: One imperative sentence.
        invalid: Whether the energy must not be used.
    """

    sentence: str
    remedy: str
    invalid: bool = False


CODES: dict[str, Code] = {
    # sensors and readings
    "sensor_failed": Code("{domain} could not be read: {why}", "run `harness doctor` to check the sensor", invalid=True),
    "sensor_gap": Code(
        "{domain} was not read for {gap_s:.2f} s of the window", "stop other work on the machine and run again", invalid=True
    ),
    "window_not_bracketed": Code("{domain} has no reading before or after the window", "run again", invalid=True),
    "load_not_bracketed": Code(
        "the load did not run at both edges of the window of {domain}, so its inferences cannot be counted", "run again", invalid=True
    ),
    "too_few_samples": Code("the window holds only {n} readings of {domain}", "use a longer window (--window)", invalid=True),
    "sensor_stuck": Code("{domain} reported a single value {how}", "restart the driver or the meter", invalid=True),
    "implausible_value": Code(
        "implausible reading of {domain}: {watts:.4g} W, outside 0 to {limit_w:.4g} W",
        "check the sensor with `harness doctor`",
        invalid=True,
    ),
    "no_device_sensor": Code(
        "{why}, and the energy of the rest of the machine cannot replace it",
        "run `harness doctor` to see what is missing, and add the device's domain if the suite lists `domains`",
        invalid=True,
    ),
    # counters
    "no_clean_tick": Code(
        "the counter {domain} has no usable tick at an edge of the window",
        "use a longer window (--window), or check the counter's update period with `harness doctor`",
        invalid=True,
    ),
    "counter_without_edge": Code(
        "the counter {domain} did not tick at an edge of the window: its energy is the integral of its power reading, {bound}",
        "use a longer window (--window), or check the counter's update period with `harness doctor`",
    ),
    "edge_uncertainty": Code(
        "the edges of the window leave {share:.1%} of the energy of the counter {domain} uncertain (95 %)",
        "stop other work on the machine, or use a longer window (--window)",
    ),
    "counter_reset": Code(
        "the counter {domain} decreased, and a wraparound does not explain the difference",
        "check whether the driver was reloaded, and run again",
        invalid=True,
    ),
    "counter_lags": Code(
        "the counter {domain} lags by about {lag_s:.3f} s, or smooths the power",
        "use a longer window (--window) to reduce the error at its edges",
    ),
    "counter_part_time": Code(
        "the counter {domain} misses part of a periodic load (up to {share}, {source}): the phase of the load was shifted",
        "use more repetitions or a longer window (--window)",
    ),
    "counter_power_disagree": Code(
        "the counter {domain} gives {counter_j:.3g} J, but its integrated power reading gives {power_j:.3g} J{doubt}; above 10 % neither is used",
        "calibrate the sensor against a power meter (`harness calibrate`)",
    ),
    # accelerators
    "wrong_device": Code(
        "the case ran on {ran}, but the energy of {charged} was measured",
        "select the card in CUDA_VISIBLE_DEVICES by its UUID",
        invalid=True,
    ),
    "device_not_confirmed": Code(
        "nothing confirms that the case ran on {charged}, whose energy is used: {why}",
        "check that the engine uses CUDA, for example by the card's utilization in the record",
    ),
    "throttled": Code("{device} was throttled {how}", "improve its cooling, or check its power supply", invalid=True),
    "power_capped": Code(
        "the power limit limited the clock of {device} in {share} of the window, which is normal at full load",
        "compare only with cases under the same power limit",
    ),
    "power_limit_set": Code(
        "the power limit of {device} is {limit_w:.4g} W, {share} of its default, which is a setting of the user",
        "compare it with runs under other limits by `harness history`, or restore the default (`nvidia-smi -pl`) to compare machines",
    ),
    "mig_shared": Code(
        "{device} is partitioned (MIG): the energy was measured for the whole card, but the case used only one partition",
        "measure on a card without MIG, or use the whole card's energy with `allow: [mig_shared]` in the suite",
        invalid=True,
    ),
    "card_shared": Code(
        "{device} was shared: {how}",
        "stop other processes on the card (`nvidia-smi`), also in other containers, or select another card",
    ),
    "card_not_used": Code(
        "{device} was idle in the window: neither its utilization nor the child's memory on it rose",
        "check engine_facts and kernels in the record and the engine's log, since the engine may have used the CPU",
    ),
    "operators_elsewhere": Code(
        "{count} of {total} operators ({share:.0%}) ran on {where} instead of {asked}: {kinds}",
        "see what each costs in the kernels of the record; use a model or a recipe whose operators have kernels for {asked}",
    ),
    # text generation
    "requests_failed": Code(
        "{failed} of {requests} requests failed ({why}): their energy is in the window, their tokens are not",
        "read the server's output in the record, and ask for what it can answer",
    ),
    "too_many_requests_failed": Code(
        "{failed} of {requests} requests failed ({why}), above {limit:.0%}: the energy per token is not that of the load",
        "read the server's output in the record, and ask for what it can answer",
        invalid=True,
    ),
    "answers_short": Code(
        "{short} of {requests} answers have fewer tokens than asked",
        "check that the context holds prompt and answer, and that the preset of the server fixes the length",
    ),
    "prompt_cache_used": Code(
        "{share:.1%} of the prompts' tokens came from a cache, which saves their energy",
        "turn the prompt cache of the server off",
    ),
    "batch_not_reached": Code(
        "the server worked on {batch:.2f} requests at once, but the load has {asked:.2f} in progress: the others waited",
        "give the server as many slots as the concurrency, or read the case as one of the smaller batch",
    ),
    "static_batches": Code(
        "{batch:.2f} of {asked:.2f} sequences were generated at once: a batch runs until its longest answer is complete, the slots of others wait",
        "use lengths with `spread: 0`, or read the case as one of the smaller batch",
    ),
    "rate_not_reached": Code(
        "the server completed {share:.1%} of the requests that were due, at least {least:.0%} are expected: its queue grows",
        "use a lower rate: energy and latency are those of an overloaded server",
    ),
    "tokens_estimated": Code(
        "the server reports the tokens of whole requests only: they were spread over the chunks of text",
        "use a server that reports counts with each chunk, such as llama.cpp or vLLM, or a longer window",
    ),
    "tokens_unknown": Code(
        "the server reports no tokens for {count} of {requests} answers, so they cannot be counted",
        "use a server that reports usage in its stream",
        invalid=True,
    ),
    "tokens_disagree": Code(
        "{what}",
        "the energy per token may be off by as much: check the server's version and its preset",
    ),
    "window_has_no_request": Code(
        "no request ended in the window", "use a longer window (--window), or ask for shorter answers", invalid=True
    ),
    "server_external": Code(
        "the server was already running: its loading, its idle power and the load of other processes are not known",
        "let the harness start it (`command` or `preset`) to measure them",
    ),
    "server_elsewhere": Code(
        "the server runs on another machine ({host}), whose energy is not measured here",
        "run the harness on that machine, or import the log of a power meter (`harness import-meter`)",
        invalid=True,
    ),
    "server_killed": Code(
        "the server did not end within {seconds:.0f} s of SIGTERM and was killed",
        "check the GPU for what it left",
    ),
    "not_evaluated": Code("lm_eval measured no quality: {why} ({how})", "correct that and run again: the energy is not affected"),
    "server_left_files": Code(
        "the server left {names} in /dev/shm, which holds memory until it is removed", "remove them when no other server uses them"
    ),
    "compiled_again": Code(
        "the engine compiled the model again when it was loaded, although a build had compiled it for this card: time and energy are for the new "
        "engine, not for that of the build",
        "remove the artifact (`harness cache --clear`) and start a new run",
    ),
    # conditions
    "unstable_idle": Code(
        "idle power of {domain} was {before_w:.3g} W before and {after_w:.3g} W after the load, so the net energy is uncertain",
        "let the machine settle before the run",
    ),
    "foreign_load": Code("other processes used {cores:.2f} cores during the window", "stop them, or use a dedicated machine"),
    "temperature_out_of_range": Code("{domain} was {degc:.0f} degC", "cool the machine, or check the sensor"),
    "clock_frequency_changed": Code(
        "{domain} changed from {before_hz:.3g} to {after_hz:.3g} Hz in the window", "use a longer profile, or lock the clock"
    ),
    "clock_stepped": Code(
        "the system clock was set by {seconds:+.2f} s during the task",
        "check the alignment of external meters; recorded times are monotonic",
    ),
    "steady_state_not_reached": Code(
        "the machine had not settled after {seconds:.0f} s of warm-up", "use a longer profile, or cool the machine"
    ),
    # imported meters
    "meter_gap": Code("{domain}, {phase}: {why}", "log the whole run with a period well below the window, or use a longer profile"),
    "meter_slow": Code(
        "{domain} has a reading every {period_s:.3g} s, and the windows are {window_s:.3g} s long: expect an error of about {error:.0%} in each energy",
        "log faster, or use a longer profile",
    ),
    "meter_discarded": Code(
        "{count} of {readings} readings of {domain} inside the run are not numbers or could not be read, and were interpolated",
        "check the reasons that `harness import-meter` prints",
    ),
    "meter_clock": Code(
        "the meter's clock is taken as {offset_s:g} s ahead, but the run's load is found in its log at {found}",
        "import the log again with --find-pulse",
    ),
    # precision and quality
    "optimisation_not_run": Code(
        "the variant requests {asked}, but {ran} ran{share}: time and energy are for {ran}",
        "try another recipe or engine, or check the kernels in the record",
    ),
    "optimisation_not_confirmed": Code(
        "the variant requests {asked}, but nothing confirms that it ran: {why}",
        "use an engine that reports its kernels, or an artifact that stores {asked}",
    ),
    "stored_types_differ": Code(
        "the variant requests weights in {asked}, but only {share:.0%} of the parameters are stored so: the file stores {stored}",
        "compare it by what it stores, or use a variant whose blocks fit the rows of the model",
    ),
    "cost_only": Code(
        "{why}: energy and latency are those of the model, its quality has no meaning",
        "compare the cost alone, or use weights that were trained and stored without quantization",
    ),
    "precision_emulated": Code(
        "this CPU has no instructions for {precision}: the numbers are converted to float32 for each product",
        "compare with float32, or measure on a CPU or card that multiplies in {precision}",
    ),
    "differs_from_reference": Code(
        "the outputs of this dense case are not those of {reference}: {how}",
        "run the model before and after its export on one input, and compare input layout, opset and scored output: its figures are not for the "
        "original model",
    ),
    "answers_differ": Code(
        "the model answers the same query differently (by {difference:.2g} of the largest value): it draws random numbers, keeps a state between "
        "queries or overwrites its input",
        "export it in evaluation mode, and copy an input before changing it in place: its outputs and quality depend on the queries before",
    ),
    "ties_in_top_class": Code(
        "{ties} of {samples} test samples have an exact tie for the top class, which counts for the first of the tied classes: {metric} may be off by "
        "up to {share:.2g}",
        "keep the last layer in float: integer outputs with few levels cause ties",
    ),
    "threshold_doubtful": Code(
        "the output is treated as a logit with the threshold 0, where {metric} is {value:.4g}; with 0.5 it would be {rival:.4g}",
        "add `metric: {{name: {metric}, threshold: 0.5}}` to the model in the suite if it outputs 0 and 1",
    ),
}


def finding(code: str, **values: object) -> Finding:
    """The finding of a code, whose templates take the values by name."""
    entry = CODES[code]
    return Finding(
        code=code,
        sentence=entry.sentence.format(**values),
        remedy=entry.remedy.format(**values),
        invalid=entry.invalid,
        values={name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()},
    )
