"""From the suite to the verdict on simulated instruments: two machines that do not differ, and one that draws 1.6 times as much."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.cli.entry import run_command
from harness.decide.compare import Comparison, compare
from harness.frame.results import results
from harness.run import start, timing
from harness.schema import PROFILES, StoredRun
from harness.sensors.rapl import ROOT_VARIABLE
from harness.store import read_run
from harness.suite import load_suite
from tests import rogue, tiny
from tests.campaigns import Watcher
from tests.instruments.powercap import Tree, Zone, plant, running

pytestmark = pytest.mark.slow

RATIO = 1.6
FACTORS = {"alpha": 1.0, "beta": 1.0, "gamma": RATIO}
PROFILE = PROFILES["quick"].model_copy(update={"window_s": 0.4, "window_ticks": 0, "idle_s": 0.05, "warmup_s": 0.0})
# It sleeps, so that a busy machine takes no share of its time: the watts are what differs.
SUITE = tiny.SUITE.replace("[onnxruntime]", "[rogue]").replace("[1, 4]", "[1]")


@dataclass(frozen=True)
class Machine:
    """A run and the counters it was measured by."""

    run: StoredRun
    tree: Tree

    @property
    def truth_j(self) -> float:
        """The exact energy of an inference, mean over the launches."""
        zones = {"package": "intel-rapl:0", "dram": "intel-rapl:0:0"}
        (result,) = results(self.run)
        found = [
            sum(self.tree.truth_j(zones[m.domain], m.start_s, m.end_s) / (m.inferences or 0) for m in each.parts)
            for _, each in result.launches
        ]
        return float(np.mean(found))


@pytest.fixture(scope="module")
def machines(tmp_path_factory) -> dict[str, Machine]:
    """A run on each: the project's own RAPL sensor on a simulated powercap tree, a real child, a host name of its own."""
    folder = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**rogue.install(folder), "HARNESS_CACHE": str(folder / "cache")}.items():
            patch.setenv(name, value)
        patch.syspath_prepend(folder)
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setattr(timing, "LEAD_IN_S", 0.05)
        patch.setattr(start, "COST_S", 0.06)
        plugins.catalogue.cache_clear()
        found = {name: measured(folder, name, factor, patch) for name, factor in FACTORS.items()}
    plugins.catalogue.cache_clear()
    return found


def measured(folder: Path, name: str, factor: float, patch: pytest.MonkeyPatch) -> Machine:
    """The run of one machine whose package and DRAM draw `factor` times as much."""
    zones = (
        Zone("intel-rapl:0", "package-0", ("sine", 40.0 * factor, 10.0 * factor, 0.05)),
        Zone("intel-rapl:0:0", "dram", ("constant", 8.0 * factor)),
    )
    patch.setattr(platform, "node", lambda: name)
    with running(plant(folder / name, *zones)) as tree:
        patch.setenv(ROOT_VARIABLE, str(tree.root))
        request = start.RunRequest(load_suite(tiny.write(folder, SUITE), plugins.catalogue()), SUITE, PROFILE, folder / "results")
        with start.begin(request, plugins.catalogue(), Watcher()) as running_:
            running_.run()
        return Machine(read_run(running_.store.folder), tree)


def energy(machines: dict[str, Machine], base: str, other: str) -> Comparison:
    return next(each for each in compare([machines[base].run, machines[other].run]) if each.quantity == "energy")


def test_each_energy_is_the_truth(machines):
    """Of every machine within 1 %, with nothing failed, all of it simulated."""
    for machine in machines.values():
        assert [r.status for r in machine.run.records] == ["ok"] * 4, [r.reason for r in machine.run.records]
        (result,) = results(machine.run)
        assert result.kind == "simulated" and result.scope == "package+dram"
        assert np.mean(result.energies) == pytest.approx(machine.truth_j, rel=0.01)


def test_a_known_ratio_is_covered_and_significant(machines):
    """1.6 times the energy is worse, the other way round better; the interval holds the truth of these very windows and of the watts."""
    found = energy(machines, "alpha", "gamma")
    assert found.verdict == "worse" and found.kind == "simulated"
    assert found.ratio.low < machines["gamma"].truth_j / machines["alpha"].truth_j < found.ratio.high
    assert found.ratio.low < RATIO < found.ratio.high
    assert energy(machines, "gamma", "alpha").verdict == "better"


def test_equal_machines_get_no_winner(machines):
    """The true ratio of 1 is in the interval. The latencies are those of one engine."""
    found = energy(machines, "alpha", "beta")
    assert found.verdict in ("same", "not separated")
    assert found.ratio.low < 1 < found.ratio.high


def test_the_output_reports_simulated_and_comparable_machines(machines, capsys):
    """Other host names prevent nothing; the energies are marked as simulated."""
    folders = [str(machines[name].run.folder) for name in FACTORS]
    assert run_command(["compare", *folders]) == 0
    output = capsys.readouterr().out
    assert all(word in output for word in ("alpha", "beta", "gamma", "The runs are comparable", "energy is SIMULATED"))
    assert [line.split()[0] for line in output.splitlines() if "worse" in line and "energy" in line and "/A" in line] == ["C/A"]


def test_the_gate_finds_it(machines, capsys):
    """60 % more energy fails that row; the base against itself passes."""
    alpha, gamma = (str(machines[name].run.folder) for name in ("alpha", "gamma"))
    assert run_command(["gate", gamma, "--against", alpha]) == 1
    output = capsys.readouterr()
    assert "failed  product/dense/rogue" in output.out and "energy +" in output.out
    assert "simulated" in output.err and "machines or their software differ" in output.err
    assert run_command(["gate", alpha, "--against", alpha]) == 0
