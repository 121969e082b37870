"""The declared columns of the public tables: name, type, unit, meaning, and when it is null. The documentation is generated from these lists."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Column(NamedTuple):
    """One column of a public table.

    Attributes:
        name: With its unit at the end, where it has one.
        type: Text, a number, a whole number, or true and false.
        meaning: One sentence, with the unit.
        null: When it is null; empty where it never is.
    """

    name: str
    type: Literal["str", "float", "int", "bool"]
    meaning: str
    null: str = ""


_UNMEASURED = "nothing was measured or modelled, or no repetition is valid"
_ONE = "fewer than two repetitions have one"
_NO_RUN = "no repetition is ok"
_NO_BOUND = "the metric has no interval, or it is agreement and this is the baseline"
_NO_PAIR = "as quality_vs_baseline, or the samples were not kept"
_UNTOLD = "the format does not tell"
_UNTOLD_RAN = "the engine does not tell"
_NO_BUILD = "no such step, its energy is not known, or one is measured and the other modelled"
_NO_DEVICE = "the device is cpu, or as energy_j"
_DEVICE_MEMORY = (
    "most memory of its accelerator that the child held, bytes; where the driver does not name its processes the rise of the card's"
)
_NO_DEVICE_MEMORY = "on the CPU, or the driver does not report it"
_CALIBRATED = Column("calibrated", "str", "domains of energy_scope whose sensor was corrected by a calibration, joined by +", "none was")

CASES = (
    Column("schema_version", "int", "version of the records"),
    Column("run_id", "str", "the run"),
    Column("case_id", "str", "canonical text of the case"),
    Column("suite_hash", "str", "hash of the resolved suite"),
    Column("environment_id", "str", "hash of the machine and its software"),
    Column("host", "str", "name of the machine", "the run does not hold its environment"),
    Column("model", "str", "the model"),
    Column("variant", "str", "canonical text of the chain of recipes"),
    Column("engine", "str", "the engine"),
    Column("device", "str", "cpu, gpu, or what a plug-in calls its own"),
    Column("device_name", "str", "what the driver or the system calls it", "it does not tell"),
    Column("device_count", "int", "domains of that device: sockets, cards", "no sensor sees the device"),
    Column("batch_size", "int", "samples a query"),
    Column("threads", "int", "the most cores it may use"),
    Column("scenario", "str", "single_stream, offline, server"),
    Column("unit", "str", "what energy, throughput and carbon are counted per"),
    Column("status", "str", "ok where at least one repetition is; else of the last attempt"),
    Column("valid", "bool", "whether at least one repetition has no finding that forbids its energy", _NO_RUN),
    Column("invalid_reasons", "str", "codes of these findings, joined by semicolons", "valid, or " + _NO_RUN),
    Column("repetitions", "int", "independent launches that are ok"),
    Column(
        "target_reached", "bool", "whether the repeatability interval met the profile's half-width", "the profile has none, or no energy"
    ),
    Column("window_s", "float", "mean length of the measured window, s", _NO_RUN),
    Column("quality_metric", "str", "name of the metric; where there are no labels, agreement", "not measured"),
    Column("quality_direction", "str", "higher or lower is better", "not measured"),
    Column("quality", "float", "on the test data, mean of the repetitions", "not measured"),
    Column("quality_low", "float", "lower 95 % bound, test samples", _NO_BOUND),
    Column("quality_high", "float", "upper 95 % bound, test samples", _NO_BOUND),
    Column("latency_p50_s", "float", "median per query, mean over launches, s (offline: service time)", "not measured"),
    Column("latency_p90_s", "float", "90th percentile per query, mean over launches, s", "a launch had fewer than 36 queries"),
    Column("latency_p99_s", "float", "99th percentile per query, mean over launches, s", "a launch had fewer than 368 queries"),
    Column("throughput_per_s", "float", "units a second, mean over launches", "not measured"),
    Column("energy_j", "float", "gross per unit, J: measured domains; where there is none, modelled ones", _UNMEASURED),
    Column("energy_low_j", "float", "lower 95 % bound, repeatability on this sensor, J", _ONE),
    Column("energy_high_j", "float", "upper 95 % bound, repeatability on this sensor, J", _ONE),
    Column(
        "energy_abs_low_j", "float", "lower 95 % bound with the sensor's gain, J", "a domain has no known gain: modelled, some simulated"
    ),
    Column("energy_abs_high_j", "float", "upper 95 % bound with the sensor's gain, J", "as energy_abs_low_j"),
    Column("energy_net_j", "float", "per unit, idle power taken off, J", "idle was not measured"),
    Column("energy_modelled_j", "float", "gross per unit of the modelled domains, J; never added to measured ones", "nothing is modelled"),
    Column("idle_w", "float", "power of the scope with the model loaded and idle, W", "not measured"),
    Column("energy_kind", "str", "counter, sampled, modelled, simulated or absent: the weakest in energy_j"),
    Column(
        "energy_scope", "str", "the domains summed in energy_j, joined by +; the card that the case ran on is `gpu`", "no domain counts"
    ),
    Column("peak_memory_bytes", "int", "largest resident set of any repetition, bytes", "not measured"),
    Column("artifact_bytes", "int", "size of the model file, bytes", "it was not built"),
    Column("parameters", "int", "weights of the model", _UNTOLD),
    Column("nonzero_parameters", "int", "weights that are not exactly 0", _UNTOLD),
    Column("macs", "int", "multiply-accumulates an inference", _UNTOLD),
    Column(
        "precision_ran",
        "str",
        "what most of the arithmetic was computed in, by the kernels that ran; where they are not known what the engine says",
        "it does not tell",
    ),
    Column("carbon_g", "float", "CO2 equivalent per unit, g: energy_j times the grid's intensity", "no grid, or no energy"),
    Column("baseline_case_id", "str", "dense, everything else equal", "the suite has none"),
    Column(
        "p_front",
        "float",
        "how often on the front of its objectives (energy, quality and latency, where no others were asked for) when launches and samples are drawn again",
        "one of them is null",
    ),
    Column("warnings", "str", "codes of the other findings, joined by semicolons", "none"),
    # What is useful beside the contract.
    Column("peak_device_memory_bytes", "int", _DEVICE_MEMORY, _NO_DEVICE_MEMORY),
    Column(
        "power_capped_share",
        "float",
        "share of the window, 0 to 1, in which the power limit held the accelerator's clock down, mean of the launches; normal at full load",
        "the driver does not report it",
    ),
    Column("tf32", "bool", "whether float32 products may be computed in TensorFloat-32", "not on a GPU, or the engine does not report it"),
    Column("engine_options", "str", "the engine's options that the suite sets and that are not its defaults", "none is"),
    Column("reason", "str", "why it is not ok", "it is ok"),
    _CALIBRATED,
    Column(
        "kernels",
        "str",
        "the kernels that took most of a query, with their shares of its time, or of its multiply-accumulates",
        _UNTOLD_RAN,
    ),
    Column("int8_share", "float", "share of a query, 0 to 1, in int8 kernels; its time, or its multiply-accumulates", _UNTOLD_RAN),
    Column(
        "resident_bytes", "int", "what the engine with the model added to its process's resident set, bytes", "the system does not tell"
    ),
    Column("device_uuid", "str", "UUID of the accelerator that it ran on", "the device is cpu, or no sensor reads it"),
    Column("device_energy_j", "float", "gross per unit of the accelerator alone, J; energy_j has the host's domains too", _NO_DEVICE),
    Column("device_energy_low_j", "float", "lower 95 % bound, repeatability, J", _NO_DEVICE),
    Column("device_energy_high_j", "float", "upper 95 % bound, repeatability, J", _NO_DEVICE),
    Column("energy_repetitions", "int", "launches that energy_j is the mean of"),
    Column("latency_p50_low_s", "float", "lower 95 % bound over launches, s", _ONE),
    Column("latency_p50_high_s", "float", "upper 95 % bound over launches, s", _ONE),
    Column("latency_p90_low_s", "float", "lower 95 % bound over launches, s", _ONE),
    Column("latency_p90_high_s", "float", "upper 95 % bound over launches, s", _ONE),
    Column("latency_p99_low_s", "float", "lower 95 % bound over launches, s", _ONE),
    Column("latency_p99_high_s", "float", "upper 95 % bound over launches, s", _ONE),
    Column("throughput_low_per_s", "float", "lower 95 % bound over launches", _ONE),
    Column("throughput_high_per_s", "float", "upper 95 % bound over launches", _ONE),
    Column("energy_vs_baseline", "float", "ratio of energy_j to the baseline's", "no baseline with the same domains and kind"),
    Column("energy_vs_baseline_low", "float", "lower 95 % bound (log-Welch, with the sensor's offset)", _ONE),
    Column("energy_vs_baseline_high", "float", "upper 95 % bound (log-Welch, with the sensor's offset)", _ONE),
    Column("latency_vs_baseline", "float", "ratio of latency_p50_s to the baseline's", "no baseline"),
    Column("latency_vs_baseline_low", "float", "lower 95 % bound (log-Welch)", _ONE),
    Column("latency_vs_baseline_high", "float", "upper 95 % bound (log-Welch)", _ONE),
    Column("quality_vs_baseline", "float", "quality less the baseline's, on the same samples", "no baseline, or no quality"),
    Column(
        "agreement",
        "float",
        "share of samples (test inputs, else seeded noise) with the baseline's top-1 class; of outputs without classes, within 1 % of its range",
        "no baseline, or either has no outputs that can be compared",
    ),
    Column("output_max_diff", "float", "largest absolute difference to the baseline's output", "as agreement, or one is not finite"),
    Column("not_finite_share", "float", "share of the kept outputs to samples that hold NaN or an infinity", "no outputs were kept"),
    Column("quality_diff", "float", "mean over samples of quality less the baseline's, paired", _NO_PAIR),
    Column("quality_diff_low", "float", "one-sided 95 % bound (Tango's score, else bootstrap)", _NO_PAIR + ", or it is the baseline"),
    Column("quality_diff_high", "float", "one-sided 95 % bound: with quality_diff_low a 90 % interval", "as quality_diff_low"),
    Column(
        "quality_verdict",
        "str",
        "non_inferior: no worse than the baseline by the suite's margin; inferior: worse by more than that; inconclusive: neither",
        "as quality_diff_low",
    ),
    Column(
        "quality_samples_needed",
        "int",
        "test samples at which a case as good as the baseline would be shown to be so in 80 %: 6.2 psi / margin^2",
        "quality_verdict is not inconclusive",
    ),
    Column("dominated", "bool", "whether another case is shown to be as good everywhere and better somewhere", "as p_front"),
    Column(
        "front_group",
        "int",
        "number of a group of cases, none dominated, that are not separated: linked by pairs that are shown to differ in no objective",
        "dominated, alone, or as p_front",
    ),
    Column("front_objectives", "str", "objectives of p_front, dominated and front_group, as --objective takes them, joined by ;"),
    Column("u_a_j", "float", "standard uncertainty of energy_j from run to run, J: s / sqrt(R)", _ONE),
    Column("u_edge_j", "float", "standard uncertainty from the poll gaps at the ticks, J; already in u_a_j", "no counter is in the scope"),
    Column(
        "u_gain_j", "float", "standard uncertainty from the sensors' gains, J; of calibrated ones with the offset", "as energy_abs_low_j"
    ),
    Column(
        "u_offset_j", "float", "standard uncertainty from the sensors' offsets, J: for ratios between different powers", "none is known"
    ),
    Column("u_base_j", "float", "standard uncertainty from the idle power, J: of energy_net_j alone", "idle was not measured twice"),
    Column("nu", "float", "degrees of freedom of u_a_j and u_gain_j together (Welch-Satterthwaite)", _ONE + ", or they are equal"),
    Column("build_j", "float", "energy of the build steps that the baseline does not share, J", _NO_BUILD),
    Column(
        "payback_inferences", "float", "build_j over the energy saved per inference against the baseline", "nothing is saved, or as build_j"
    ),
    Column("payback_low", "float", "lower 95 % bound (Fieller)", "payback_verdict is null or no_saving"),
    Column("payback_high", "float", "upper 95 % bound (Fieller)", "payback_verdict is not pays_back"),
    Column(
        "payback_verdict",
        "str",
        "pays_back; not_separated: at least payback_low, no upper bound; no_saving: the build saves nothing",
        "as build_j, or fewer than two repetitions",
    ),
)

RUNS = (
    Column("run_id", "str", "the run"),
    Column("case_id", "str", "canonical text of the case"),
    Column("environment_id", "str", "hash of the machine and its software"),
    Column("block", "int", "the randomised block it ran in"),
    Column("repetition", "int", "number of the repetition"),
    Column("attempt", "int", "the attempt that counts: the last that is ok, else the last"),
    Column("status", "str", "ok, failed, oom, timeout, killed or refused"),
    Column("reason", "str", "why it is not ok", "it is ok"),
    Column("valid", "bool", "whether its energy may be used", "it is not ok"),
    Column("invalid_reasons", "str", "codes of the findings that forbid it", "none"),
    Column("started_utc", "str", "ISO 8601"),
    Column("window_s", "float", "length of the measured window, s", "it did not get there"),
    Column("inferences", "float", "completed in the window, fractions interpolated", "it did not get there"),
    Column("throughput_per_s", "float", "inferences a second", "it did not get there"),
    Column("latency_mean_s", "float", "per query, s", "not measured"),
    Column("latency_p50_s", "float", "per query, s", "not measured"),
    Column("latency_p90_s", "float", "per query, s", "fewer than 36 queries"),
    Column("latency_p95_s", "float", "per query, s", "fewer than 72 queries"),
    Column("latency_p99_s", "float", "per query, s", "fewer than 368 queries"),
    Column("quality", "float", "on the test data", "not measured"),
    Column("energy_j", "float", "gross per unit, J", "as in cases"),
    Column("energy_net_j", "float", "per unit, idle power taken off, J", "as in cases"),
    Column("energy_modelled_j", "float", "gross per unit of the modelled domains, J", "as in cases"),
    Column("energy_kind", "str", "the weakest in energy_j"),
    Column("energy_scope", "str", "the domains summed in energy_j, as in cases", "no domain counts"),
    Column("device_energy_j", "float", "gross per unit of the accelerator alone, J", "as in cases"),
    Column("idle_w", "float", "power of the scope, idle, W", "not measured"),
    Column("peak_memory_bytes", "int", "largest resident set, bytes", "not measured"),
    Column("peak_device_memory_bytes", "int", _DEVICE_MEMORY, _NO_DEVICE_MEMORY),
    Column("peak_device_memory_source", "str", "process: as the driver reports it of the child; rise: of the whole card", "as the memory"),
    Column("precision_ran", "str", "of the case: as in cases", "it does not tell"),
    Column("warnings", "str", "codes of the other findings", "none"),
    Column("trace", "str", "path of the raw trace inside the run", "none was stored"),
    _CALIBRATED,
)

DOMAINS = (
    Column("run_id", "str", "the run"),
    Column("case_id", "str", "canonical text of the case"),
    Column("domain", "str", "what was sampled: package, dram, gpu:0, system, wall"),
    Column("sensor", "str", "what sampled it"),
    Column("kind", "str", "the weakest of the repetitions"),
    Column("device", "str", "the device it feeds"),
    Column("parent", "str", "the domain that already contains it", "none does"),
    Column("in_scope", "bool", "whether energy_j of the case sums it"),
    Column("repetitions", "int", "launches in which it was measured"),
    Column("energy_j", "float", "gross per unit, J", "missing in every repetition"),
    Column("energy_low_j", "float", "lower 95 % bound, repeatability, J", _ONE),
    Column("energy_high_j", "float", "upper 95 % bound, repeatability, J", _ONE),
    Column("energy_net_j", "float", "per unit, idle power taken off, J", "idle was not measured"),
    Column("integrated_j", "float", "per unit, from the power reading of the same rail, J", "there is none"),
    Column("power_w", "float", "mean power in the window, W", "missing in every repetition"),
    Column("idle_w", "float", "idle power, model loaded, W", "not measured"),
    Column("gain", "float", "relative standard uncertainty of the sensor's gain", "not known: a model has no honest one"),
    Column("update_period_s", "float", "how often the value changes, as probed, s", "not known"),
    Column("calibrated", "str", "the domain's name, where its sensor was corrected by a calibration", "it was not"),
)

BUILDS = (
    Column("run_id", "str", "the run"),
    Column("build_id", "str", "hash of all that determines the result"),
    Column("model", "str", "the model", "the suite no longer holds the build"),
    Column("lineage", "str", "the steps so far, joined by >", "as model"),
    Column("format", "str", "what comes out", "as model"),
    Column("status", "str", "of the last attempt"),
    Column("reason", "str", "why it is not ok", "it is ok"),
    Column("cached", "bool", "whether it was found in the cache: the figures are then the original's"),
    Column("seconds", "float", "how long it took, s", "not measured"),
    Column("energy_j", "float", "gross of the whole build, J: measured domains; where there is none, modelled ones", "not measured"),
    Column("energy_kind", "str", "the weakest in energy_j"),
    Column("energy_scope", "str", "the domains summed", "no domain counts"),
    Column("artifact_bytes", "int", "bytes", "it was not built"),
    Column("parameters", "int", "weights of the model", _UNTOLD),
    Column("nonzero_parameters", "int", "weights that are not exactly 0", _UNTOLD),
    Column("sha256", "str", "of the artifact", "it was not built"),
    _CALIBRATED,
)

_SHOWN = (
    "case_id", "status", "valid", "invalid_reasons", "repetitions", "quality_metric", "quality", "quality_low", "quality_high",
    "latency_p50_s", "latency_p50_low_s", "latency_p50_high_s", "latency_p99_s", "latency_p99_low_s", "latency_p99_high_s",
    "energy_j", "energy_low_j", "energy_high_j", "energy_abs_low_j", "energy_abs_high_j", "energy_kind", "energy_scope", "calibrated",
    "energy_vs_baseline", "energy_vs_baseline_low", "energy_vs_baseline_high", "warnings",
)  # fmt: skip


def _previous(quantity: str, null: str) -> tuple[Column, ...]:
    """How a row stands to the run before."""
    return (
        Column(f"{quantity}_vs_previous", "float", "over that of the run before, geometric means", null),
        Column(f"{quantity}_vs_previous_low", "float", "lower 95 % bound; between machines it holds the gains of both", f"{null}; {_ONE}"),
        Column(f"{quantity}_vs_previous_high", "float", "upper 95 % bound", f"{null}; {_ONE}"),
        Column(
            f"{quantity}_change", "str", "better, worse, same (within 1 %) or not separated: all rows together at 5 %, 1 % after a stopping rule; "
            "what two days differ in beside their launches, such as the room, is in no interval",
            f"{null}; {_ONE}",
        ),
    )  # fmt: skip


HISTORY = (
    Column("run_id", "str", "the run"),
    Column("started_utc", "str", "when it began, ISO 8601"),
    Column("host", "str", "name of the machine", "the run does not hold its environment"),
    *(column for column in CASES if column.name in _SHOWN),
    *_previous("energy", f"the first run, {_UNMEASURED}, another kind or scope, or another machine whose gain is not known"),
    *_previous("latency", "the first run, or not measured in both"),
    Column(
        "changed", "str", "what is not as in the run before: host, profile, suite, versions, sensors; joined by semicolons", "nothing is"
    ),
)

TABLES = {"cases": CASES, "runs": RUNS, "domains": DOMAINS, "builds": BUILDS, "history": HISTORY}


def describe_columns(table: str = "cases") -> str:
    """A Markdown table of one public table's columns, for the documentation."""
    rows = [f"| `{c.name}` | {c.type} | {c.meaning} | {c.null or 'never'} |" for c in TABLES[table]]
    return "\n".join(["| column | type | meaning | null when |", "|---|---|---|---|", *rows])
