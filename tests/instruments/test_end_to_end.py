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

HEALTHY = "tell = lambda phase: None"
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
sensors, seen = probe(sensors, seconds=2.0)
profile = PROFILES["quick"].model_copy(update=dict(window_s=1.5, window_ticks=0, idle_s=0.3))
bench = RunContext(sensors, profile, Limits(), "run", "environment", None, domains={domains})
case = CASE.model_copy(update=dict(device="gpu"))
record = run(Task(case=case), Request("harness.worker.measure", child_task()), bench, tell).record
periods = dict((domain.name, domain.update_period_s) for _, domains in sensors for domain in domains)
print(json.dumps(dict(record=record.model_dump(), unavailable=unavailable, periods=periods, probe=seen)))
"""

ZONES = (
    Zone("intel-rapl:0", "package-0", ("square", 20.0, 90.0, 0.31), update_period_s=0.02, wrap_j=1100.0),
    Zone("intel-rapl:0:0", "core", ("constant", 15.0), update_period_s=0.02),
    Zone("intel-rapl:0:1", "dram", ("constant", 9.0), update_period_s=0.02),
)


# In the middle of the window: the first GPU is lost, the counter of the second begins anew, the DRAM zone vanishes.
FAULTY = """
import os, pathlib, shutil, threading, time
import pynvml

def fail():
    conf = pathlib.Path(os.environ["SIMULATED_NVML"])
    now_s = time.monotonic() - float(conf.read_text().split()[1])
    conf.write_text(conf.read_text() + f"0.error_at_s {now_s}\\n1.reset_at_s {now_s}\\n")
    pynvml.nvmlInit()  # reads its configuration again
    shutil.rmtree(pathlib.Path(os.environ["HARNESS_POWERCAP"]) / "intel-rapl:0:1")

def tell(phase):
    if phase == "steady":
        threading.Timer(0.75, fail).start()
"""


def repetition(folder, before, domains=None, **gpus):
    """What a process tells that runs one repetition on the simulated instruments."""
    variables = nvml.configure(folder, **{"wave": "ramp", "low_w": 60, "high_w": 240, "wave_period_s": 0.7, "window_s": 0.1, **gpus})
    with running(plant(folder / "powercap", *ZONES)) as tree:
        everything = {**os.environ, **variables, ROOT_VARIABLE: str(tree.root)}
        code = RUN.format(before=before, domains=domains)
        done = subprocess.run([sys.executable, "-c", code], env=everything, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["record"]["status"] == "ok", answer["record"]["reason"]
    answer["steady"] = {m["domain"]: m for m in answer["record"]["measurements"] if m["phase"] == "steady"}
    return answer | {"gpus": variables, "tree": tree}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Two GPUs that the suite names, one without a counter, and a package whose counter wraps."""
    named = ["package", "dram", "gpu:0", "gpu:1"]
    return repetition(tmp_path_factory.mktemp("healthy"), HEALTHY, named, devices=2, gpu1_counter=0, gpu1_wave="constant")


@pytest.mark.parametrize(("domain", "zone"), [("package", "intel-rapl:0"), ("core", "intel-rapl:0:0"), ("dram", "intel-rapl:0:1")])
def test_the_energy_of_a_zone_is_the_truth(told, domain, zone):
    """From tick to tick within 0.5 %, over a wrap of the package's counter."""
    found = told["steady"][domain]
    assert found["gross_j"] == pytest.approx(told["tree"].truth_j(zone, found["start_s"], found["end_s"]), rel=0.005)


@pytest.mark.parametrize(("domain", "device"), [("gpu:0", 0), ("gpu:1", 1)])
def test_the_energy_of_a_gpu_is_the_truth(told, domain, device):
    """By its counter within 0.5 %; a card without one by its power, which is constant here."""
    found = told["steady"][domain]
    assert found["gross_j"] == pytest.approx(nvml.truth_j(told["gpus"], device, found["start_s"], found["end_s"]), rel=0.005)


def test_the_integrated_power_stands_beside_the_counter(told):
    """As a check, in a column of its own."""
    found = told["steady"]["gpu:0"]
    assert found["integrated_j"] == pytest.approx(found["gross_j"], rel=0.1)


def test_what_the_card_ran_under_is_in_the_record(told):
    """Of the card that cases are charged with: its link, memory clock, memory temperature, and the time that it was held down; of the other the least."""
    conditions = told["record"]["conditions"]
    of = {card: {name.partition(" ")[2] for name in conditions if name.startswith(card)} for card in ("gpu:0", "gpu:1")}
    assert of["gpu:0"] - of["gpu:1"] == {
        "memory_clock", "memory_temperature", "pcie_generation", "pcie_width", "child_memory", "foreign_processes", "hidden_processes"
    }  # fmt: skip
    assert (conditions["gpu:0 pcie_width"], conditions["gpu:0 power_capped"]) == (16, 0)
    assert told["record"]["peak_device_memory_bytes"] == 0, "the null engine takes none"


def test_everything_is_simulated(told):
    """Whatever it was read from: no figure of a fake leaves as a measurement."""
    assert {m["kind"] for m in told["steady"].values()} == {"simulated"}


def test_the_model_steps_back_where_something_is_measured(told):
    """Neither `package` nor `dram` comes from CodeCarbon."""
    assert {m["sensor"] for m in told["steady"].values()} == {"nvml", "rapl"}
    assert "codecarbon" in told["unavailable"]


def test_the_probe_has_measured_the_update_periods(told):
    """They decide how long a window must be."""
    assert told["periods"]["gpu:0"] == pytest.approx(0.1, rel=0.1)
    assert told["periods"]["package"] == pytest.approx(0.02, rel=0.25)
    assert told["probe"]["gpu:0"]["disagree"] in (True, False)


def test_what_fails_in_the_window_has_no_number_and_costs_nothing_else(tmp_path):
    """A lost GPU, a counter that begins anew and a zone that vanishes are null, not 0; the package beside them is the truth."""
    told = repetition(tmp_path, FAULTY, devices=2)
    steady = told["steady"]
    for domain in ("gpu:0", "gpu:1", "dram"):
        assert (steady[domain]["gross_j"], steady[domain]["kind"]) == (None, "absent"), domain
    found = steady["package"]
    assert found["gross_j"] == pytest.approx(told["tree"].truth_j("intel-rapl:0", found["start_s"], found["end_s"]), rel=0.005)


@pytest.mark.parametrize("settings", [{"devices": 8, "call_s": 0.001}, {"devices": 2, "call_s": 0.012}], ids=["8 cards", "slow calls"])
def test_one_card_of_several_whose_driver_answers_slowly(tmp_path, settings):
    """Within 0.5 % and within its own uncertainty; the window has grown until its edges matter little."""
    told = repetition(tmp_path, HEALTHY, **settings)
    found = told["steady"]["gpu:0"]
    truth_j = nvml.truth_j(told["gpus"], 0, found["start_s"], found["end_s"])
    assert found["gross_j"] == pytest.approx(truth_j, rel=0.005)
    assert 1.96 * found["edge_j"] <= 0.0075 * found["gross_j"]
    assert not [finding for finding in told["record"]["warnings"] if finding["invalid"]]
    assert found["poll_gap_s"] < 0.05


def test_a_counter_that_ticks_too_rarely_is_stood_in_for_by_its_power(tmp_path):
    """Every 20 s: the record says so, with the bound, and holds the truth within it."""
    told = repetition(tmp_path, HEALTHY, update_period_s=20, wave_period_s=0.7)
    found = told["steady"]["gpu:0"]
    assert found["gauge"] == "gpu:0 average power"
    truth_j = nvml.truth_j(told["gpus"], 0, found["start_s"], found["end_s"])
    assert found["gross_j"] == pytest.approx(truth_j, abs=1.96 * found["edge_j"])
    assert "counter_without_edge" in {finding["code"] for finding in told["record"]["warnings"]}


# The load of the GPU follows the child: it begins with the warm-up. The driver reads its configuration again at nvmlInit.
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

def tell(phase):
    if phase == "warmup":
        conf.write_text(conf.read_text() + f"step_at_s {time.monotonic() - float(conf.read_text().split()[1])}\\n")
        pynvml.nvmlInit()
"""


@pytest.mark.parametrize("lag_s", [0.0, 0.1])
def test_the_lag_of_a_counter_is_corrected_or_flagged(tmp_path, lag_s):
    """A counter that shows everything one period late is found out where the load begins."""
    told = repetition(tmp_path, FOLLOWING, wave="step", low_w=60, high_w=240, lag_s=lag_s)
    found = told["steady"]["gpu:0"]
    codes = {finding["code"] for finding in told["record"]["warnings"]}
    late_s = lag_s - _busy_machine_s(told["gpus"]["SIMULATED_NVML"])
    assert "counter_lags" in codes or found["lag_s"] == pytest.approx(max(late_s, 0.0), abs=0.01) or (late_s < 0 and found["lag_s"] is None)
    assert found["gross_j"] == pytest.approx(240 * (found["end_s"] - found["start_s"]), rel=0.005)


def _busy_machine_s(conf):
    """How long before the child's load the test let the power rise: the child has yet to hear that it may begin."""
    told = dict(line.split() for line in Path(conf).read_text().splitlines())
    return float(Path(conf).with_name("load_s").read_text()) - float(told["origin_s"]) - float(told["step_at_s"])


def test_a_part_time_sensor_sees_a_load_whose_phase_is_shifted(tmp_path):
    """A power reading of 25 ms in every 100 without a counter: the child waits between groups of queries, and the record says so; one window is within 5 %.

    It is longer than a group with its wait, so that it holds one whenever it begins.
    """
    told = repetition(tmp_path, HEALTHY, wave="constant", counter=0, field_average=0, power_usage=0, domains=["gpu:0"], window_s=0.6)
    record, found = told["record"], told["steady"]["gpu:0"]
    assert record["shift_s"] == pytest.approx(0.1, rel=0.2)
    assert record["inferences"] > 0
    (steady_s,) = (phase["end_s"] - phase["start_s"] for phase in record["phases"] if phase["name"] == "steady")
    waited = 1 - record["inferences"] / record["throughput_per_s"] / steady_s
    assert waited > 0.01
    truth_w = 240 - found["idle_w"] * waited
    assert found["gross_j"] == pytest.approx(truth_w * (found["end_s"] - found["start_s"]), rel=0.05)
