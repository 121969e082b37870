"""Payback of the energy of a case's own build steps."""

from __future__ import annotations

import pandas as pd
import pytest

from harness import frame
from tests.factories import (
    COUNTERS,
    MODELLED,
    build_record,
    digits,
    record,
    stored,
)
from tests.frame.helpers import DENSE, INT8


def paid(int8=(1.0, 1.01, 0.99), dense=(2.0, 2.02, 1.98), found=COUNTERS[:1], builds=COUNTERS[:1], build_j=400.0) -> pd.Series:
    """The row of int8 with dense as baseline, and the record of its conversion."""
    records = [
        record(c, {found[0].name: e}, repetition=k, found=found)
        for c, values in ((DENSE, dense), (INT8, int8))
        for k, e in enumerate(values)
    ]
    steps = [build_record("build-dense", builds, 9e9), build_record("build-int8", builds, build_j)]
    return frame.cases([stored([DENSE, INT8], [*records, *steps], found)]).iloc[1]


def test_the_payback_is_the_own_steps_over_the_saving():
    """The training, which dense shares, is not included."""
    found = paid()
    assert (found.build_j, found.payback_inferences) == (400, pytest.approx(400))
    assert found.payback_low < 400 < found.payback_high
    assert found.payback_verdict == "pays_back"


def test_a_saving_that_is_doubtful_or_absent_has_no_number():
    """No upper bound, or no payback at all."""
    doubtful = paid((1.0, 3.0, 1.9))
    assert doubtful.payback_verdict == "not_separated"
    assert doubtful.payback_low > 0
    assert pd.isna(doubtful.payback_high)
    assert paid((3.0, 3.01, 2.99)).payback_verdict == "no_saving"
    assert pd.isna(paid((3.0, 3.01, 2.99)).payback_inferences)


def test_measured_and_modelled_are_never_one_payback():
    """A measured saving of a modelled build has no payback; both modelled have one."""
    columns = ["build_j", "payback_inferences", "payback_low", "payback_high", "payback_verdict"]
    assert paid(builds=MODELLED)[columns].isna().all()
    assert paid(found=MODELLED[:1], builds=MODELLED[:1]).payback_verdict == "pays_back"


def test_a_saving_over_other_domains_is_no_payback():
    """The DRAM energy of dense is not a saving of a case whose DRAM was not measured."""
    whole, lost = {"package": 2.0, "dram": 0.5}, {"package": 1.0}
    records = [record(c, e, repetition=k, found=COUNTERS[:2]) for c, e in ((DENSE, whole), (INT8, lost)) for k in range(3)]
    row = frame.cases([stored([DENSE, INT8], [*records, build_record("build-int8", COUNTERS[:2], 400.0)], COUNTERS[:2])]).iloc[1]
    assert row.energy_scope == "package"
    assert pd.isna(row.payback_inferences)
    assert pd.isna(row.build_j)


def test_dense_and_a_step_without_energy_have_no_payback():
    """Dense is its own baseline; a build without an energy is not free."""
    table = frame.cases([digits()]).set_index("case_id")
    assert pd.isna(table.loc[DENSE.case_id].build_j)
    lost = build_record("build-int8", COUNTERS[:1])
    lost = lost.model_copy(update={"measurements": tuple(m.model_copy(update={"gross_j": None}) for m in lost.measurements)})
    records = [record(c, {"package": e}, found=COUNTERS) for c, e in ((DENSE, 2.0), (INT8, 1.0))]
    assert pd.isna(frame.cases([stored([DENSE, INT8], [*records, lost], COUNTERS)]).build_j[1])
