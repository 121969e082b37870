"""Ratios of a case to its baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness import frame
from harness.analysis.multiple_testing import verdicts
from harness.analysis.ratio import log_ratio
from tests.effects import CLOSE, DENSE_J, HALF, PACKAGE, launches, run_of
from tests.factories import (
    COUNTERS,
    case,
    record,
    stored,
)
from tests.frame.helpers import DENSE, INT8


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


def test_gains_cancel_where_two_cases_share_them_alike():
    """In the same proportion of the same sensors the gains add nothing to the ratio; in another proportion they widen it."""
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


def test_the_verdicts_hold_jointly_for_the_run():
    """Those of Shaffer over energies and latencies of all variants; the baseline has none."""
    variants = {"int8": HALF, "float16": CLOSE, "compile": (0.943e-3, 0.96e-3, 0.977e-3)}
    cells = [case(), *map(case, variants)]
    records = [*launches("dense", DENSE_J), *(r for v, energies in variants.items() for r in launches(v, energies))]
    table = frame.cases([stored(cells, records, PACKAGE)])
    ratios = [log_ratio([r.latency.p50_s for r in records[k : k + 3]], [r.latency.p50_s for r in records[:3]]) for k in (3, 6, 9)]
    expected = verdicts([ratio for ratio in ratios for _ in range(2)], float(np.log1p(0.01)))[::2]
    assert expected == ["better", "not separated", "not separated"]
    assert table.latency_verdict[1:].tolist() == expected
    assert table.energy_verdict[1:].tolist() == expected
    assert pd.isna(table.energy_verdict[0]) and pd.isna(table.latency_verdict[0])
    assert frame.cases([run_of(variants["compile"])]).latency_verdict[1] == "not separated"


def test_after_a_stopping_rule_the_verdicts_hold_at_one_percent():
    """A ratio that is better at 5 % and not at 1 %."""
    energies = (0.95e-3, 0.96e-3, 0.97e-3)
    assert frame.cases([run_of(energies)]).energy_verdict[1] == "better"
    assert frame.cases([run_of(energies, profile="standard")]).energy_verdict[1] == "not separated"


def test_a_single_launch_has_no_verdict():
    """Its spread is unknown."""
    assert pd.isna(frame.cases([run_of(HALF[:1])]).energy_verdict[1])
