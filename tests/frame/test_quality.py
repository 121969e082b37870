"""Quality in the tables: agreement with dense, what is shown on the same samples, and both on the front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import sentences
from harness.schema import Answers, Model, Quality
from tests.factories import COUNTERS, case, record, stored

DENSE, INT8 = case("dense"), case("int8")
N = 1000
RIGHT = np.arange(N) >= 20
"""Dense is wrong on 20 of 1,000."""


def pair(dense: Answers | None, int8: Answers | None, qualities=(0.98, 0.98), energies=(2.0, 1.0), **suite) -> tuple[pd.Series, pd.Series]:
    """The rows of dense and int8, which said this; three launches of each."""
    records = [
        record(c, {"package": e * (1 + k / 1000)}, e * 1e-5, q, k, COUNTERS)
        for c, e, q in zip((DENSE, INT8), energies, qualities, strict=True)
        for k in range(3)
    ]
    answers = {c.case_id: a for c, a in ((DENSE, dense), (INT8, int8)) if a}
    table = frame.cases([replace(stored([DENSE, INT8], records, COUNTERS, **suite), answers=answers)])
    return table.iloc[0], table.iloc[1]


def outputs(*classes: int) -> Answers:
    """Vectors whose largest is that class."""
    return Answers(outputs=np.eye(3, dtype=np.float32)[list(classes)])


def test_agreement_is_the_share_of_samples_with_denses_class():
    """Beside the quality; dense agrees with itself by definition."""
    dense, int8 = pair(outputs(0, 1, 2, 0), outputs(0, 1, 2, 1))
    assert (int8.agreement, int8.output_max_diff, int8.quality_metric) == (0.75, 1.0, "accuracy")
    assert (dense.agreement, dense.output_max_diff) == (1, 0)


def test_answers_that_are_not_finite_are_counted_and_told():
    """Dense agrees with itself even in NaN: nothing else would say that it answers nothing."""
    broken = np.array([[np.nan, 1], [0, 1], [np.inf, 1], [2, 3]], np.float32)
    dense, int8 = pair(Answers(outputs=broken), Answers(outputs=np.eye(4, 2, dtype=np.int8)))
    assert (dense.not_finite_share, int8.not_finite_share) == (0.5, 0)
    assert pd.isna(pair(None, None)[0].not_finite_share)
    told = sentences(rows_of(pd.DataFrame([dense, int8])))
    assert any(each.startswith("dense on litert: 50 % of its outputs are not finite") for each in told)
    assert not any(each.startswith("int8") and "not finite" in each for each in told)


def test_without_labels_agreement_is_the_quality():
    """With Wilson's interval; of dense 1 without one. Both stand on the front, and the verdict is about the agreement."""
    said = np.arange(N) % 3
    dense, int8 = pair(outputs(*said), outputs(*np.where(np.arange(N) < 2, said + 1, said) % 3), (None, None))
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
        (outputs(0, 1), Answers(outputs=np.zeros((2, 4), np.float32))),
        (outputs(0, 1), Answers(outputs=np.zeros((2, 3, 1), np.float32))),
    ],
)
def test_what_cannot_be_compared_is_null(dense, int8):
    """No outputs, or of another shape: no agreement, and without labels no quality either."""
    row = pair(dense, int8, (None, None))[1]
    assert all(pd.isna(row[name]) for name in ("agreement", "output_max_diff", "quality", "quality_metric", "quality_diff", "p_front"))


def test_a_missing_baseline_leaves_null():
    """Though the case has outputs."""
    alone = replace(stored([INT8], [record(INT8, quality=None)]), answers={INT8.case_id: outputs(0, 1)})
    row = frame.cases([alone]).iloc[0]
    assert pd.isna(row.agreement) and pd.isna(row.quality)


def test_outputs_without_classes_are_compared_by_their_range():
    """Where the metric is an error, or the suite says so without labels, or the output is no vector."""
    dense = Answers(outputs=np.array([[0.0, 100.0], [100.0, 0.0]], np.float32))
    int8 = Answers(outputs=np.array([[0.5, 100.0], [98.0, 0.0]], np.float32))
    assert pair(dense, int8, (None, None))[1].agreement == 1
    model = Model(name="digits-cnn", format="onnx", sha256="0" * 64, metric="mean_squared_error")
    table = stored([DENSE, INT8], [record(c, quality=None) for c in (DENSE, INT8)])
    suite = table.header.suite.model_copy(update={"models": (model,)})
    run = replace(table, header=table.header.model_copy(update={"suite": suite}), answers={DENSE.case_id: dense, INT8.case_id: int8})
    assert frame.cases([run]).agreement[1] == 0.5
    maps = [Answers(outputs=each.outputs[:, None, :].repeat(2, axis=1)) for each in (dense, int8)]
    assert pair(*maps, (None, None))[1].agreement == 0.5


def per_sample(right) -> Answers:
    """Right and wrong."""
    return Answers(per_sample=np.asarray(right, dtype=np.float64))


def test_quality_is_paired_with_dense():
    """Wrong on the same 20 and one more of 1,000: shown to be as good, where apart the intervals of the two overlap the margin."""
    worse = RIGHT & (np.arange(N) != 500)
    dense, int8 = pair(per_sample(RIGHT), per_sample(worse), (0.98, 0.979))
    assert (int8.quality_diff, int8.quality_verdict) == (pytest.approx(-0.001), "non_inferior")
    assert -0.01 < int8.quality_diff_low < -0.001 < int8.quality_diff_high
    assert pd.isna(int8.quality_samples_needed)
    assert dense.quality_diff == 0 and pd.isna(dense.quality_diff_low) and pd.isna(dense.quality_verdict)


def test_too_few_samples_tell_how_many_it_takes():
    """20 gained and 20 lost of 1,000: psi 4 % at a margin of 1 % takes 6.2 psi / margin^2; 60 lost are inferior."""
    shifted = (np.arange(N) < 20) | (np.arange(N) >= 40)
    int8 = pair(per_sample(RIGHT), per_sample(shifted))[1]
    assert (int8.quality_verdict, int8.quality_samples_needed) == ("inconclusive", 2480)
    assert pair(per_sample(RIGHT), per_sample(np.arange(N) >= 80), (0.98, 0.92))[1].quality_verdict == "inferior"


def test_samples_that_are_not_the_same_give_no_verdict():
    """The difference of the means stays."""
    int8 = pair(per_sample(RIGHT), per_sample(RIGHT[1:]), (0.98, 0.97))[1]
    assert pd.isna(int8.quality_verdict) and pd.isna(int8.quality_diff)
    assert int8.quality_vs_baseline == pytest.approx(-0.01, abs=2e-3)


def test_an_error_is_better_when_it_is_smaller():
    """The verdict turns; the difference does not. Without 0 and 1 the bounds are a bootstrap's."""
    rng = np.random.default_rng(1)
    errors = rng.random(N)
    rows = [record(c, quality=None) for c in (DENSE, INT8)]
    rows = [
        r.model_copy(update={"quality": Quality(metric="mean_squared_error", direction="lower", value=v, samples=N)})
        for r, v in zip(rows, (0.5, 0.6), strict=True)
    ]
    answers = {DENSE.case_id: Answers(errors), INT8.case_id: Answers(errors + 0.1 + 0.01 * rng.random(N))}
    int8 = frame.cases([replace(stored([DENSE, INT8], rows), answers=answers)]).iloc[1]
    assert int8.quality_verdict == "inferior"
    assert 0.1 < int8.quality_diff_low < int8.quality_diff < int8.quality_diff_high < 0.11


def test_the_front_compares_quality_on_the_same_samples():
    """Half the energy and one sample fewer right dominates, which unpaired intervals of 1,000 samples cannot show."""
    worse = RIGHT & (np.arange(N) != 500)
    assert pair(per_sample(RIGHT), per_sample(worse), (0.98, 0.979))[0].dominated
    assert not pair(None, None, (0.98, 0.979))[0].dominated
    assert not pair(per_sample(RIGHT), per_sample(np.arange(N) >= 80), (0.98, 0.92))[0].dominated
