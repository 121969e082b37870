"""The probe of a card with a real child process as its load, on the simulated driver, whose power follows that load."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import loader
from tests.instruments import nvml

pytestmark = pytest.mark.slow

CODE = """
from harness import plugins
from harness.run.card_load import start_load
from harness.run.card_probing import Probing
from harness.schema import Catalogue
from harness.sensors.card_probe import save
from harness.sensors.card_readings import open_cards

specs = plugins.catalogue().engines
catalogue = Catalogue({"loader": specs["loader"]}, {}, {}, {})
with open_cards() as (card,):
    load, reasons = start_load(catalogue, card.uuid)
    assert load, reasons
    probe = Probing(card, lambda: (load, ""), scale=0.3).run()
save(probe)
print(probe.model_dump_json())
"""


def probed(folder, **settings):
    """The probe in a process of its own."""
    plugin = loader.install(folder)
    common = {"wave": "edges", "edges_file": plugin["LOADER_EDGES"], "low_w": 100, "high_w": 500, "lag_s": 0.005, "utilization": 0}
    variables = nvml.configure(folder, **{**common, **settings})
    everything = {**os.environ, **variables, **plugin, "HARNESS_PROBES": str(folder / "probes")}
    done = subprocess.run([sys.executable, "-c", CODE], env=everything, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "probes" / "GPU-simulated-0.json").is_file()
    return json.loads(done.stdout.splitlines()[-1])


def test_a_counter_of_part_time_readings_is_found_out(tmp_path):
    """25 of each 100 ms are seen."""
    probe = probed(tmp_path, counter_from_gauge=1)
    assert probe["sees_all"]["counter"] is False and probe["spreads"]["counter"] > 0.2
    assert probe["engine"] == "loader"


def test_a_healthy_counter_is_not(tmp_path):
    """Its mean power is the same at every period and phase, and that of the level."""
    probe = probed(tmp_path)
    assert probe["sees_all"]["counter"] is True, probe["spreads"]
    assert probe["levels"][0]["counter_w"] == pytest.approx(500, rel=0.1)
    assert probe["tick_period_s"] == pytest.approx(0.1, rel=0.05)
