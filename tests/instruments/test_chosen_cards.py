"""Cases on cards that the suite chose, on simulated boxes of several cards: the energy is that of their card only."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import tiny
from tests.instruments import nvml

pytestmark = pytest.mark.slow

CODE = """
import json, sys
from pathlib import Path
from harness import frame, plugins
from harness.artifacts import Cache
from harness.run import start
from harness.sensors.probe import devices_present
from harness.store import read_run
from harness.suite import load_suite
from harness.verify import verify
from tests.campaigns import PROFILE, Watcher, problems

folder = Path(sys.argv[1])
catalogue = plugins.catalogue()
suite = load_suite(folder / "suite.yaml", catalogue, devices_present(catalogue), device=sys.argv[2])
profile = PROFILE.model_copy(update={"first": 1, "cap": 1, "window_s": 0.6})
with start.begin(start.RunRequest(suite, (folder / "suite.yaml").read_text(), profile, folder / "results"), catalogue, Watcher()) as running:
    run_folder = running.store.folder
    running.run()
run = read_run(run_folder)
table = frame.cases([run])[["case_id", "device", "device_uuid", "energy_scope", "device_energy_j", "throughput_per_s"]]
records = [r.model_dump(mode="json") for r in run.records if r.task == "case"]
print(json.dumps({"rows": json.loads(table.to_json(orient="records")), "records": records, "problems": problems(run_folder)}))
"""


def measured(folder, written, device="auto", **settings):
    """Rows, records and problems of a run of the null engine on these devices of the simulated driver, in a process of its own."""
    suite = tiny.SUITE.replace("engines: [onnxruntime]", 'engines: ["null"]').replace("[1, 4]", "[1]")
    tiny.write(folder, f"{suite}    devices: [{written}]\n")
    variables = nvml.configure(folder, utilization=0, memory_used_bytes=0, **settings)
    own = {"HARNESS_CACHE": str(folder / "cache"), "TMPDIR": str(folder), "HARNESS_PROBES": str(folder / "probes")}
    everything = {key: value for key, value in {**os.environ, **variables, **own}.items() if key != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder), device], env=everything, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def on_two(tmp_path_factory):
    """A case on the first card of eight, and one on the sixth, which draws twice as much."""
    return measured(tmp_path_factory.mktemp("box"), "gpu, 'gpu:GPU-simulated-5'", devices=8, gpu5_high_w=300)


def power_w(row):
    """Mean power of the card of a row, W."""
    return row["device_energy_j"] * row["throughput_per_s"]


def test_each_case_is_charged_with_its_card(on_two):
    """150 W on the first, 300 W on the sixth; the label names it."""
    first, sixth = on_two["rows"]
    assert [row["device_uuid"] for row in on_two["rows"]] == ["GPU-simulated-0", "GPU-simulated-5"]
    assert [row["device"] for row in on_two["rows"]] == ["gpu", "gpu:GPU-simulated-5"]
    assert power_w(first) == pytest.approx(150, rel=0.05) and power_w(sixth) == pytest.approx(300, rel=0.05)
    assert first["energy_scope"] == sixth["energy_scope"] == "gpu"


def test_the_record_has_the_conditions_of_its_card(on_two):
    """Those of the chosen card are complete, and its start is recorded; the device of its domains is gpu."""
    record = on_two["records"][1]
    assert {m["device"] for m in record["measurements"] if m["domain"].startswith("gpu:5")} == {"gpu"}
    assert {m["device"] for m in record["measurements"] if m["domain"].startswith("gpu:0")} == {"gpu:0"}
    assert record["conditions"]["gpu:5 memory_clock"] == 2619e6
    assert record["start_conditions"]["gpu:5 temperature"] == 45 and "gpu:0 temperature" not in record["start_conditions"]


def test_a_run_on_chosen_cards_is_verified(on_two):
    """Every energy and finding is recomputed from the trace as that of its card."""
    assert on_two["problems"] == []


def test_the_option_moves_the_cases_of_gpu(tmp_path):
    """To the second card of two; the id stays that of the device gpu."""
    result = measured(tmp_path, "gpu", device="gpu:GPU-simulated-1", devices=2, gpu1_high_w=300)
    [row] = result["rows"]
    assert (row["device"], row["device_uuid"]) == ("gpu", "GPU-simulated-1") and power_w(row) == pytest.approx(300, rel=0.05)
    assert result["problems"] == []


def test_the_only_card_may_be_named(tmp_path):
    """A box of one card."""
    [row] = measured(tmp_path, "'gpu:GPU-simulated-0'", devices=1)["rows"]
    assert row["device_uuid"] == "GPU-simulated-0" and power_w(row) == pytest.approx(150, rel=0.05)
