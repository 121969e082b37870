"""The finding on the order of the launches of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness import frame
from harness.cli.summary import warning_lines
from harness.frame.order import order_finding
from harness.frame.rows import rows_of
from harness.report.page import findings
from tests.factories import COUNTERS, MODELLED, case, record, stored

CASES = [case(batch_size=size) for size in (1, 2, 4, 8, 16)]


def run_of(drift=0.0, per_kelvin=0.0, found=COUNTERS, seed=3, blocks=5):
    """Five cases of five launches with a scatter of 0.5 %, whose energy drifts over the run or follows the start temperature."""
    random = np.random.default_rng(seed)
    records = []
    for k in range(blocks):
        for each in CASES:
            degc = 45 + random.normal(0, 4)
            joules = float(np.exp(0.005 * random.normal() + drift * k / (blocks - 1) + per_kelvin * degc))
            records.append(record(each, {"package": joules}, repetition=k, found=found, start_conditions={"cpu_temperature": degc}))
    thermometer = COUNTERS[0].model_copy(update={"name": "cpu_temperature", "quantity": "temperature", "unit": "degC", "kind": None})
    return stored(CASES, records, (*found, thermometer))


def test_a_drift_over_the_run_is_reported_with_its_size():
    """In every table and text; the warning is that of each case."""
    run = run_of(drift=0.05)
    finding = order_finding(run)
    assert finding.values["by"] == "order" and 0.03 < finding.values["change"] < 0.07
    assert "from the first to the last launch" in finding.sentence and finding.remedy and not finding.invalid
    cases = frame.cases([run])
    assert cases["warnings"].str.contains("order_effect").all()
    assert any(line.startswith("! order_effect, 5 of 5 cases: ") and finding.sentence in line for line in warning_lines(run, cases))
    assert (finding, "the run") in findings(run, rows_of(cases))


def test_warmer_starts_are_reported():
    """Per kelvin."""
    finding = order_finding(run_of(per_kelvin=0.005))
    assert finding.values["by"] == "start temperature" and "per kelvin of start temperature" in finding.sentence


def test_without_an_effect_there_is_no_finding():
    """Nor for a single launch of each case."""
    run = run_of()
    assert order_finding(run) is None and "order_effect" not in str(frame.cases([run])["warnings"].tolist())
    assert findings(run, rows_of(frame.cases([run]))) == []
    assert order_finding(run_of(drift=0.5, blocks=2)) is None


def test_modelled_energies_are_not_tested():
    """They follow the load of the machine."""
    assert order_finding(run_of(drift=0.05, found=MODELLED)) is None


def test_failed_launches_are_left_out():
    """They have no energy."""
    run = run_of(drift=0.05)
    failed = tuple(r.model_copy(update={"status": "failed"}) if r.case_id == CASES[0].case_id else r for r in run.records)
    assert order_finding(replace(run, records=failed)).values["cases"] == 4
