"""What the sampler costs between the edges of a window: one simulated GPU, CodeCarbon's model and the system's conditions, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cost import Row, row
from tests.instruments import nvml

CODE = """
import json, sys, time
from harness import plugins
from harness.sensors.probe import open_sensors
from harness.sensors.sampler import Sampler

sensors, _ = open_sensors(plugins.catalogue())
sampler = Sampler(sensors)
sampler.start()
time.sleep(1)
began_s, used_s = time.monotonic(), time.process_time()
time.sleep(float(sys.argv[1]))
share = (time.process_time() - used_s) / (time.monotonic() - began_s)
trace = sampler.stop()
rates = {name: len(s.value) / (s.end_s[-1] - s.start_s[0]) for name, s in trace.samples.items()}
print(json.dumps({"share": share, "rates": rates}))
"""


def rows(seconds: float = 10.0) -> list[Row]:
    """Share of one core."""
    figure = "the sampler at 20 Hz, share of one core"
    if not shutil.which("gcc"):
        return [row(figure, "<= 1 %", "skipped: the simulated NVML driver needs gcc")]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **nvml.configure(Path(folder), wave="square")}
        done = subprocess.run([sys.executable, "-c", CODE, str(seconds)], env=environment, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    domains = len(told["rates"])
    return [row(f"{figure}, {domains} domains, counter read {told['rates']['gpu:0']:.0f} times a second", "<= 1 %", f"{told['share']:.2%}")]
