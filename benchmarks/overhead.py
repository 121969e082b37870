"""CPU time of the sampler between the edges of a window: a simulated GPU, CodeCarbon's model and the system's conditions."""

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
    """CPU time as a share of a core."""
    figure = "CPU time of the sampler at 20 Hz, share of a core"
    if not shutil.which("gcc"):
        return [row(figure, "<= 1 %", "skipped: the simulated NVML driver needs gcc")]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **nvml.configure(Path(folder), wave="square")}
        done = subprocess.run([sys.executable, "-c", CODE, str(seconds)], env=environment, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    figure += f", {len(result['rates'])} domains, counter read {result['rates']['gpu:0']:.0f} times a second"
    return [row(figure, "<= 1 %", f"{result['share']:.2%}")]
