"""Public tables of repetitions, domains and builds."""

from __future__ import annotations

import pandas as pd
import pytest

from harness import frame
from tests.factories import (
    COUNTERS,
    build_record,
    record,
    stored,
)
from tests.frame.helpers import DENSE


def test_integers_stay_exact_next_to_a_missing_value():
    """Above 2^53 a float would not hold it."""
    known, unknown = (record(DENSE, repetition=k, peak_memory_bytes=most) for k, most in enumerate((2**53 + 1, None)))
    assert frame.runs([stored([DENSE], [known, unknown])]).peak_memory_bytes.tolist() == [2**53 + 1, pd.NA]


def test_a_build_has_its_energy_and_its_time():
    """Every domain of the phase `build` between its edges; no energy if one is missing."""
    built = frame.builds([stored([DENSE], [build_record()])]).iloc[0]
    assert (built.seconds, built.energy_j, built.energy_kind, built.lineage) == (40.0, 400.0, "modelled", "train")
    lost = build_record()
    parts = (lost.measurements[0], lost.measurements[1].model_copy(update={"gross_j": None, "kind": "absent"}))
    assert pd.isna(frame.builds([stored([DENSE], [lost.model_copy(update={"measurements": parts})])]).energy_j[0])


def test_the_last_attempt_at_a_build_is_its_row():
    """It failed first, and was built when the run was resumed."""
    first = build_record().model_copy(update={"status": "failed", "reason": "no memory left"})
    built = frame.builds([stored([DENSE], [first, build_record().model_copy(update={"attempt": 2})])])
    assert built.status.tolist() == ["ok"]
    assert pd.isna(built.reason[0])


def test_domains_outside_the_scope_have_rows_too():
    """Core and psys have their rows, marked as not summed."""
    run = stored([DENSE], [record(DENSE, {"package": 2.0, "dram": 0.5, "core": 1.5, "psys": 9.0}, found=COUNTERS)], COUNTERS)
    table = frame.domains([run]).set_index("domain")
    assert table.in_scope.to_dict() == {"package": True, "dram": True, "core": False, "psys": False}
    assert table.energy_j.psys == pytest.approx(9.0)
    assert pd.isna(table.integrated_j.package)
