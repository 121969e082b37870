"""One NVIDIA card under load: effect of the sampler, counter against integrated power, Zeus's monitor around the same windows.

On a card: ResNet50 on PyTorch, and the suite `gpu-short`. Without a driver: the null engine on the simulated NVML, which checks only that this benchmark works.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cost import Repetition, Row, built_campaign, median_text, row, sampler_rows
from benchmarks.optimisations import run
from benchmarks.peers import zeus_python
from harness.run.campaign import Campaign
from harness.schema import Case
from tests.instruments import nvml

DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))
REAL = """\
name: card
models: [torchvision/resnet50]
matrices:
  - {engines: [torch], variants: [dense], devices: [gpu], batch_sizes: [32]}
"""
SIMULATED = """\
name: card
models: [digits-cnn]
matrices:
  - {engines: [{name: "null", options: {query_s: 0.001}}], variants: [dense], devices: [gpu]}
"""
WINDOW_S = 5.37
"""Not a multiple of the update period, which would favour a meter that does not wait for ticks."""
CARD = "gpu:0"
SHORT = Path("suites/gpu-short.yaml")


def rows(windows: int = 6, pairs: int = 8) -> list[Row]:
    """All figures; on a card about seven minutes."""
    real = any(path.exists() for path in DRIVER)
    if not real and not shutil.which("gcc"):
        return [row("one card under load", "reported", "skipped: no NVIDIA driver, and the simulated NVML needs gcc")]
    where = "on this card" if real else "simulated NVML"
    with tempfile.TemporaryDirectory() as folder:
        driver = {} if real else nvml.configure(Path(folder), wave="square", low_w=80, high_w=220, wave_period_s=0.031)
        zeus, reason = zeus_python(Path(folder))
        environment = {**os.environ, **driver}
        environment.pop("CUDA_VISIBLE_DEVICES", None)  # the first card for all
        argv = [sys.executable, "-m", "benchmarks.real_card", REAL if real else SIMULATED, str(windows), str(pairs), str(zeus or "")]
        done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return [row(f"one card under load, {where}", "reported", f"failed: exit code {done.returncode}, see the output above")]
        result = json.loads(done.stdout.splitlines()[-1])
        table = [*result["rows"], *against_power(result["records"])]
        table += (
            against_zeus(result["records"], driver) if zeus else [row("Zeus around the same windows", "reported", f"skipped: {reason}")]
        )
    table += short_suite() if real and SHORT.exists() else []
    return [{**each, "figure": f"{each['figure']}, {where}"} for each in table]


def against_power(records: list[dict[str, Any]]) -> list[Row]:
    """Counter over integrated power of each window, and the findings, which explain a difference."""
    ratios = [m["gross_j"] / m["integrated_j"] for m in map(_energy, records) if m["gross_j"] and m["integrated_j"]]
    codes = sorted({finding["code"] for record in records for finding in record["warnings"]})
    measured = f"{_spread_text(ratios)}; findings: {', '.join(codes) or 'none'}"
    return [row("counter / integrated power", "within 5 %, or a finding", measured)]


def against_zeus(records: list[dict[str, Any]], driver: dict[str, str]) -> list[Row]:
    """Mean power of Zeus's window over that of ours, and the errors of both where the truth is known.

    Args:
        records: Each with `zeus`: start and end in s, and J.
        driver: Environment of the simulated driver; empty on a real card.
    """
    ours = [(m["start_s"], m["end_s"], m["gross_j"]) for m in map(_energy, records)]
    pairs = [(a, tuple(record["zeus"])) for a, record in zip(ours, records, strict=True) if a[2]]
    ratios = [(b[2] / (b[1] - b[0])) / (a[2] / (a[1] - a[0])) for a, b in pairs]
    table = [row(f"mean power by Zeus / by harness, windows of {WINDOW_S} s", "reported", _spread_text(ratios))]
    for name, windows in (("harness", [a for a, _ in pairs]), ("Zeus", [b for _, b in pairs])) if driver else ():
        errors = [joules / nvml.truth_j(driver, 0, start_s, end_s) - 1 for start_s, end_s, joules in windows]
        table.append(row(f"error of {name}'s windows", "reported", ", ".join(f"{error:+.3%}" for error in errors) or "no energy"))
    return table


def _spread_text(ratios: list[float]) -> str:
    """Median with its interval, and the range; a window without an energy has no ratio."""
    if not ratios:
        return "no window with both energies"
    return f"{median_text(ratios)}, {np.min(ratios):.4f} to {np.max(ratios):.4f} in {len(ratios)} windows"


def short_suite() -> list[Row]:
    """Cases of the short suite at the quick profile: whether each is valid, and the half-widths of its energy and latency."""
    return [row(f"{SHORT.stem}, {case['case_id']}", "valid", case_text(case)) for case in run(SHORT.read_text()).to_dict("records")]


def case_text(case: Mapping[Hashable, Any]) -> str:
    """Validity of a case, and its half-widths relative to the values."""
    if case["status"] != "ok":
        return f"{case['status']}: {case['reason']}"
    widths = []
    for name, value, bounds in (("energy", "energy_j", "energy_{}_j"), ("p50", "latency_p50_s", "latency_p50_{}_s")):
        low, high = case[bounds.format("low")], case[bounds.format("high")]
        half = (high - low) / 2 / case[value] if case[value] else math.nan
        widths.append(f"{name} unknown" if math.isnan(half) else f"{name} +- {half:.1%}")
    return f"{'valid' if case['valid'] else case['invalid_reasons']}, {case['energy_kind']}; {', '.join(widths)}"


def _energy(record: dict[str, Any]) -> dict[str, Any]:
    measured: dict[str, Any] = next(m for m in record["measurements"] if m["phase"] == "steady" and m["domain"] == CARD)
    return measured


class Zeus:
    """Zeus's monitor in its own process, which measures the steady phases.

    Args:
        python: Interpreter of its virtual environment; empty: no Zeus.
    """

    def __init__(self, python: str) -> None:
        argv = [python, "benchmarks/peer.py", "follow"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) if python else None
        self._read()  # ready

    def on_phase(self, phase: str) -> None:
        """Begin a window with the steady phase, and end it with the next."""
        if self._process and phase in ("steady", "quality"):
            assert self._process.stdin
            self._process.stdin.write("begin\n" if phase == "steady" else "end\n")
            self._process.stdin.flush()

    def window(self) -> list[float]:
        """Start and end in s on CLOCK_MONOTONIC, and J, of the last window; empty without Zeus."""
        return json.loads(self._read()) if self._process else []

    def end(self) -> None:
        """End the process."""
        if self._process:
            self._process.communicate()

    def _read(self) -> str:
        return self._process.stdout.readline() if self._process and self._process.stdout else ""


def measured(running: Campaign, case: Case, windows: int, zeus: Zeus) -> list[dict[str, Any]]:
    """Records of some repetitions, each with Zeus's window."""
    running.header = running.header.model_copy(update={"profile": running.header.profile.model_copy(update={"window_s": WINDOW_S})})
    records = []
    for _ in range(windows):
        record = Repetition(running, case, on_phase=zeus.on_phase).record
        records.append({**record.model_dump(mode="json", include={"measurements", "warnings"}), "zeus": zeus.window()})
    return records


def main() -> None:
    """Measure, and print the rows and records as JSON."""
    suite, windows, pairs, python = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    zeus = Zeus(python)
    with built_campaign(suite) as running:
        (case,) = running.header.suite.cases
        table = sampler_rows(running, case, pairs, "<= 1.005")
        records = measured(running, case, windows, zeus)
    zeus.end()
    print(json.dumps({"rows": table, "records": records}))


if __name__ == "__main__":
    main()
