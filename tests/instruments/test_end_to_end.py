"""The whole path on simulated instruments: unmodified sensors, sampler, runner and a real child, against the exact energy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.sensors.rapl import ROOT_VARIABLE
from tests.instruments import nvml
from tests.instruments.powercap import Zone, plant, running

HEALTHY = "on_phase = lambda phase: None"
RUN = """
import json
from harness import plugins
from harness.channel import Request
from harness.run.runner import RunContext, run
from harness.schema import PROFILES, Limits, Task
from harness.sensors.probe import open_sensors, probe
from tests.tasks import CASE, child_task

{before}
sensors, unavailable = open_sensors(plugins.catalogue())
sensors, probed = probe(sensors, seconds=2.0)
profile = PROFILES["quick"].model_copy(update=dict(window_s=1.5, window_ticks=0, idle_s=0.3))
context = RunContext(sensors, profile, Limits(), "run", "environment", None, domains={domains})
case = CASE.model_copy(update=dict(device="gpu"))
record = run(Task(case=case), Request("harness.worker.measure", child_task()), context, on_phase).record
periods = dict((domain.name, domain.update_period_s) for _, domains in sensors for domain in domains)
print(json.dumps(dict(record=record.model_dump(), unavailable=unavailable, periods=periods, probe=probed)))
"""

ZONES = (
    Zone("intel-rapl:0", "package-0", ("square", 20.0, 90.0, 0.31), update_period_s=0.02, wrap_j=1100.0),
    Zone("intel-rapl:0:0", "core", ("constant", 15.0), update_period_s=0.02),
    Zone("intel-rapl:0:1", "dram", ("constant", 9.0), update_period_s=0.02),
)


# In the middle of the window the first GPU is lost, the counter of the second is reset, and the DRAM zone is removed.
FAULTY = """
import os, pathlib, shutil, threading, time
import pynvml

def fail():
    conf = pathlib.Path(os.environ["SIMULATED_NVML"])
    now_s = time.monotonic() - float(conf.read_text().split()[1])
    conf.write_text(conf.read_text() + f"0.error_at_s {now_s}\\n1.reset_at_s {now_s}\\n")
    pynvml.nvmlInit()  # reads its configuration again
    shutil.rmtree(pathlib.Path(os.environ["HARNESS_POWERCAP"]) / "intel-rapl:0:1")

def on_phase(phase):
    if phase == "steady":
        threading.Timer(0.75, fail).start()
"""


def repetition(folder, before, domains=None, **gpus):
    """Result of one repetition in a process on the simulated instruments."""
    variables = nvml.configure(folder, **{"wave": "ramp", "low_w": 60, "high_w": 240, "wave_period_s": 0.7, "window_s": 0.1, **gpus})
    with running(plant(folder / "powercap", *ZONES)) as tree:
        everything = {**os.environ, **variables, ROOT_VARIABLE: str(tree.root)}
        code = RUN.format(before=before, domains=domains)
        done = subprocess.run([sys.executable, "-c", code], env=everything, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["record"]["status"] == "ok", result["record"]["reason"]
    result["steady"] = {m["domain"]: m for m in result["record"]["measurements"] if m["phase"] == "steady"}
    return result | {"gpus": variables, "tree": tree}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Two GPUs in the suite, one of them without a counter, and a package whose counter wraps."""
    named = ["package", "dram", "gpu:0", "gpu:1"]
    return repetition(tmp_path_factory.mktemp("healthy"), HEALTHY, named, devices=2, gpu1_counter=0, gpu1_wave="constant")


@pytest.mark.parametrize(("domain", "zone"), [("package", "intel-rapl:0"), ("core", "intel-rapl:0:0"), ("dram", "intel-rapl:0:1")])
def test_the_energy_of_a_zone_is_the_truth(result, domain, zone):
    """From tick to tick within 0.5 %, across a wrap of the package's counter."""
    energy = result["steady"][domain]
    assert energy["gross_j"] == pytest.approx(result["tree"].truth_j(zone, energy["start_s"], energy["end_s"]), rel=0.005)


@pytest.mark.parametrize(("domain", "device"), [("gpu:0", 0), ("gpu:1", 1)])
def test_the_energy_of_a_gpu_is_the_truth(result, domain, device):
    """By its counter within 0.5 %; a card without one by its power, which is constant here."""
    energy = result["steady"][domain]
    assert energy["gross_j"] == pytest.approx(nvml.truth_j(result["gpus"], device, energy["start_s"], energy["end_s"]), rel=0.005)


def test_the_integrated_power_is_recorded_as_a_check(result):
    """In a field of its own."""
    energy = result["steady"]["gpu:0"]
    assert energy["integrated_j"] == pytest.approx(energy["gross_j"], rel=0.1)


def test_conditions_of_the_card_are_in_the_record(result):
    """Link, memory clock, memory temperature and processes of the card with cases; fewer of the other card."""
    conditions = result["record"]["conditions"]
    of = {card: {name.partition(" ")[2] for name in conditions if name.startswith(card)} for card in ("gpu:0", "gpu:1")}
    assert of["gpu:0"] - of["gpu:1"] == {
        "memory_clock", "memory_temperature", "pcie_generation", "pcie_width", "child_memory", "foreign_processes", "hidden_processes"
    }  # fmt: skip
    assert (conditions["gpu:0 pcie_width"], conditions["gpu:0 power_capped"]) == (16, 0)
    assert result["record"]["peak_device_memory_bytes"] == 0, "the null engine takes none"


def test_everything_is_simulated(result):
    """Every kind is `simulated`, so that no simulated figure is taken for a measurement."""
    assert {m["kind"] for m in result["steady"].values()} == {"simulated"}


def test_no_model_is_read_if_there_is_a_counter(result):
    """Neither `package` nor `dram` comes from CodeCarbon."""
    assert {m["sensor"] for m in result["steady"].values()} == {"nvml", "rapl"}
    assert "codecarbon" in result["unavailable"]


def test_the_probe_measures_the_update_periods(result):
    """They determine the length of a window."""
    assert result["periods"]["gpu:0"] == pytest.approx(0.1, rel=0.1)
    assert result["periods"]["package"] == pytest.approx(0.02, rel=0.25)
    assert result["probe"]["gpu:0"]["disagree"] in (True, False)


def test_a_failure_in_the_window_affects_only_its_domain(tmp_path):
    """A lost GPU, a reset counter and a removed zone are None, not 0; the energy of the package is the truth."""
    result = repetition(tmp_path, FAULTY, devices=2)
    steady = result["steady"]
    for domain in ("gpu:0", "gpu:1", "dram"):
        assert (steady[domain]["gross_j"], steady[domain]["kind"]) == (None, "absent"), domain
    energy = steady["package"]
    assert energy["gross_j"] == pytest.approx(result["tree"].truth_j("intel-rapl:0", energy["start_s"], energy["end_s"]), rel=0.005)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"devices": 8, "call_s": 0.001}, id="8 cards"),
        pytest.param({"devices": 2, "call_s": 0.012}, id="slow calls", marks=pytest.mark.slow),
    ],
)
def test_one_card_of_several_with_a_slow_driver(tmp_path, settings):
    """Within 0.5 % and within its own uncertainty; the window grows until its edges matter little."""
    result = repetition(tmp_path, HEALTHY, **settings)
    energy = result["steady"]["gpu:0"]
    truth_j = nvml.truth_j(result["gpus"], 0, energy["start_s"], energy["end_s"])
    assert energy["gross_j"] == pytest.approx(truth_j, rel=0.005)
    assert 1.96 * energy["edge_j"] <= 0.0075 * energy["gross_j"]
    assert not [finding for finding in result["record"]["warnings"] if finding["invalid"]]
    assert energy["poll_gap_s"] < 0.05


def test_power_replaces_a_counter_that_ticks_too_rarely(tmp_path):
    """Every 20 s: the record has a finding and the bound, which contains the truth."""
    result = repetition(tmp_path, HEALTHY, update_period_s=20, wave_period_s=0.7)
    energy = result["steady"]["gpu:0"]
    assert energy["gauge"] == "gpu:0 average power"
    truth_j = nvml.truth_j(result["gpus"], 0, energy["start_s"], energy["end_s"])
    assert energy["gross_j"] == pytest.approx(truth_j, abs=1.96 * energy["edge_j"])
    assert "counter_without_edge" in {finding["code"] for finding in result["record"]["warnings"]}


# The load of the GPU starts with the warm-up of the child. The driver reads its configuration again at nvmlInit.
FOLLOWING = """
import os, pathlib, time
import pynvml
from harness.energy import lag

conf = pathlib.Path(os.environ["SIMULATED_NVML"])
lag_of = lag.lag_of

def noted(sample, domain, load_s, end_s):
    conf.with_name("load_s").write_text(str(load_s))
    return lag_of(sample, domain, load_s, end_s)

lag.lag_of = noted

def on_phase(phase):
    if phase == "warmup":
        conf.write_text(conf.read_text() + f"step_at_s {time.monotonic() - float(conf.read_text().split()[1])}\\n")
        pynvml.nvmlInit()
"""


@pytest.mark.parametrize("lag_s", [0.0, 0.1])
def test_the_lag_of_a_counter_is_corrected_or_flagged(tmp_path, lag_s):
    """A counter that is one period late is detected at the start of the load."""
    result = repetition(tmp_path, FOLLOWING, wave="step", low_w=60, high_w=240, lag_s=lag_s)
    energy = result["steady"]["gpu:0"]
    codes = {finding["code"] for finding in result["record"]["warnings"]}
    late_s = lag_s - _busy_machine_s(result["gpus"]["SIMULATED_NVML"])
    assert (
        "counter_lags" in codes or energy["lag_s"] == pytest.approx(max(late_s, 0.0), abs=0.01) or (late_s < 0 and energy["lag_s"] is None)
    )
    assert energy["gross_j"] == pytest.approx(240 * (energy["end_s"] - energy["start_s"]), rel=0.005)


def _busy_machine_s(conf):
    """Time from the rise of the power, which the test starts, to the child's load, which starts on a later message."""
    settings = dict(line.split() for line in Path(conf).read_text().splitlines())
    return float(Path(conf).with_name("load_s").read_text()) - float(settings["origin_s"]) - float(settings["step_at_s"])


def test_a_part_time_sensor_with_a_shifted_load(tmp_path):
    """A power reading of 25 ms in every 100 without a counter: the child waits between groups of queries, and one window is within 5 %.

    The window is longer than a group with its wait, so it contains one whenever it starts.
    """
    result = repetition(tmp_path, HEALTHY, wave="constant", counter=0, field_average=0, power_usage=0, domains=["gpu:0"], window_s=0.6)
    record, energy = result["record"], result["steady"]["gpu:0"]
    assert record["shift_s"] == pytest.approx(0.1, rel=0.2)
    assert record["inferences"] > 0
    (steady_s,) = (phase["end_s"] - phase["start_s"] for phase in record["phases"] if phase["name"] == "steady")
    waited = 1 - record["inferences"] / record["throughput_per_s"] / steady_s
    assert waited > 0.01
    truth_w = 240 - energy["idle_w"] * waited
    assert energy["gross_j"] == pytest.approx(truth_w * (energy["end_s"] - energy["start_s"]), rel=0.05)
