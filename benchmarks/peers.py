"""CodeCarbon, Zeus and the harness on the same simulated NVML, at the same time -> the error of each against the exact energy."""

from __future__ import annotations

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
"""No multiple of an update period or of a load's: a window that is one would flatter a meter that does not look for ticks."""
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
bench = RunContext(sensors, profile, Limits(), "run", "environment", None)
records = [run(Task(case=CASE, repetition=k), Request("harness.worker.measure", child_task()), bench).record for k in range(int(sys.argv[1]))]
steady = [next(m for m in r.measurements if m.phase == "steady" and m.domain == "gpu:0") for r in records]
print(json.dumps([(m.start_s, m.end_s, m.gross_j) for m in steady]))
"""


def rows() -> list[Row]:
    """Worst and median error of one window over update periods and loads, and the worst by update period."""
    if not shutil.which("gcc"):
        return [row("peers on one simulated NVML", "beside ours", "skipped: the simulated NVML driver needs gcc")]
    with tempfile.TemporaryDirectory() as folder:
        zeus, reason = _zeus(Path(folder))
        _nvidia_smi(Path(folder))
        meters = {"harness": [sys.executable, "-c", OURS], "codecarbon": [sys.executable, "benchmarks/peer.py", "codecarbon"]}
        meters |= {"zeus": [str(zeus), "benchmarks/peer.py", "zeus"]} if zeus else {}
        cells = {cell: _cell(Path(folder), meters, *cell) for cell in itertools.product(PERIODS_S, WAVES)}
    found = [row(f"one window of {WINDOW_S} s, counter of 20 / 100 / 250 ms, {name}", "beside ours", _told(name, cells)) for name in meters]
    return found if zeus else [*found, row("the same, zeus", "beside ours", f"skipped: {reason}")]


def _zeus(folder: Path) -> tuple[Path | None, str]:
    """The interpreter of a virtual environment that holds Zeus and is gone afterwards; or why there is none."""
    made = subprocess.run([sys.executable, "-m", "venv", folder / "zeus"], capture_output=True, text=True)
    python = folder / "zeus" / "bin" / "python"
    if made.returncode == 0:
        made = subprocess.run([python, "-m", "pip", "install", "--quiet", ZEUS], capture_output=True, text=True)
    return (python, "") if made.returncode == 0 else (None, f"{ZEUS} cannot be installed: {made.stderr.strip().splitlines()[-1:]}")


def _nvidia_smi(folder: Path) -> None:
    """CodeCarbon looks for a GPU only where this command runs."""
    command = folder / "nvidia-smi"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)


def _cell(folder: Path, meters: dict[str, list[str]], period_s: float, wave: str) -> dict[str, list[float]]:
    """The relative errors of each meter's windows, all at work at once on one sensor and load."""
    driver = nvml.configure(folder, update_period_s=period_s, **WAVES[wave])
    environment = {**os.environ, **driver, "PATH": f"{folder}:{os.environ['PATH']}"}
    arguments = [str(WINDOWS), str(WINDOW_S)]
    at_work = {
        name: subprocess.Popen([*argv, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name, argv in meters.items()
    }
    errors = {}
    for name, process in at_work.items():
        out, err = process.communicate()
        assert process.returncode == 0, err
        windows = json.loads(out.splitlines()[-1])
        assert all(joules is not None for _, _, joules in windows), f"{name} gave no number"
        errors[name] = [abs(joules / nvml.truth_j(driver, 0, start_s, end_s) - 1) for start_s, end_s, joules in windows]
    return errors


def _told(name: str, cells: dict[tuple[float, str], dict[str, list[float]]]) -> str:
    worst = [max(e for (u, _), errors in cells.items() if u == period_s for e in errors[name]) for period_s in PERIODS_S]
    median = np.median([e for errors in cells.values() for e in errors[name]])
    return f"worst {worst[0]:.3%} / {worst[1]:.3%} / {worst[2]:.3%}, median {median:.3%}"
