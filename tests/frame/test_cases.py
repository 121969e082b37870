"""Row of a case: sums, intervals, memory, precision and carbon."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness import frame
from harness.analysis.interval import mean_interval
from harness.frame.token_columns import TOKEN_CASES
from tests.factories import (
    CARD,
    COUNTERS,
    FLOAT_KERNELS,
    MODELLED,
    case,
    digits,
    measurement,
    record,
    stored,
)
from tests.frame.helpers import CALIBRATED, DENSE, on_a_card, one, row

XLA = case("dense", "tensorflow").model_copy(update={"case_id": "digits-cnn/dense/tensorflow(xla=true)/cpu/b1/t1/single_stream"})


def test_memory_power_limit_and_tf32_of_a_card_are_columns():
    """The peak over launches, the share of the window under the power limit, and whether TensorFloat-32 was allowed."""
    found = row(on_a_card())
    assert (found.peak_device_memory_bytes, found.power_capped_share, found.tf32) == (600_000_000, 0.5, False)
    assert pd.isna(one()[["peak_device_memory_bytes", "power_capped_share", "tf32"]]).all()
    assert frame.runs([on_a_card()]).peak_device_memory_source.tolist() == ["process"] * 3


@pytest.mark.parametrize(
    ("case_id", "options"),
    [("digits-cnn/dense/tensorflow(xla=true, inter_op=2)/cpu/b1/t1/offline", "xla=true, inter_op=2"), (DENSE.case_id, None)],
)
def test_the_options_of_an_engine_are_a_column(case_id, options):
    """As in the case's id; without them two rows of one engine would look the same."""
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
    table = table.drop(columns=[column.name for column in TOKEN_CASES])  # see test_tokens
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


def test_measured_and_modelled_are_never_added():
    """A card's counter is the energy; the modelled energy of the host has a column of its own."""
    found = one((*MODELLED, *CARD), [{"package": 1.0, "dram": 0.5, "gpu:0": 7.0, "gpu:0:power": 7.1}] * 2, of=case(device="gpu"))
    assert found.energy_j == pytest.approx(7.0)
    assert found.energy_modelled_j == pytest.approx(1.5)
    assert found.energy_kind == "counter"
    assert found.energy_scope == "gpu"
    assert found.device_name == "NVIDIA GeForce RTX 4090"


def test_a_gpu_case_sums_the_host_too():
    """Packages, DRAM and its cards, in one scope; a CPU case leaves the card out."""
    energies = [{"package": 2.0, "dram": 0.5, "gpu:0": 7.0}] * 2
    assert one((*COUNTERS, *CARD), energies, of=case(device="gpu")).energy_scope == "package+dram+gpu"
    assert one((*COUNTERS, *CARD), energies).energy_j == pytest.approx(2.5)


def test_the_card_alone_has_columns_of_its_own_with_its_uuid():
    """`energy_j` is of the machine; the UUID identifies the card."""
    energies = [{"package": 2.0, "dram": 0.5, "gpu:0": 7.0}, {"package": 2.0, "dram": 0.5, "gpu:0": 7.2}]
    found = one((*COUNTERS, *CARD), energies, of=case(device="gpu"))
    assert (found.energy_j, found.device_energy_j, found.device_uuid) == (pytest.approx(9.6), pytest.approx(7.1), "GPU-4090")
    assert found.device_energy_low_j < 7.1 < found.device_energy_high_j
    assert one((*COUNTERS, *CARD), energies)[["device_energy_j", "device_uuid"]].isna().all()


def test_a_case_on_a_card_without_a_sensor_has_no_energy():
    """The energy of the host alone would omit the card's."""
    found = one(COUNTERS, [{"package": 2.0, "dram": 0.5}] * 2, of=case(device="gpu"))
    assert (found.energy_kind, found.isna().energy_j, found.isna().energy_low_j) == ("absent", True, True)


def test_repeatability_is_students_t_and_the_absolute_interval_is_wider():
    """With t(.975) at a fixed number of launches; the gain of each domain widens it."""
    energies = [{"package": e, "dram": 0.1} for e in (2.0, 2.01, 1.99)]
    found = one(COUNTERS, energies)
    expected = mean_interval([2.1, 2.11, 2.09])
    assert (found.energy_low_j, found.energy_high_j) == pytest.approx((expected.low, expected.high))
    assert found.energy_abs_high_j > found.energy_high_j
    assert 0 < found.energy_abs_low_j < found.energy_low_j


def test_after_a_stopping_rule_the_interval_has_its_quantile():
    """The profile has a target half-width: t(.9825), and whether it was met."""
    values = (2.0, 2.1, 1.9, 2.0, 2.0)
    records = [record(DENSE, {"package": e}, repetition=k, found=COUNTERS) for k, e in enumerate(values)]
    found = row(stored([DENSE], records, COUNTERS, "standard"))
    assert found.energy_low_j == pytest.approx(mean_interval(values, 0.9825).low)
    assert not found.target_reached
    assert pd.isna(row(stored([DENSE], records, COUNTERS, "quick")).target_reached)


def test_a_wide_interval_stays_above_0():
    """Three launches that scatter by a half: log form, low < value < high; a narrow one is Student's."""
    wide = one(COUNTERS, [{"package": e} for e in (1.0, 2.0, 3.0)])
    assert 0 < wide.energy_low_j < wide.energy_j < wide.energy_high_j
    assert wide.energy_j**2 == pytest.approx(wide.energy_low_j * wide.energy_high_j)


def test_a_model_has_no_absolute_interval():
    """Its gain is unknown; its sum is both energy and modelled energy."""
    found = one()
    assert found.energy_kind == "modelled"
    assert np.isnan([found.energy_abs_low_j, found.energy_abs_high_j]).all()
    assert found.energy_low_j <= found.energy_j == found.energy_modelled_j


def test_a_failed_case_is_a_row_without_figures():
    """Absent figures are empty, never 0; status and reason are there."""
    found = one(energies=[{}], status="oom", reason="out of memory", latency=None, quality=None, throughput_per_s=None, phases=())
    assert (found.status, found.reason, found.repetitions) == ("oom", "out of memory", 0)
    columns = ["energy_j", "energy_net_j", "latency_p50_s", "quality", "valid", "carbon_g", "p_front", "window_s", "throughput_per_s"]
    assert found[columns].isna().all()


def test_failed_launches_of_a_case_are_counted():
    """A case that completed in the others is ok; the reason is that of the last failure, and an attempt that is ok later replaces it."""
    lost = record(DENSE, {}, repetition=0).model_copy(update={"status": "failed", "reason": "no device"})
    others = [record(DENSE, repetition=k) for k in (1, 2)]
    found = row(stored([DENSE], [lost, *others]))
    assert (found.status, found.repetitions, found.failed_repetitions, found.reason) == ("ok", 2, 1, "no device")
    again = row(stored([DENSE], [lost, *others, record(DENSE, repetition=0, attempt=2)]))
    assert (again.repetitions, again.failed_repetitions) == (3, 0) and pd.isna(again.reason)


def test_kernels_are_those_of_the_profiled_repetition():
    """Whichever it is; the precision as reported by the engine if none was profiled; the largest resident size."""
    reported = record(DENSE, repetition=0).model_copy(update={"precision_ran": "int8 weights", "kernels": (), "resident_bytes": None})
    profiled = record(DENSE, repetition=1).model_copy(update={"kernels": FLOAT_KERNELS, "resident_bytes": 5})
    found = row(stored([DENSE], [reported, profiled]))
    assert (found.precision_ran, found.resident_bytes, found.int8_share) == ("float32", 5, pytest.approx(0.2))
    assert found.kernels == "Conv CPU float32 80 %, MatMul CPU int8 20 %"
    only = row(stored([DENSE], [reported]))
    assert only.precision_ran == "int8 weights" and pd.isna(only.kernels) and pd.isna(only.int8_share)


def test_the_memory_of_a_case_is_that_of_its_largest_launch():
    """The maximum over launches; a launch without a value does not remove it."""
    sizes = (300, None, 200)
    launches = [record(DENSE, repetition=k, peak_memory_bytes=size, resident_bytes=size) for k, size in enumerate(sizes)]
    row = frame.cases([stored([DENSE], launches)]).iloc[0]
    assert (row.peak_memory_bytes, row.resident_bytes) == (300, 300)


def test_carbon_is_the_energy_times_the_grid():
    """381 g/kWh; J to kWh is 3.6e6."""
    found = one(COUNTERS, [{"package": 2.0}] * 2)
    assert found.carbon_g == pytest.approx(2.0 / 3.6e6 * 381)
