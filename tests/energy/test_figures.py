"""All figures of a task from its raw data."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.figures import Raw, Setting, figures
from harness.schema import Domain, Trace, WindowTimes
from harness.schema.worker import Scores
from tests.energy.traces import sampled
from tests.tasks import CASE

PACKAGE = Domain(name="package", sensor="s", quantity="power", unit="W", kind="sampled", gain=0.05, limit_w=200)


def raw(watts: float = 50.0, **more) -> Raw:
    """Idle at 20 W until 2 s, then a query of one inference each 10 ms."""
    t_s = np.arange(0.0, 6.0, 0.02)
    starts_ns = np.arange(2_000_000_000, 6_000_000_000, 10_000_000)
    return Raw(
        trace=Trace({"package": PACKAGE}, {"package": sampled(t_s, np.where(t_s < 2.0, 20.0, watts))}),
        windows=[WindowTimes.loose("idle", 0.5, 1.5), WindowTimes.loose("steady", 3.0, 5.0)],
        completions=np.stack([starts_ns, starts_ns + 10_000_000, np.ones(len(starts_ns), dtype=np.int64)]),
        **more,
    )


def test_energy_throughput_and_latency_of_a_case():
    """The window is that of the measurements, and a good task has no finding."""
    found = figures(raw(), Setting(case=CASE))
    idle, steady = found.measurements
    assert (idle.phase, idle.gross_j) == ("idle", pytest.approx(20.0))
    assert (steady.gross_j, steady.net_j, steady.inferences) == pytest.approx((100.0, 60.0, 200.0))
    assert (found.inferences, found.throughput_per_s) == pytest.approx((200.0, 100.0))
    assert found.latency.p50_s == pytest.approx(0.01)
    assert [(p.name, p.start_s, p.end_s) for p in found.phases] == [("idle", 0.5, 1.5), ("steady", 3.0, 5.0)]
    assert (found.findings, found.quality) == ((), None)


def test_a_record_has_no_energy_that_is_known_to_be_wrong():
    """The figures keep it, so that `verify` can compare."""
    source = raw(watts=500.0)
    found = figures(source, Setting(case=CASE))
    assert [f.code for f in found.findings] == ["implausible_value"]
    fields = found.of_record(source.trace)
    assert found.measurements[1].gross_j == pytest.approx(1000.0)
    assert [m.gross_j for m in fields["measurements"]] == [pytest.approx(20.0), None]
    assert "findings" not in fields


def test_a_task_that_did_not_end_has_no_finding():
    """Its status states what is wrong."""
    assert figures(raw(watts=500.0), Setting(case=CASE), ended=False).findings == ()


def test_what_runs_on_a_test_double_is_simulated():
    """The kind is `simulated` for any sensor."""
    assert {m.kind for m in figures(raw(), Setting(case=CASE, simulated=True)).measurements} == {"simulated"}


def test_quality_and_precision():
    """The engine's report counts where no kernels are known, but confirms nothing."""
    scored = {"scores": Scores(metric="accuracy", direction="higher"), "per_sample": np.array([1.0, 0.0]), "precision": "int8"}
    found = figures(raw(**scored), Setting(case=CASE, requested_precision="int8", profiled=True))
    assert (found.quality.value, found.precision_ran) == (0.5, "int8")
    assert [f.code for f in found.findings] == ["optimisation_not_confirmed"]


def test_facts_of_an_engine_are_not_those_of_the_file():
    """The torch engine has a fact `weights` of its own; what is known of a file's weights is `stored_weights`."""
    assert figures(raw(facts={"weights": "inference tensors"}), Setting(case=CASE)).findings == ()
    codes = [finding.code for finding in figures(raw(facts={"stored_weights": {"random_weights": True}}), Setting(case=CASE)).findings]
    assert codes == ["cost_only"]
