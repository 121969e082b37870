"""Columns of the public tables: name, type, meaning and when empty. The documentation is generated from these lists."""

from __future__ import annotations

from harness.frame.column import ONE as _ONE
from harness.frame.column import Column
from harness.frame.column import bool_ as _bool
from harness.frame.column import bounds as _bounds
from harness.frame.column import float_ as _float
from harness.frame.column import int_ as _int
from harness.frame.column import text_ as _text
from harness.frame.token_columns import TOKEN_CASES, TOKEN_RUNS

_NO_ENERGY = "no energy was measured or modelled, or no repetition is valid"
_NOT_OK = "no repetition is ok"
_NO_BOUND = "the metric has no interval, or the metric is agreement and the case is the baseline"
_NO_PAIR = "no baseline, no quality, or the samples were not kept"
_NO_REFERENCE = "no reference, the case is the reference, or either has no comparable outputs"
_NO_VERDICT = "no baseline, the case is the baseline, no interval, or identical launches"
_VERDICTS = "better, worse, same (within 1 %) or not separated, jointly for all such ratios of the run (Shaffer)"
_NO_PAIR_BOUND = _NO_PAIR + ", or the case is the baseline"
_FORMAT = "unknown for this model format"
_ENGINE = "not reported by the engine"
_NO_GAIN = "the gain of a domain is unknown, as of every modelled one"
_NO_BUILD = "no such step, its energy is unknown, or one energy is measured and the other modelled"
_NO_DEVICE = "the device is cpu, or energy_j is empty"
_NO_FRONT = "an objective is empty, or has a single launch"
_NOT_MEASURED = "not measured"

RUN_ID = _text("run_id", "name of the run")
CASE_ID = _text("case_id", "canonical text of the case")
ENVIRONMENT_ID = _text("environment_id", "hash of the machine and its software")
HOST = _text("host", "host name of the machine", "the run does not store its environment")
REASON = _text("reason", "why the case, build or last failed launch did not complete", "nothing failed")
KIND = _text("energy_kind", "weakest kind of the energies in energy_j: counter, sampled, modelled, simulated or absent")
NET = _float("energy_net_j", "energy per unit minus idle power, in joules", "idle power was not measured")
MODELLED = _float(
    "energy_modelled_j", "gross energy per unit of modelled domains, in joules; never added to measured ones", "no modelled domain"
)
IDLE = _float("idle_w", "power of the summed domains with the model loaded and idle, in watts", _NOT_MEASURED)
IDLE_SHARE = _float(
    "idle_share", "share of energy_j that the idle machine would have used in the same time, 0 to 1", "idle power was not measured"
)
DEVICE_ENERGY = _float(
    "device_energy_j", "gross energy per unit of the accelerator alone, in joules; energy_j adds the host's domains", _NO_DEVICE
)
DEVICE_MEMORY = _int(
    "peak_device_memory_bytes",
    "peak accelerator memory of the process, in bytes; increase of the whole card's memory if the driver does not list processes",
    "the device is cpu, or not reported by the driver",
)
PARAMETERS = _int("parameters", "number of weights of the model", _FORMAT)
NONZERO = _int("nonzero_parameters", "number of weights that are not exactly 0", _FORMAT)
STATE = (
    _float(
        "power_capped_share",
        "share of the window, 0 to 1, with the clock lowered by the power limit; normal at full load",
        "not reported by the driver",
    ),
    _float(
        "throttled_share", "share of the window, 0 to 1, with the clock lowered by heat or by power brake", "not reported by the driver"
    ),
    _float("temperature_degc", "mean temperature of the device in the window, in degC", "not reported"),
    _float("sm_clock_hz", "mean clock of the accelerator in the window, in Hz", "the device is cpu, or not reported by the driver"),
    _float("start_temperature_degc", "temperature of the device before the launch, in degC", "not reported, or stored by an older version"),
    _float(
        "start_sm_clock_hz",
        "clock of the accelerator before the launch, in Hz",
        "the device is cpu, not reported by the driver, or stored by an older version",
    ),
)
CALIBRATED = _text("calibrated", "summed domains whose sensor was corrected by a calibration, joined by +", "none was corrected")

UNIT = _text("unit", "unit that energy, throughput and carbon are counted per: inference or output_token")

CASES = (
    _int("schema_version", "schema version of the records"),
    RUN_ID,
    CASE_ID,
    _text("suite_hash", "hash of the resolved suite"),
    ENVIRONMENT_ID,
    HOST,
    _text("model", "name of the model"),
    _text("variant", "canonical text of the chain of recipes"),
    _text("engine", "name of the engine"),
    _text("device", "cpu, gpu, gpu:UUID if the suite chose the card, or the device name of a plug-in"),
    _text("device_name", "product name of the device", "not reported by the driver or the system"),
    _int("device_count", "number of the device's domains: sockets or cards", "no sensor reads the device"),
    _int("batch_size", "samples per query"),
    _int("threads", "maximum number of CPU cores"),
    _text("scenario", "load pattern: single_stream or offline; of text generation closed or poisson"),
    UNIT,
    _text("status", "ok if at least one repetition is; otherwise the status of the last attempt"),
    _bool("valid", "whether at least one repetition has no finding that invalidates its energy", _NOT_OK),
    _text("invalid_reasons", "codes of the findings that invalidate the energy, joined by semicolons", "valid, or " + _NOT_OK),
    _int("repetitions", "number of launches (independent processes) that are ok"),
    _bool(
        "target_reached",
        "whether the repeatability interval reached the half-width of the profile",
        "the profile has no half-width, or energy_j is empty",
    ),
    _float("window_s", "mean length of the measured window, in seconds", _NOT_OK),
    _text("quality_metric", "name of the quality metric; agreement if there are no labels", _NOT_MEASURED),
    _text("quality_direction", "direction in which the metric improves: higher or lower", _NOT_MEASURED),
    _float("quality", "quality on the test data, mean of the repetitions", _NOT_MEASURED),
    *_bounds("quality", "", "over test samples", _NO_BOUND),
    _float(
        "latency_p50_s",
        "median latency per query, mean over launches, in seconds (offline: service time; with several in flight: from submission to "
        "completion, so with the wait in the queue; unit output_token: time per output token, tpot_p50_s)",
        _NOT_MEASURED,
    ),
    _float("latency_p90_s", "90th percentile per query, mean over launches, in seconds", "a launch had fewer than 36 queries"),
    _float("latency_p99_s", "99th percentile per query, mean over launches, in seconds", "a launch had fewer than 368 queries"),
    _float("throughput_per_s", "units per second, mean over launches", _NOT_MEASURED),
    _float("energy_j", "gross energy per unit in joules, of the measured domains or, if none is, the modelled ones", _NO_ENERGY),
    *_bounds("energy", "_j", "repeatability on this sensor, in joules", _ONE),
    *_bounds("energy_abs", "_j", "including the gain uncertainty of the sensors, in joules", f"{_NO_GAIN}; {_ONE}"),
    NET,
    MODELLED,
    IDLE,
    KIND,
    _text("energy_scope", "domains summed in energy_j, joined by +; the card that the case ran on is `gpu`", "no domain is summed"),
    _int("peak_memory_bytes", "largest resident set of any repetition, in bytes", _NOT_MEASURED),
    _int("artifact_bytes", "size of the model file, in bytes", "the model was not built"),
    PARAMETERS,
    NONZERO,
    _int("macs", "multiply-accumulates per inference", _FORMAT),
    _text("precision_ran", "precision of most of the arithmetic: of the kernels that ran, otherwise as reported by the engine", "unknown"),
    _float("carbon_g", "CO2 equivalent per unit, in grams: energy_j times the grid's intensity", "no grid, or energy_j is empty"),
    _text("baseline_case_id", "case_id of the dense case with the same other settings", "not in the suite"),
    _float("p_front", "share of bootstrap resamples with the case on the front of front_objectives", _NO_FRONT),
    _text("warnings", "codes of the other findings, joined by semicolons", "none"),
    # Further columns.
    _text(
        "copies",
        "whether the copies of a query between host and device are part of its latency: inside (from host arrays to host arrays) or outside",
    ),
    _int("in_flight", "largest number of queries that were sent before the oldest was complete"),
    DEVICE_MEMORY,
    *STATE,
    _float(
        "power_limit_w",
        "power limit of the accelerator at the start of the run, in watts",
        "the device is cpu, or not reported by the driver",
    ),
    _float("power_limit_share", "power limit relative to the default of the card", "the device is cpu, or not reported by the driver"),
    _float("package_energy_j", "gross energy per unit of the CPU packages in energy_j, in joules", "not in energy_scope"),
    _float("dram_energy_j", "gross energy per unit of the DRAM in energy_j, in joules", "not in energy_scope"),
    IDLE_SHARE,
    _bool("tf32", "whether float32 products may be computed in TensorFloat-32", "not on a GPU, or " + _ENGINE),
    _float(
        "operators_elsewhere_share",
        "share of the operators, 0 to 1, that ran elsewhere than on the provider or device of the case, such as on the CPU",
        "the device is cpu, or " + _ENGINE,
    ),
    _text("engine_options", "engine options of the suite that differ from the defaults", "none"),
    REASON,
    _int("failed_repetitions", "number of launches that did not complete"),
    CALIBRATED,
    _text(
        "kernels", "kernels that took most of a query, with their shares of its time, or of its multiply-accumulates or operators", _ENGINE
    ),
    _float("int8_share", "share of a query, 0 to 1, in int8 kernels: of its time, or of its multiply-accumulates or operators", _ENGINE),
    _int("resident_bytes", "growth of the resident set by engine and model, in bytes", "not reported by the system"),
    _text("device_uuid", "UUID of the accelerator", "the device is cpu, or no sensor reads it"),
    DEVICE_ENERGY,
    *_bounds("device_energy", "_j", "repeatability on this sensor, in joules", f"{_NO_DEVICE}; {_ONE}"),
    _int("energy_repetitions", "number of launches in the mean energy_j"),
    *_bounds("latency_p50", "_s", "over launches, in seconds", _ONE),
    *_bounds("latency_p90", "_s", "over launches, in seconds", _ONE),
    *_bounds("latency_p99", "_s", "over launches, in seconds", _ONE),
    *_bounds("throughput", "_per_s", "over launches, in units per second", _ONE),
    _float("energy_vs_baseline", "ratio of energy_j to the baseline's", "no baseline with the same domains and kind"),
    *_bounds("energy_vs_baseline", "", "log-Welch, with the offset of the sensors", _ONE),
    _text("energy_verdict", f"energy compared with the baseline's: {_VERDICTS}", _NO_VERDICT),
    _float("latency_vs_baseline", "ratio of latency_p50_s to the baseline's", "no baseline"),
    *_bounds("latency_vs_baseline", "", "log-Welch", _ONE),
    _text("latency_verdict", f"latency_p50_s compared with the baseline's: {_VERDICTS}", _NO_VERDICT),
    _float("quality_vs_baseline", "difference between the mean quality and the baseline's", "no baseline, or no quality"),
    _float(
        "agreement",
        "share of samples (test inputs, otherwise seeded noise) with the top-1 class of the baseline; "
        "for outputs without classes, the share within 1 % of the baseline's range; for generated text the mean share of an answer's tokens "
        "before the first that differs",
        "no baseline, or either has no comparable outputs",
    ),
    _float("output_max_diff", "largest absolute difference from the baseline's outputs", "agreement is empty, or an output is not finite"),
    _float("not_finite_share", "share of samples whose stored output holds NaN or an infinity", "no outputs were kept"),
    _float("quality_diff", "mean over samples of the paired difference in quality from the baseline", _NO_PAIR),
    _float("quality_diff_low", "one-sided lower 95 % bound (Tango's score interval, or a bootstrap)", _NO_PAIR_BOUND),
    _float("quality_diff_high", "one-sided upper 95 % bound; with quality_diff_low a 90 % interval", _NO_PAIR_BOUND),
    _text(
        "quality_verdict",
        "non_inferior: worse than the baseline by less than the suite's margin; inferior: worse by more; inconclusive: neither",
        _NO_PAIR_BOUND,
    ),
    _int(
        "quality_samples_needed",
        "test samples for a power of 80 % if the case equals the baseline: 6.2 psi / margin^2",
        "quality_verdict is not inconclusive",
    ),
    _int("quality_samples", "number of paired test samples in quality_diff", _NO_PAIR_BOUND),
    _text(
        "reference_case_id",
        "case_id of the dense case of the same model and inputs whose route has the fewest exports",
        "no dense case kept its outputs",
    ),
    _float("reference_agreement", "share of samples with the top-1 class of the reference, as in agreement", _NO_REFERENCE),
    _float(
        "reference_relative_diff",
        "largest absolute difference from the reference's outputs, relative to the largest absolute value of those",
        _NO_REFERENCE + ", or an output is not finite",
    ),
    _int("reference_samples", "number of samples in reference_agreement", _NO_REFERENCE),
    _bool("dominated", "whether another case is as good in every objective and better in one, at 95 % confidence", _NO_FRONT),
    _int(
        "front_group",
        "number of a group of non-dominated cases linked by pairs that are separated in no objective",
        f"dominated, alone, or {_NO_FRONT}",
    ),
    _text("front_objectives", "objectives of p_front, dominated and front_group, as --objective takes them, joined by ;"),
    _float("u_a_j", "standard uncertainty of energy_j between launches, in joules: s / sqrt(R)", _ONE),
    _float("u_edge_j", "standard uncertainty from the poll gaps at the ticks, in joules; included in u_a_j", "no counter is summed"),
    _float("u_gain_j", "standard uncertainty from the gains (if calibrated, also the offset), in joules", _NO_GAIN),
    _float("u_offset_j", "standard uncertainty from the sensors' offsets, in joules; matters between different powers", "unknown"),
    _float(
        "u_base_j",
        "standard uncertainty from the idle power, in joules; applies to energy_net_j",
        "idle power was not measured before and after the load",
    ),
    _float("nu", "degrees of freedom of u_a_j and u_gain_j combined (Welch-Satterthwaite)", _ONE + ", or they are equal"),
    _float("build_j", "energy of the build steps that the baseline does not share, in joules", _NO_BUILD),
    _float(
        "payback_inferences",
        "build_j divided by the energy saved per unit compared with the baseline: a number of inferences or of output tokens",
        "no saving, or build_j is empty",
    ),
    _float("payback_low", "lower 95 % bound (Fieller)", "payback_verdict is empty or no_saving"),
    _float("payback_high", "upper 95 % bound (Fieller)", "payback_verdict is not pays_back"),
    _text(
        "payback_verdict",
        "pays_back; not_separated: at least payback_low, no upper bound; no_saving: no saving",
        "build_j is empty, or fewer than two repetitions",
    ),
    *TOKEN_CASES,
)

RUNS = (
    RUN_ID,
    CASE_ID,
    ENVIRONMENT_ID,
    _int("block", "number of the randomised block"),
    _int("repetition", "number of the repetition"),
    _int("attempt", "number of the attempt that counts: the last that is ok, otherwise the last"),
    _text("status", "ok, failed, oom, timeout, killed or refused"),
    REASON,
    _bool("valid", "whether the energy may be used", "the status is not ok"),
    _text("invalid_reasons", "codes of the findings that invalidate the energy, joined by semicolons", "none"),
    _text("started_utc", "start time, ISO 8601"),
    _float("window_s", "length of the measured window, in seconds", "the window was not reached"),
    _float(
        "inferences", "inferences, or output tokens, completed in the window, with interpolated fractions", "the window was not reached"
    ),
    _float("throughput_per_s", "units per second", "the window was not reached"),
    _float("latency_mean_s", "mean latency per query, in seconds", _NOT_MEASURED),
    _float("latency_p50_s", "median latency per query, in seconds", _NOT_MEASURED),
    _float("latency_p90_s", "90th percentile latency per query, in seconds", "fewer than 36 queries"),
    _float("latency_p95_s", "95th percentile latency per query, in seconds", "fewer than 72 queries"),
    _float("latency_p99_s", "99th percentile latency per query, in seconds", "fewer than 368 queries"),
    _float("quality", "quality on the test data", _NOT_MEASURED),
    _float("energy_j", "gross energy per unit, in joules, as in cases", _NO_ENERGY),
    NET,
    MODELLED,
    KIND,
    _text("energy_scope", "domains summed in energy_j, as in cases", "no domain is summed"),
    DEVICE_ENERGY,
    IDLE,
    *STATE,
    _int("peak_memory_bytes", "largest resident set, in bytes", _NOT_MEASURED),
    DEVICE_MEMORY,
    _text(
        "peak_device_memory_source",
        "process: reported by the driver for the process; rise: increase of the whole card's memory",
        "peak_device_memory_bytes is empty",
    ),
    _text("precision_ran", "precision of the case, as in cases", "unknown"),
    _text("warnings", "codes of the other findings, joined by semicolons", "none"),
    _text("trace", "path of the raw trace in the run's folder", "not stored"),
    CALIBRATED,
    UNIT,
    *TOKEN_RUNS,
)

DOMAINS = (
    RUN_ID,
    CASE_ID,
    _text("domain", "name of the sampled domain: package, dram, gpu:0, system, wall"),
    _text("sensor", "name of the sensor"),
    _text("kind", "weakest kind of the repetitions"),
    _text("device", "device that the domain supplies"),
    _text("parent", "domain that contains this one", "none"),
    _bool("in_scope", "whether energy_j of the case includes the domain"),
    _int("repetitions", "number of launches in which the domain was measured"),
    _float("energy_j", "gross energy per unit, in joules", "missing in every repetition"),
    *_bounds("energy", "_j", "repeatability, in joules", _ONE),
    NET,
    _float("integrated_j", "energy per unit from the power reading of the same rail, in joules", "no such reading"),
    _float("power_w", "mean power in the window, in watts", "missing in every repetition"),
    _float("idle_w", "idle power with the model loaded, in watts", _NOT_MEASURED),
    _float("energy_share", "share of the domain in energy_j of the case, 0 to 1", "not in scope, or missing in every repetition"),
    IDLE_SHARE,
    _float("gain", "relative standard uncertainty of the sensor's gain", "unknown, as of every modelled domain"),
    _float("update_period_s", "update period of the reading as probed, in seconds", "unknown"),
    _text("calibrated", "name of the domain, if its sensor was corrected by a calibration", "not corrected"),
    UNIT,
)

BUILDS = (
    RUN_ID,
    _text("build_id", "hash of all inputs that determine the result"),
    _text("model", "name of the model", "the suite no longer holds the build"),
    _text("lineage", "steps so far, joined by >", "the suite no longer holds the build"),
    _text("format", "format of the resulting model", "the suite no longer holds the build"),
    _text("status", "status of the last attempt"),
    REASON,
    _bool("cached", "whether the artifact came from the cache, so that the figures are those of the original build"),
    _float("seconds", "duration, in seconds", _NOT_MEASURED),
    _float("energy_j", "gross energy in joules of the measured domains, or of the modelled ones if none is", _NOT_MEASURED),
    KIND,
    _text("energy_scope", "domains summed in energy_j, joined by +", "no domain is summed"),
    _int("artifact_bytes", "size of the artifact, in bytes", "the model was not built"),
    PARAMETERS,
    NONZERO,
    _text("sha256", "SHA-256 of the artifact", "the model was not built"),
    CALIBRATED,
)

_CASE_COLUMNS = (
    "case_id", "status", "valid", "invalid_reasons", "repetitions", "quality_metric", "quality", "quality_low", "quality_high",
    "latency_p50_s", "latency_p50_low_s", "latency_p50_high_s", "latency_p99_s", "latency_p99_low_s", "latency_p99_high_s",
    "energy_j", "energy_low_j", "energy_high_j", "energy_abs_low_j", "energy_abs_high_j", "energy_kind", "energy_scope", "calibrated",
    "energy_vs_baseline", "energy_vs_baseline_low", "energy_vs_baseline_high", "power_limit_w", "power_limit_share", "power_capped_share",
    "warnings", "unit", "load", "energy_j_per_output_token", "input_tokens", "output_tokens", "concurrency", "ttft_p50_s", "tpot_p50_s",
)  # fmt: skip
"""Columns of `cases` that `history` has too."""


def _previous(quantity: str, null: str) -> tuple[Column, ...]:
    """Columns that compare a quantity with the previous run."""
    return (
        _float(f"{quantity}_vs_previous", "ratio to the previous run, of geometric means", null),
        *_bounds(f"{quantity}_vs_previous", "", "between machines with the gains of both", f"{null}; {_ONE}"),
        _text(
            f"{quantity}_change",
            "better, worse, same (within 1 %) or not separated, jointly over all rows at 5 %, or 1 % after a stopping rule; "
            "other differences between two days, such as room temperature, are not included",
            f"{null}; {_ONE}",
        ),
    )


HISTORY = (
    RUN_ID,
    _text("started_utc", "start time of the run, ISO 8601"),
    HOST,
    *(column for column in CASES if column.name in _CASE_COLUMNS),
    *_previous("energy", f"the first run, {_NO_ENERGY}, another kind or scope, or another machine with unknown gain"),
    *_previous("latency", "the first run, or not measured in both"),
    _text("changed", "differences from the previous run in machine, suite and software, joined by semicolons", "no difference"),
)

TABLES = {"cases": CASES, "runs": RUNS, "domains": DOMAINS, "builds": BUILDS, "history": HISTORY}


def describe_columns(table: str = "cases") -> str:
    """Markdown table of the columns of one public table, for the documentation."""
    rows = [f"| `{c.name}` | {c.type} | {c.meaning} | {c.null or 'never'} |" for c in TABLES[table]]
    return "\n".join(["| column | type | meaning | empty if |", "|---|---|---|---|", *rows])
