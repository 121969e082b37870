"""Records of tasks that did not run to their end."""

from __future__ import annotations

import numpy as np
import pytest

from harness.run import recovery
from harness.schema import Build, Sample, Step, Task
from harness.store.journal import Announcement, Lost
from tests import factories

HEADER = factories.digits().header
CASE = HEADER.suite.cases[0]


def lost(**until_s: float) -> Lost:
    """A case during which the harness was killed; 10 W from 100 s on, each domain read until then."""
    announced = Announcement(
        task=Task(case=CASE, repetition=2, block=2), boot_id="boot", started_utc="2026-01-01", utc_minus_monotonic_s=5.0
    )
    times = {name: np.arange(100.0, end_s + 0.1) for name, end_s in until_s.items()}
    samples = {name: Sample(t_s, t_s, np.full(len(t_s), 10.0)) for name, t_s in times.items()}
    return Lost(announced, (("load", 100.0), ("idle", 102.0), ("warmup", 106.0)), samples)


def test_a_lost_task_is_stored_as_far_as_all_sensors_were_read():
    """The joules of a phase are unknown unless every sensor was read until its end."""
    record, trace = recovery.killed(lost(package=105, dram=107), HEADER, simulated=False)
    assert (record.status, record.case_id, record.repetition, record.boot_id) == ("killed", CASE.case_id, 2, "boot")
    assert [(p.name, p.start_s, p.end_s) for p in record.phases] == [("load", 100, 102), ("idle", 102, 105)]
    assert {(m.domain, m.phase, m.gross_j) for m in record.measurements} == {
        (name, phase, joules) for name in ("package", "dram") for phase, joules in (("load", 20.0), ("idle", 30.0))
    }
    assert set(trace.samples) == {"package", "dram"}


@pytest.mark.parametrize(("simulated", "kinds"), [(True, {"simulated"}), (False, {"modelled"})])
def test_a_lost_task_of_a_test_double_is_simulated(simulated, kinds):
    """Its joules are marked as simulated."""
    record, _ = recovery.killed(lost(package=105), HEADER, simulated=simulated)
    assert {m.kind for m in record.measurements} == kinds


def test_a_task_lost_before_its_first_reading_has_no_phase_and_no_energy():
    """An unknown domain has no energy either."""
    assert recovery.killed(lost(), HEADER, simulated=False)[0].phases == ()
    assert recovery.killed(lost(strange=105), HEADER, simulated=False)[0].measurements == ()


def test_a_task_that_never_began_has_its_ids_and_a_reason():
    """A build has its id, a case also that of the build of its artifact."""
    here = HEADER.environments[0]
    build = Build(build_id="b", model="m", step=Step(recipe="train"), format="keras")
    records = [recovery.not_begun(task, "refused", "why", "run", here) for task in (Task(build=build, attempt=3), Task(case=CASE))]
    assert [(r.task, r.case_id, r.build_id, r.attempt) for r in records] == [
        ("build", None, "b", 3),
        ("case", CASE.case_id, CASE.build_id, 1),
    ]
    assert {(r.status, r.reason, r.environment_id, r.measurements) for r in records} == {("refused", "why", here.environment_id, ())}
