"""A window from tick to tick, by a parent and a child, on a counter whose truth is known."""

from __future__ import annotations

import pytest

from harness.channel import Request
from harness.run.runner import Outcome, RunContext, run
from harness.schema import PROFILES, Limits, Task
from tests.simulated import SimulatedCounter, constant, ramp, square
from tests.tasks import CASE, child_task


def simulated(sensor: SimulatedCounter, query_s: float = 0.001, window_s: float = 1.5, idle_s: float = 0.3, **task: object) -> Outcome:
    """One repetition of the null engine on the given sensor."""
    profile = PROFILES["quick"].model_copy(update={"window_s": window_s, "window_ticks": 0, "idle_s": idle_s})
    context = RunContext([(sensor, sensor.open())], profile, Limits(), "run", "environment", None)
    request = Request("harness.worker.measure", child_task(query_s=query_s, **task), simulated=True)
    return run(Task(case=CASE), request, context)


@pytest.mark.parametrize("energy", [constant(100), square(20, 180, 0.3), ramp(10, 200, 0.7)], ids=["constant", "square", "ramp"])
def test_energy_from_tick_to_tick_is_the_truth(energy):
    """One window agrees with the exact energy between its own edges within 0.5 %."""
    sensor = SimulatedCounter(energy, update_period_s=0.1)
    record = simulated(sensor).record
    steady = next(m for m in record.measurements if m.phase == "steady")
    assert record.status == "ok", record.reason
    assert steady.kind == "simulated"
    assert steady.gross_j == pytest.approx(sensor.truth_j(steady.start_s, steady.end_s), rel=0.005)
    assert 0 < steady.inferences <= (steady.end_s - steady.start_s) / 0.001 + 1
    assert record.phases[-1].name == "idle"
    assert record.phases[-1].start_s - steady.end_s >= 0.3, "a counter that lags by a period would show the load in the idle phase"
