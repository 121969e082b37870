"""The tidy tables: what is summed, what is null, which repetition counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness import frame
from harness.analysis.interval import mean_interval
from harness.frame.columns import TABLES, describe_columns
from harness.schema import StoredRun
from tests.factories import (
    CARD,
    COUNTERS,
    FLOAT_KERNELS,
    INVALID,
    MODELLED,
    WARNING,
    answers,
    build_record,
    case,
    digits,
    idle,
    measurement,
    record,
    stored,
)

CONTRACT = (
    "schema_version run_id case_id suite_hash environment_id host model variant engine device "
    "device_name device_count batch_size threads scenario unit status valid invalid_reasons repetitions "
    "target_reached window_s quality_metric quality_direction quality quality_low quality_high latency_p50_s latency_p90_s latency_p99_s "
    "throughput_per_s energy_j energy_low_j energy_high_j energy_abs_low_j energy_abs_high_j energy_net_j energy_modelled_j idle_w energy_kind "
    "energy_scope peak_memory_bytes artifact_bytes parameters nonzero_parameters macs precision_ran carbon_g baseline_case_id p_front "
    "warnings "
)

CALIBRATED = CARD[0].model_copy(
    update={"sensor": "nvml (calibrated)", "detail": {"uuid": "GPU-1", "calibration": {"offset_u_w": 0.3, "gain": 1.5}}}
)
DENSE, INT8 = case("dense"), case("int8")
XLA = case("dense", "tensorflow").model_copy(update={"case_id": "digits-cnn/dense/tensorflow(xla=true)/cpu/b1/t1/single_stream"})


def row(run) -> pd.Series:
    """The only row of a run's cases."""
    table = frame.cases([run])
    assert len(table) == 1
    return table.iloc[0]


def one(found=MODELLED, energies=(None, None, None), of=DENSE, **changes) -> pd.Series:
    """The row of a case with such repetitions."""
    records = [record(of, each, repetition=k, found=found, **changes) for k, each in enumerate(energies)]
    return row(stored([of], records, found))


def on_a_card(energies=(7.0, 7.1, 6.9), domain=CARD[0]) -> StoredRun:
    """A GPU case whose idle power was 30 W before and 32 W after."""
    gpu = case(device="gpu")
    parts = [(measurement(domain, e, 60_000.0), *idle(domain, 30.0, 32.0)) for e in energies]
    told = {
        "conditions": {f"{domain.name} power_capped": 0.5},
        "engine_facts": {"tf32": False},
        "peak_device_memory_bytes": 600_000_000,
        "peak_device_memory_source": "process",
    }
    return stored([gpu], [record(gpu, {}, repetition=k, measurements=each, **told) for k, each in enumerate(parts)], (domain,))


def test_what_the_card_was_asked_for_stands_beside_its_energy():
    """Memory by the launch that took most, the share of the window under the power limit, whether TensorFloat-32 was allowed."""
    found = row(on_a_card())
    assert (found.peak_device_memory_bytes, found.power_capped_share, found.tf32) == (600_000_000, 0.5, False)
    assert pd.isna(one()[["peak_device_memory_bytes", "power_capped_share", "tf32"]]).all()
    assert frame.runs([on_a_card()]).peak_device_memory_source.tolist() == ["process"] * 3


def test_the_contract_comes_first_and_in_its_order():
    """Whoever reads the table by position finds the contract's columns; useful others stand after them."""
    assert frame.cases([digits()]).columns[: len(CONTRACT.split())].tolist() == CONTRACT.split()


@pytest.mark.parametrize("name", [name for name in TABLES if name != "history"])
def test_every_table_has_its_declared_columns(name):
    """Also where no row fills them, and the documentation names each once."""
    assert frame.tables([digits()])[name].columns.tolist() == [c.name for c in TABLES[name]]
    assert frame.tables([])[name].columns.tolist() == [c.name for c in TABLES[name]]
    assert describe_columns(name).count("\n") == len(TABLES[name]) + 1


@pytest.mark.parametrize(
    ("case_id", "options"),
    [("digits-cnn/dense/tensorflow(xla=true, inter_op=2)/cpu/b1/t1/offline", "xla=true, inter_op=2"), (DENSE.case_id, None)],
)
def test_the_options_of_an_engine_are_told(case_id, options):
    """As the case's id has them: without them two rows of one engine would look the same."""
    one = case("dense", "tensorflow").model_copy(update={"case_id": case_id})
    found = frame.cases([stored([one], [record(one)])]).iloc[0].engine_options
    assert found == options if options else pd.isna(found)


def test_no_column_is_forgotten():
    """Every column of `cases` but the reasons that did not occur is filled somewhere."""
    table = pd.concat(
        [
            frame.cases([digits(COUNTERS, 5, "standard")]),
            frame.cases([digits()]),
            frame.cases([on_a_card(domain=CALIBRATED)]),
            frame.cases([stored([XLA], [record(XLA)])]),
        ]
    )
    assert [name for name in table if table[name].isna().all()] == []


def test_a_cpu_case_sums_packages_and_dram():
    """Not core, which package contains, and not psys, which contains both."""
    found = one(COUNTERS, [{"package": 2.0, "dram": 0.5, "core": 1.5, "psys": 9.0}] * 2)
    assert found.energy_j == pytest.approx(2.5)
    assert found.energy_scope == "package+dram"
    assert found.energy_kind == "counter"


def test_each_domain_has_its_own_count_of_inferences():
    """The sum is of joules per inference between each domain's own edges, not joules over a common count."""
    parts = (measurement(COUNTERS[0], 2.0, 100.0), measurement(COUNTERS[1], 0.5, 80.0))
    found = row(stored([DENSE], [record(DENSE, {}, measurements=parts)], COUNTERS))
    assert found.energy_j == pytest.approx(2.5)


def test_several_windows_of_one_domain_are_one_energy():
    """Where the load was shifted into several windows, joules and inferences add up before they are divided."""
    parts = (measurement(COUNTERS[0], 2.0, 100.0), measurement(COUNTERS[0], 4.0, 300.0))
    found = row(stored([DENSE], [record(DENSE, {}, measurements=parts)], COUNTERS[:1]))
    assert found.energy_j == pytest.approx(3.5)


def test_a_missing_domain_leaves_no_partial_sum():
    """One repetition without its DRAM has no energy; the others keep theirs."""
    lost = measurement(COUNTERS[1], 0.5, 100.0, gross_j=None, kind="absent")
    broken = record(DENSE, {}, repetition=2, measurements=(measurement(COUNTERS[0], 2.0, 100.0), lost))
    whole = [record(DENSE, {"package": 2.0, "dram": 0.5}, repetition=k, found=COUNTERS) for k in (0, 1)]
    run = stored([DENSE], [*whole, broken], COUNTERS)
    assert row(run).energy_j == pytest.approx(2.5)
    assert row(run).energy_repetitions == 2
    assert frame.runs([run]).energy_j.isna().tolist() == [False, False, True]


def test_a_domain_that_vanished_leaves_no_partial_sum():
    """Likewise where the sensor was gone altogether, so that its domain is not even listed."""
    records = [record(DENSE, {"package": 2.0, "dram": 0.5}, found=COUNTERS), record(DENSE, {"package": 2.0}, repetition=1, found=COUNTERS)]
    found = row(stored([DENSE], records, COUNTERS))
    assert (found.energy_j, found.energy_repetitions) == (pytest.approx(2.5), 1)


def test_measured_and_modelled_are_never_added():
    """A card's counter is the energy; what is modelled of the host stands beside it."""
    found = one((*MODELLED, *CARD), [{"package": 1.0, "dram": 0.5, "gpu:0": 7.0, "gpu:0:power": 7.1}] * 2, of=case(device="gpu"))
    assert found.energy_j == pytest.approx(7.0)
    assert found.energy_modelled_j == pytest.approx(1.5)
    assert found.energy_kind == "counter"
    assert found.energy_scope == "gpu"
    assert found.device_name == "NVIDIA GeForce RTX 4090"


def test_a_counter_and_its_power_reading_are_one_rail():
    """The gauge of a rail that has a counter is its witness: it is not summed, and it is no domain of its own."""
    run = stored([case(device="gpu")], [record(case(device="gpu"), {"gpu:0": 7.0, "gpu:0:power": 7.1}, found=CARD)], CARD)
    assert row(run).energy_j == pytest.approx(7.0)
    assert frame.domains([run]).domain.tolist() == ["gpu:0"]


def test_a_gpu_case_sums_the_host_too():
    """Packages, DRAM and its cards, in one scope; a CPU case beside it leaves the card out."""
    energies = [{"package": 2.0, "dram": 0.5, "gpu:0": 7.0}] * 2
    assert one((*COUNTERS, *CARD), energies, of=case(device="gpu")).energy_scope == "package+dram+gpu"
    assert one((*COUNTERS, *CARD), energies).energy_j == pytest.approx(2.5)


def test_the_card_alone_has_columns_of_its_own_beside_its_uuid():
    """The headline is the machine's; which card it was is in words that no other box shares."""
    energies = [{"package": 2.0, "dram": 0.5, "gpu:0": 7.0}, {"package": 2.0, "dram": 0.5, "gpu:0": 7.2}]
    found = one((*COUNTERS, *CARD), energies, of=case(device="gpu"))
    assert (found.energy_j, found.device_energy_j, found.device_uuid) == (pytest.approx(9.6), pytest.approx(7.1), "GPU-4090")
    assert found.device_energy_low_j < 7.1 < found.device_energy_high_j
    assert one((*COUNTERS, *CARD), energies)[["device_energy_j", "device_uuid"]].isna().all()


def test_a_case_on_a_card_that_nothing_reads_has_no_energy():
    """Not the host's: it would be charged with what its card drew elsewhere."""
    found = one(COUNTERS, [{"package": 2.0, "dram": 0.5}] * 2, of=case(device="gpu"))
    assert (found.energy_kind, found.isna().energy_j, found.isna().energy_low_j) == ("absent", True, True)


def test_the_suite_may_choose_the_domains():
    """By name or family; `package` also means `package:1`."""
    second = COUNTERS[0].model_copy(update={"name": "package:1"})
    records = [record(DENSE, {"package": 2.0, "package:1": 1.0, "dram": 0.5}, found=(*COUNTERS, second))]
    assert row(stored([DENSE], records, (*COUNTERS, second), domains=("package",))).energy_scope == "package+package:1"


def test_repeatability_is_students_t_and_the_absolute_interval_is_wider():
    """At a fixed R with .975; with the gain of each domain the interval holds more."""
    energies = [{"package": e, "dram": 0.1} for e in (2.0, 2.01, 1.99)]
    found = one(COUNTERS, energies)
    expected = mean_interval([2.1, 2.11, 2.09])
    assert (found.energy_low_j, found.energy_high_j) == pytest.approx((expected.low, expected.high))
    assert found.energy_abs_high_j > found.energy_high_j
    assert 0 < found.energy_abs_low_j < found.energy_low_j


def test_after_a_stopping_rule_the_interval_is_told_with_its_quantile():
    """The profile has a target half-width: t(.9825), and whether it was met."""
    values = (2.0, 2.1, 1.9, 2.0, 2.0)
    records = [record(DENSE, {"package": e}, repetition=k, found=COUNTERS) for k, e in enumerate(values)]
    found = row(stored([DENSE], records, COUNTERS, "standard"))
    assert found.energy_low_j == pytest.approx(mean_interval(values, 0.9825).low)
    assert not found.target_reached
    assert pd.isna(row(stored([DENSE], records, COUNTERS, "quick")).target_reached)


def test_every_term_of_the_uncertainty_is_told():
    """Scatter s / sqrt(R); edges in quadrature over sqrt(R); gain 7 %; offset 13 W T / n; idle half of 2 W T / n; Welch-Satterthwaite."""
    found = row(on_a_card())
    t_over_n = 1.5 / 60_000
    assert found.u_a_j == pytest.approx(0.1 / np.sqrt(3))
    assert found.u_edge_j == pytest.approx(1e-4 * 7.0 / np.sqrt(3), rel=1e-3)
    assert found.u_gain_j == pytest.approx(0.07 * 7)
    assert found.u_offset_j == pytest.approx(13 * t_over_n)
    assert found.u_base_j == pytest.approx(1.0 * t_over_n / np.sqrt(3))
    assert found.nu == pytest.approx(2 * (found.u_a_j**2 + found.u_gain_j**2) ** 2 / found.u_a_j**4)


def test_a_term_without_a_meaning_is_null():
    """A model has no edges, gain or offset; a single launch has no scatter, and its edges stand alone."""
    assert one()[["u_edge_j", "u_gain_j", "u_offset_j", "u_base_j"]].isna().all()
    assert one().u_a_j == 0
    single = row(on_a_card((7.0,)))
    assert single[["u_a_j", "nu", "energy_low_j", "energy_abs_low_j"]].isna().all()
    assert single.u_edge_j == pytest.approx(1e-4 * 7.0)


def test_a_calibrated_sensor_tells_its_own_offset():
    """In place of what is known of all cards."""
    found = row(on_a_card(domain=CALIBRATED))
    assert found.calibrated == "gpu:0"
    assert found.u_offset_j == pytest.approx(0.2 * 1.5 / 60_000)


def on_two_devices(card_j: float) -> StoredRun:
    """The same model at 1 mJ on the processor, and with a card that takes 4/5 of `card_j`; gains of 5 and 7 %, hardly any scatter."""
    card = CARD[0].model_copy(update={"sensor": "acme", "detail": {}})
    cells, found = (case(), case(device="gpu")), (COUNTERS[0], card)
    records = [
        record(c, {name: joules * (1 + 1e-4 * k) for name, joules in energies.items()}, repetition=k, found=found)
        for c, energies in zip(cells, ({"package": 1e-3}, {"package": 0.2 * card_j, "gpu:0": 0.8 * card_j}), strict=True)
        for k in range(5)
    ]
    return replace(stored(cells, records, found), answers=answers(records))


def test_gains_that_two_cases_do_not_share_alike_separate_nothing_within_them():
    """6 % less on sensors that err by 5 and 7 % is no lead, 60 % less is one. By hand: ln .94 over hypot(.04, .056) is .90, so the other leads in 18 %."""
    cpu, gpu = (row for _, row in frame.cases([on_two_devices(0.94e-3)]).iterrows())
    assert not cpu.dominated and not gpu.dominated and cpu.front_group == gpu.front_group
    assert cpu.p_front == pytest.approx(0.18, abs=0.04)
    cpu, gpu = (row for _, row in frame.cases([on_two_devices(0.4e-3)]).iterrows())
    assert cpu.dominated and gpu.p_front == 1.0 and cpu.p_front == 0.0


def test_gains_cancel_where_two_cases_share_them_alike():
    """On the same sensors in the same proportion 1 % less is separated by launches that hardly scatter; another proportion widens the ratio."""
    cells, found = (case(), case("int8")), COUNTERS[:2]
    split = {"dense": (0.8e-3, 0.2e-3), "int8": (0.8e-3, 0.2e-3)}

    def ratio(int8: tuple[float, float]) -> pd.Series:
        energies = {**split, "int8": int8}
        records = [
            record(c, {d.name: j * (1 + 1e-4 * k) for d, j in zip(found, energies[c.variant], strict=True)}, repetition=k, found=found)
            for c in cells
            for k in range(5)
        ]
        return frame.cases([stored(cells, records, found)]).iloc[1]

    alike, other = ratio((0.396e-3, 0.099e-3)), ratio((0.246e-3, 0.249e-3))
    assert alike.energy_vs_baseline_high - alike.energy_vs_baseline == pytest.approx(0, abs=2e-4)
    assert np.log(other.energy_vs_baseline_high / other.energy_vs_baseline) == pytest.approx(1.96 * 0.05 * np.hypot(0.303, 0.303), rel=0.02)


def test_edges_that_dominate_are_a_warning():
    """Longer windows would help, more launches would not; not where the scatter is larger."""
    assert row(on_a_card((7.0, 7.0, 7.0))).warnings == "edges_dominate"
    assert pd.isna(row(on_a_card()).warnings)


def test_a_wide_interval_stays_above_0():
    """Three launches that scatter by a half: log form, low < value < high; a narrow one is Student's."""
    wide = one(COUNTERS, [{"package": e} for e in (1.0, 2.0, 3.0)])
    assert 0 < wide.energy_low_j < wide.energy_j < wide.energy_high_j
    assert wide.energy_j**2 == pytest.approx(wide.energy_low_j * wide.energy_high_j)


def paid(int8=(1.0, 1.01, 0.99), dense=(2.0, 2.02, 1.98), found=COUNTERS[:1], builds=COUNTERS[:1], build_j=400.0) -> pd.Series:
    """The row of int8 beside dense, with the record of its conversion."""
    records = [
        record(c, {found[0].name: e}, repetition=k, found=found)
        for c, values in ((DENSE, dense), (INT8, int8))
        for k, e in enumerate(values)
    ]
    steps = [build_record("build-dense", builds, 9e9), build_record("build-int8", builds, build_j)]
    return frame.cases([stored([DENSE, INT8], [*records, *steps], found)]).iloc[1]


def test_the_payback_is_the_own_steps_over_the_saving():
    """The training, which dense shares, is not in it."""
    found = paid()
    assert (found.build_j, found.payback_inferences) == (400, pytest.approx(400))
    assert found.payback_low < 400 < found.payback_high
    assert found.payback_verdict == "pays_back"


def test_what_saves_nothing_for_sure_is_said():
    """No upper bound, or never; no number that is not known."""
    doubtful = paid((1.0, 3.0, 1.9))
    assert doubtful.payback_verdict == "not_separated"
    assert doubtful.payback_low > 0
    assert pd.isna(doubtful.payback_high)
    assert paid((3.0, 3.01, 2.99)).payback_verdict == "no_saving"
    assert pd.isna(paid((3.0, 3.01, 2.99)).payback_inferences)


def test_measured_and_modelled_are_never_one_payback():
    """A measured saving of a modelled build is none; both modelled is one."""
    columns = ["build_j", "payback_inferences", "payback_low", "payback_high", "payback_verdict"]
    assert paid(builds=MODELLED)[columns].isna().all()
    assert paid(found=MODELLED[:1], builds=MODELLED[:1]).payback_verdict == "pays_back"


def test_a_saving_over_other_domains_is_no_payback():
    """The memory's joules of dense are no saving of a case whose memory was not measured."""
    whole, lost = {"package": 2.0, "dram": 0.5}, {"package": 1.0}
    records = [record(c, e, repetition=k, found=COUNTERS[:2]) for c, e in ((DENSE, whole), (INT8, lost)) for k in range(3)]
    row = frame.cases([stored([DENSE, INT8], [*records, build_record("build-int8", COUNTERS[:2], 400.0)], COUNTERS[:2])]).iloc[1]
    assert row.energy_scope == "package"
    assert pd.isna(row.payback_inferences)
    assert pd.isna(row.build_j)


@pytest.mark.parametrize(("found", "compared"), [(COUNTERS[:1], True), (COUNTERS[:2], False), (MODELLED[:1], False)])
def test_a_run_is_held_against_the_one_before_where_the_same_was_measured(found, compared):
    """Neither other domains nor another kind of joules are a change of the energy; latencies are compared all the same."""

    def of(domains, started_utc: str) -> StoredRun:
        launches = [record(DENSE, {d.name: 1.0 + 0.01 * k for d in domains}, repetition=k, found=domains) for k in range(3)]
        run = stored([DENSE], launches, domains)
        return replace(run, header=run.header.model_copy(update={"started_utc": started_utc}))

    last = frame.history([of(found, "2026-02-01"), of(COUNTERS[:1], "2026-01-01")], DENSE.case_id).iloc[1]
    assert last.started_utc == "2026-02-01"
    assert pd.notna(last.energy_vs_previous) == compared
    assert last.latency_vs_previous == pytest.approx(1)


def test_dense_and_a_step_without_energy_have_no_payback():
    """Dense is its own baseline; a build whose record has no energy is not free."""
    table = frame.cases([digits()]).set_index("case_id")
    assert pd.isna(table.loc[DENSE.case_id].build_j)
    lost = build_record("build-int8", COUNTERS[:1])
    lost = lost.model_copy(update={"measurements": tuple(m.model_copy(update={"gross_j": None}) for m in lost.measurements)})
    records = [record(c, {"package": e}, found=COUNTERS) for c, e in ((DENSE, 2.0), (INT8, 1.0))]
    assert pd.isna(frame.cases([stored([DENSE, INT8], [*records, lost], COUNTERS)]).build_j[1])


def test_a_model_has_no_absolute_interval():
    """It has no honest gain; and its sum is told as both energy and modelled energy."""
    found = one()
    assert found.energy_kind == "modelled"
    assert np.isnan([found.energy_abs_low_j, found.energy_abs_high_j]).all()
    assert found.energy_low_j <= found.energy_j == found.energy_modelled_j


def test_one_simulated_part_makes_the_sum_simulated():
    """A sum is as strong as its weakest part."""
    parts = (measurement(COUNTERS[0], 2.0, 100.0), measurement(COUNTERS[1], 0.5, 100.0, kind="simulated"))
    assert row(stored([DENSE], [record(DENSE, {}, measurements=parts)], COUNTERS)).energy_kind == "simulated"


def test_an_invalid_repetition_gives_no_energy():
    """If all are invalid the row says so and holds none; if one is, it is left out and the code becomes a warning."""
    found = one(COUNTERS, [{"package": 2.0}] * 3, warnings=(INVALID, WARNING))
    assert (found.valid, found.invalid_reasons, found.warnings) == (False, "sensor_gap", "foreign_load")
    assert pd.isna(found.energy_j)
    assert found.energy_kind == "absent"
    assert found.latency_p50_s > 0
    records = [
        record(DENSE, {"package": 2 + k / 100}, repetition=k, found=COUNTERS, warnings=(INVALID,) if k == 2 else ()) for k in range(3)
    ]
    partly = row(stored([DENSE], records, COUNTERS))
    assert (partly.valid, partly.energy_repetitions, partly.warnings) == (True, 2, "sensor_gap")


def test_a_whole_number_stays_whole_beside_a_null():
    """Above 2^53 a float would not hold it."""
    known, unknown = (record(DENSE, repetition=k, peak_memory_bytes=most) for k, most in enumerate((2**53 + 1, None)))
    assert frame.runs([stored([DENSE], [known, unknown])]).peak_memory_bytes.tolist() == [2**53 + 1, pd.NA]


def test_a_failed_case_is_a_row_without_figures():
    """Absent is null, never 0: no energy, no latency, no quality, no validity; its status and reason are there."""
    found = one(energies=[{}], status="oom", reason="out of memory", latency=None, quality=None, throughput_per_s=None, phases=())
    assert (found.status, found.reason, found.repetitions) == ("oom", "out of memory", 0)
    columns = ["energy_j", "energy_net_j", "latency_p50_s", "quality", "valid", "carbon_g", "p_front", "window_s", "throughput_per_s"]
    assert found[columns].isna().all()


def test_the_last_attempt_that_is_ok_counts():
    """A later failure does not undo a success, a later success takes the place of an earlier one."""
    said = [("failed", 1), ("ok", 2), ("ok", 3), ("failed", 4)]
    records = [record(DENSE, {"package": 1.0 * n} if s == "ok" else {}, found=COUNTERS, attempt=n, status=s) for s, n in said]
    run = stored([DENSE], records, COUNTERS)
    assert frame.runs([run]).attempt.tolist() == [3]
    assert row(run).energy_j == pytest.approx(3.0)


def test_what_ran_is_that_of_the_profiled_repetition():
    """Whichever it is; the engine's own word where none was profiled; the largest resident size."""
    told = record(DENSE, repetition=0).model_copy(update={"precision_ran": "int8 weights", "kernels": (), "resident_bytes": None})
    profiled = record(DENSE, repetition=1).model_copy(update={"kernels": FLOAT_KERNELS, "resident_bytes": 5})
    found = row(stored([DENSE], [told, profiled]))
    assert (found.precision_ran, found.resident_bytes, found.int8_share) == ("float32", 5, pytest.approx(0.2))
    assert found.kernels == "Conv CPU float32 80 %, MatMul CPU int8 20 %"
    only = row(stored([DENSE], [told]))
    assert only.precision_ran == "int8 weights" and pd.isna(only.kernels) and pd.isna(only.int8_share)


def test_a_case_that_never_ran_has_no_row():
    """The suite's cases that have no record yet are not in the table."""
    assert frame.cases([stored([DENSE, INT8], [record(INT8)])]).variant.tolist() == ["int8"]


def test_ratios_to_the_baseline():
    """Half the energy of dense, with an interval; dense over itself is 1 without one; other domains are not compared."""
    records = [
        record(c, {"package": e * (1 + k / 100)}, e * 1e-5, repetition=k, found=COUNTERS)
        for c, e in ((DENSE, 2.0), (INT8, 1.0))
        for k in range(3)
    ]
    dense, int8 = (each for _, each in frame.cases([stored([DENSE, INT8], records, COUNTERS)]).iterrows())
    assert int8.energy_vs_baseline == pytest.approx(0.5)
    assert int8.energy_vs_baseline_low < 0.5 < int8.energy_vs_baseline_high
    assert int8.latency_vs_baseline == pytest.approx(0.5)
    assert dense.energy_vs_baseline == 1
    assert pd.isna(dense.energy_vs_baseline_low)
    mixed = [record(DENSE, {"package": 2.0}, found=COUNTERS), record(INT8, {"package": 1.0, "dram": 0.1}, found=COUNTERS)]
    assert pd.isna(frame.cases([stored([DENSE, INT8], mixed, COUNTERS)]).energy_vs_baseline[1])


def test_measured_and_modelled_stand_on_fronts_of_their_own():
    """A modelled CPU case never competes with a measured GPU case, however small its figure."""
    gpu = case(device="gpu")
    domains = (*MODELLED, *CARD)
    records = [record(gpu, {"gpu:0": 9.0}, 9e-5, repetition=k, found=domains) for k in range(3)]
    records += [record(DENSE, {"package": 1.0, "dram": 0.1}, 1e-5, repetition=k, found=domains) for k in range(3)]
    assert frame.cases([stored([DENSE, gpu], records, domains)]).p_front.tolist() == [1, 1]


def test_carbon_is_the_energy_times_the_grid():
    """381 g/kWh; J to kWh is 3.6e6."""
    found = one(COUNTERS, [{"package": 2.0}] * 2)
    assert found.carbon_g == pytest.approx(2.0 / 3.6e6 * 381)


def test_the_build_tells_its_energy_and_its_time():
    """Every domain of the phase `build` between its edges; a lost one leaves none."""
    built = frame.builds([stored([DENSE], [build_record()])]).iloc[0]
    assert (built.seconds, built.energy_j, built.energy_kind, built.lineage) == (40.0, 400.0, "modelled", "train")
    lost = build_record()
    parts = (lost.measurements[0], lost.measurements[1].model_copy(update={"gross_j": None, "kind": "absent"}))
    assert pd.isna(frame.builds([stored([DENSE], [lost.model_copy(update={"measurements": parts})])]).energy_j[0])


def test_the_last_attempt_at_a_build_is_its_row():
    """It failed, and was built when the run was resumed."""
    first = build_record().model_copy(update={"status": "failed", "reason": "no memory left"})
    built = frame.builds([stored([DENSE], [first, build_record().model_copy(update={"attempt": 2})])])
    assert built.status.tolist() == ["ok"]
    assert pd.isna(built.reason[0])


def test_the_memory_of_a_case_is_that_of_its_largest_launch():
    """One that another launch did not need is needed all the same; a launch that could not tell takes nothing away."""
    sizes = (300, None, 200)
    launches = [record(DENSE, repetition=k, peak_memory_bytes=size, resident_bytes=size) for k, size in enumerate(sizes)]
    row = frame.cases([stored([DENSE], launches)]).iloc[0]
    assert (row.peak_memory_bytes, row.resident_bytes) == (300, 300)


def test_domains_tell_what_was_sampled_beside_the_scope():
    """Core and psys have their rows, marked as not summed."""
    run = stored([DENSE], [record(DENSE, {"package": 2.0, "dram": 0.5, "core": 1.5, "psys": 9.0}, found=COUNTERS)], COUNTERS)
    table = frame.domains([run]).set_index("domain")
    assert table.in_scope.to_dict() == {"package": True, "dram": True, "core": False, "psys": False}
    assert table.energy_j.psys == pytest.approx(9.0)
    assert pd.isna(table.integrated_j.package)
