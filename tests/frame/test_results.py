"""Results of a run: attempts that count, scope, kind, and agreement with dense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness import frame
from harness.schema import Model, StoredOutputs
from tests.factories import (
    CARD,
    COUNTERS,
    INVALID,
    WARNING,
    case,
    measurement,
    record,
    stored,
)
from tests.frame.helpers import DENSE, INT8, N, one, outputs, pair, row


def test_the_last_attempt_that_is_ok_counts():
    """A later failure does not replace a success, a later success replaces an earlier one."""
    attempts = [("failed", 1), ("ok", 2), ("ok", 3), ("failed", 4)]
    records = [record(DENSE, {"package": 1.0 * n} if s == "ok" else {}, found=COUNTERS, attempt=n, status=s) for s, n in attempts]
    run = stored([DENSE], records, COUNTERS)
    assert frame.runs([run]).attempt.tolist() == [3]
    assert row(run).energy_j == pytest.approx(3.0)


def test_a_case_that_never_ran_has_no_row():
    """The suite's cases that have no record yet are not in the table."""
    assert frame.cases([stored([DENSE, INT8], [record(INT8)])]).variant.tolist() == ["int8"]


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
    """The same is true if the whole sensor was missing, so that its domain is not listed."""
    records = [record(DENSE, {"package": 2.0, "dram": 0.5}, found=COUNTERS), record(DENSE, {"package": 2.0}, repetition=1, found=COUNTERS)]
    found = row(stored([DENSE], records, COUNTERS))
    assert (found.energy_j, found.energy_repetitions) == (pytest.approx(2.5), 1)


def test_a_counter_and_its_power_reading_are_one_rail():
    """The power reading of a rail with a counter is not summed and has no row."""
    run = stored([case(device="gpu")], [record(case(device="gpu"), {"gpu:0": 7.0, "gpu:0:power": 7.1}, found=CARD)], CARD)
    assert row(run).energy_j == pytest.approx(7.0)
    assert frame.domains([run]).domain.tolist() == ["gpu:0"]


def test_the_suite_can_choose_the_domains():
    """By name or family; `package` also means `package:1`."""
    second = COUNTERS[0].model_copy(update={"name": "package:1"})
    records = [record(DENSE, {"package": 2.0, "package:1": 1.0, "dram": 0.5}, found=(*COUNTERS, second))]
    assert row(stored([DENSE], records, (*COUNTERS, second), domains=("package",))).energy_scope == "package+package:1"


def test_one_simulated_part_makes_the_sum_simulated():
    """The kind of a sum is that of its weakest part."""
    parts = (measurement(COUNTERS[0], 2.0, 100.0), measurement(COUNTERS[1], 0.5, 100.0, kind="simulated"))
    assert row(stored([DENSE], [record(DENSE, {}, measurements=parts)], COUNTERS)).energy_kind == "simulated"


def test_an_invalid_repetition_gives_no_energy():
    """If all are invalid, the row is; if one is, it is left out and its code is a warning."""
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


def test_agreement_is_the_share_of_samples_with_denses_class():
    """In addition to the quality; dense agrees with itself by definition."""
    dense, int8 = pair(outputs(0, 1, 2, 0), outputs(0, 1, 2, 1))
    assert (int8.agreement, int8.output_max_diff, int8.quality_metric) == (0.75, 1.0, "accuracy")
    assert (dense.agreement, dense.output_max_diff) == (1, 0)


def test_without_labels_agreement_is_the_quality():
    """With Wilson's interval, of dense 1 without one; front and verdict use it."""
    classes = np.arange(N) % 3
    dense, int8 = pair(outputs(*classes), outputs(*np.where(np.arange(N) < 2, classes + 1, classes) % 3), (None, None))
    assert (int8.quality_metric, int8.quality_direction, int8.quality) == ("agreement", "higher", 0.998)
    assert int8.quality_low < 0.998 < int8.quality_high
    assert (dense.quality_metric, dense.quality) == ("agreement", 1)
    assert pd.isna(dense.quality_low) and pd.isna(dense.quality_high) and pd.isna(dense.quality_verdict)
    assert (int8.quality_diff, int8.quality_verdict) == (pytest.approx(-0.002), "non_inferior")
    # Of 1,000 samples the two differ in 2: a draw holds neither in exp(-2) = 14 %, and dense then costs more for nothing.
    assert dense.dominated and 0.78 < dense.p_front < 0.92


@pytest.mark.parametrize(
    ("dense", "int8"),
    [
        (None, outputs(0, 1)),
        (outputs(0, 1), None),
        (outputs(0, 1), StoredOutputs(outputs=np.zeros((2, 4), np.float32))),
        (outputs(0, 1), StoredOutputs(outputs=np.zeros((2, 3, 1), np.float32))),
    ],
)
def test_outputs_that_cannot_be_compared_have_no_agreement(dense, int8):
    """None stored, or of another shape; without labels there is no quality either."""
    row = pair(dense, int8, (None, None))[1]
    assert all(pd.isna(row[name]) for name in ("agreement", "output_max_diff", "quality", "quality_metric", "quality_diff", "p_front"))


def test_without_a_baseline_there_is_no_agreement():
    """Although the case has outputs."""
    alone = replace(stored([INT8], [record(INT8, quality=None)]), outputs={INT8.case_id: outputs(0, 1)})
    row = frame.cases([alone]).iloc[0]
    assert pd.isna(row.agreement) and pd.isna(row.quality)


def test_outputs_without_classes_are_compared_by_their_range():
    """If the metric is an error, in the records or in the suite, or the output is not a vector."""
    dense = StoredOutputs(outputs=np.array([[0.0, 100.0], [100.0, 0.0]], np.float32))
    int8 = StoredOutputs(outputs=np.array([[0.5, 100.0], [98.0, 0.0]], np.float32))
    assert pair(dense, int8, (None, None))[1].agreement == 1
    model = Model(name="digits-cnn", format="onnx", sha256="0" * 64, metric="mean_squared_error")
    table = stored([DENSE, INT8], [record(c, quality=None) for c in (DENSE, INT8)])
    suite = table.header.suite.model_copy(update={"models": (model,)})
    run = replace(table, header=table.header.model_copy(update={"suite": suite}), outputs={DENSE.case_id: dense, INT8.case_id: int8})
    assert frame.cases([run]).agreement[1] == 0.5
    maps = [StoredOutputs(outputs=each.outputs[:, None, :].repeat(2, axis=1)) for each in (dense, int8)]
    assert pair(*maps, (None, None))[1].agreement == 0.5


@pytest.mark.parametrize(("fact", "column"), [(True, True), (False, False), ("off", None), (None, None)])
def test_tf32_is_what_the_engine_reports_as_true_or_false(fact, column):
    """A fact of the same name in another type, as an engine of another package may report, is not one."""
    cell = one(engine_facts={} if fact is None else {"tf32": fact})["tf32"]
    assert pd.isna(cell) if column is None else cell == column
