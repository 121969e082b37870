"""Errors of CodeCarbon, Zeus and the harness on the same simulated NVML at the same time."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cost import Row, row
from tests.instruments import nvml

WAVES: dict[str, dict[str, object]] = {
    "square 0.3 s": {"wave": "square", "low_w": 20, "high_w": 180, "wave_period_s": 0.3},
    "ramp 0.7 s": {"wave": "ramp", "low_w": 10, "high_w": 200, "wave_period_s": 0.7},
    "bursts 0.5 s": {"wave": "square", "low_w": 15, "high_w": 250, "wave_period_s": 0.5, "duty": 0.1},
}
PERIODS_S = (0.02, 0.1, 0.25)
WINDOW_S, WINDOWS = 5.37, 2
"""Not a multiple of the periods of updates and loads, which would favour a meter that does not wait for ticks."""
ZEUS = "zeus==0.16.0"

OURS = """
import json, sys
from harness import plugins
from harness.channel import Request
from harness.run.runner import RunContext, run
from harness.schema import PROFILES, Limits, Task
from harness.sensors.probe import open_sensors
from tests.tasks import CASE, child_task

sensors = [(s, d) for s, d in open_sensors(plugins.catalogue())[0] if s.spec.name == "nvml"]
profile = PROFILES["quick"].model_copy(update=dict(window_s=float(sys.argv[2]), window_ticks=0, idle_s=0.3))
context = RunContext(sensors, profile, Limits(), "run", "environment", None)
records = [run(Task(case=CASE, repetition=k), Request("harness.worker.measure", child_task()), context).record for k in range(int(sys.argv[1]))]
steady = [next(m for m in r.measurements if m.phase == "steady" and m.domain == "gpu:0") for r in records]
print(json.dumps([(m.start_s, m.end_s, m.gross_j) for m in steady]))
"""


def rows() -> list[Row]:
    """Worst error of one window by update period, and the median over update periods and loads."""
    if not shutil.which("gcc"):
        return [row("peers on one simulated NVML", "reported", "skipped: the simulated NVML driver needs gcc")]
    with tempfile.TemporaryDirectory() as folder:
        zeus, reason = zeus_python(Path(folder))
        _nvidia_smi(Path(folder))
        meters = {"harness": [sys.executable, "-c", OURS], "codecarbon": [sys.executable, "benchmarks/peer.py", "codecarbon"]}
        meters |= {"zeus": [str(zeus), "benchmarks/peer.py", "zeus"]} if zeus else {}
        cells = {cell: _cell(Path(folder), meters, *cell) for cell in itertools.product(PERIODS_S, WAVES)}
    figure = f"error of one window of {WINDOW_S} s, counter of 20 / 100 / 250 ms"
    table = [row(f"{figure}, {name}", "reported", _format_errors(name, cells)) for name in meters]
    return table if zeus else [*table, row(f"{figure}, zeus", "reported", f"skipped: {reason}")]


def zeus_python(folder: Path) -> tuple[Path | None, str]:
    """Interpreter that has Zeus, ours or that of a temporary virtual environment; or None and the reason."""
    if importlib.util.find_spec("zeus"):
        return Path(sys.executable), ""
    made = subprocess.run([sys.executable, "-m", "venv", folder / "zeus"], capture_output=True, text=True)
    python = folder / "zeus" / "bin" / "python"
    if made.returncode == 0:
        made = subprocess.run([python, "-m", "pip", "install", "--quiet", ZEUS], capture_output=True, text=True)
    return (python, "") if made.returncode == 0 else (None, f"{ZEUS} cannot be installed: {made.stderr.strip().splitlines()[-1:]}")


def _nvidia_smi(folder: Path) -> None:
    """Create a command `nvidia-smi`, without which CodeCarbon looks for no GPU."""
    command = folder / "nvidia-smi"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)


def _cell(folder: Path, meters: dict[str, list[str]], period_s: float, wave: str) -> dict[str, list[float]]:
    """Relative errors of the windows of all meters, which run at the same time on one sensor and load."""
    driver = nvml.configure(folder, update_period_s=period_s, **WAVES[wave])
    environment = {**os.environ, **driver, "PATH": f"{folder}:{os.environ['PATH']}"}
    arguments = [str(WINDOWS), str(WINDOW_S)]
    processes = {
        name: subprocess.Popen([*argv, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name, argv in meters.items()
    }
    errors = {}
    for name, process in processes.items():
        out, err = process.communicate()
        assert process.returncode == 0, err
        windows = json.loads(out.splitlines()[-1])
        assert all(joules is not None for _, _, joules in windows), f"{name} gave no number"
        errors[name] = [abs(joules / nvml.truth_j(driver, 0, start_s, end_s) - 1) for start_s, end_s, joules in windows]
    return errors


def _format_errors(name: str, cells: dict[tuple[float, str], dict[str, list[float]]]) -> str:
    worst = [max(e for (u, _), errors in cells.items() if u == period_s for e in errors[name]) for period_s in PERIODS_S]
    median = np.median([e for errors in cells.values() for e in errors[name]])
    return f"worst {worst[0]:.3%} / {worst[1]:.3%} / {worst[2]:.3%}, median {median:.3%}"
