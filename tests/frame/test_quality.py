"""Quality columns: the quality of a case, and its paired difference to dense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import output_sentences
from harness.schema import Quality, StoredOutputs
from tests.factories import record, stored
from tests.frame.helpers import DENSE, INT8, RIGHT, N, pair, per_sample


def test_outputs_that_are_not_finite_are_counted_and_reported():
    """Dense agrees with itself even in NaN, so agreement would not reveal it."""
    broken = np.array([[np.nan, 1], [0, 1], [np.inf, 1], [2, 3]], np.float32)
    dense, int8 = pair(StoredOutputs(outputs=broken), StoredOutputs(outputs=np.eye(4, 2, dtype=np.int8)))
    assert (dense.not_finite_share, int8.not_finite_share) == (0.5, 0)
    assert pd.isna(pair(None, None)[0].not_finite_share)
    findings = output_sentences(rows_of(pd.DataFrame([dense, int8])))
    assert findings[0].startswith("dense on litert (cpu, batch 1, 1 thread): 50 % of its outputs are not finite")


def test_quality_is_paired_with_dense():
    """Wrong on the same 20 and one more of 1,000 is non-inferior, although the unpaired intervals are wider than the margin."""
    worse = RIGHT & (np.arange(N) != 500)
    dense, int8 = pair(per_sample(RIGHT), per_sample(worse), (0.98, 0.979))
    assert (int8.quality_diff, int8.quality_verdict, int8.quality_samples) == (pytest.approx(-0.001), "non_inferior", N)
    assert -0.01 < int8.quality_diff_low < -0.001 < int8.quality_diff_high
    assert pd.isna(int8.quality_samples_needed)
    assert dense.quality_diff == 0 and pd.isna(dense.quality_diff_low) and pd.isna(dense.quality_verdict)


def test_too_few_samples_give_the_number_needed():
    """20 gained and 20 lost of 1,000: psi 4 % at a margin of 1 % takes 6.2 psi / margin^2; 60 lost are inferior."""
    shifted = (np.arange(N) < 20) | (np.arange(N) >= 40)
    int8 = pair(per_sample(RIGHT), per_sample(shifted))[1]
    assert (int8.quality_verdict, int8.quality_samples_needed) == ("inconclusive", 2480)
    assert pair(per_sample(RIGHT), per_sample(np.arange(N) >= 80), (0.98, 0.92))[1].quality_verdict == "inferior"


def test_different_samples_give_no_verdict():
    """The difference of the means stays."""
    int8 = pair(per_sample(RIGHT), per_sample(RIGHT[1:]), (0.98, 0.97))[1]
    assert pd.isna(int8.quality_verdict) and pd.isna(int8.quality_diff)
    assert int8.quality_vs_baseline == pytest.approx(-0.01, abs=2e-3)


def test_an_error_is_better_when_it_is_smaller():
    """The verdict is reversed, the difference is not. The bounds of values other than 0 and 1 are a bootstrap's."""
    rng = np.random.default_rng(1)
    errors = rng.random(N)
    rows = [record(c, quality=None) for c in (DENSE, INT8)]
    rows = [
        r.model_copy(update={"quality": Quality(metric="mean_squared_error", direction="lower", value=v, samples=N)})
        for r, v in zip(rows, (0.5, 0.6), strict=True)
    ]
    answers = {DENSE.case_id: StoredOutputs(errors), INT8.case_id: StoredOutputs(errors + 0.1 + 0.01 * rng.random(N))}
    int8 = frame.cases([replace(stored([DENSE, INT8], rows), outputs=answers)]).iloc[1]
    assert int8.quality_verdict == "inferior"
    assert 0.1 < int8.quality_diff_low < int8.quality_diff < int8.quality_diff_high < 0.11
