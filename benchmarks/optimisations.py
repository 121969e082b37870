"""Effect of optimisations on this machine: removed channels, int8 on every engine with its kernels, and builds from the cache."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.cost import Quiet, Row, row
from harness import environment, plugins
from harness.run import start
from harness.schema import PROFILES
from harness.sensors.doctor import INT8_FLAGS
from harness.store import read_run
from harness.suite import load_suite

CUTS = """\
name: cuts
models: [digits-cnn]
matrices:
  - variants: &cuts
      - dense
      - channel_prune: {ratio: 0.5}
      - channel_prune: {ratio: 0.6, epochs: 40}
      - [{channel_prune: {ratio: 0.5}}, {channel_prune: {ratio: 0.3, epochs: 40}}]
    engines: [litert]
  - {variants: *cuts, engines: [litert], batch_sizes: [32], scenarios: [offline]}
  - {variants: [dense], engines: [tensorflow]}
  - {variants: [dense], engines: [tensorflow], batch_sizes: [32], scenarios: [offline]}
"""
RESNET = """\
name: resnet50
models: [keras.applications/ResNet50]
matrices:
  - {variants: [dense, int8], engines: [litert, onnxruntime, openvino]}
  - {variants: [dense], engines: [tensorflow]}
"""
POINT = 0.01
SOME_FAILED = 3
"""Exit code of `harness run` if some cases failed and the others are stored."""


def rows() -> list[Row]:
    """All figures of this module."""
    return [*cuts(), *resnet50(), *study()]


def cuts() -> list[Row]:
    """Energy of the cheapest cut model within a point of accuracy, over dense on the same engine and on TensorFlow."""
    cases = run(CUTS)
    table = []
    for batch in (1, 32):
        here = cases[cases["batch_size"] == batch]
        dense = here[here["variant"] == "dense"].set_index("engine")[["quality", "energy_j"]].to_dict("index")
        quality = float(dense["litert"]["quality"])
        accurate = here[here["variant"].str.startswith("channel_prune") & (here["quality"] >= quality - POINT)]
        if accurate.empty:
            table.append(row(f"channels cut, LiteRT, batch {batch}", "<= 1/3", "none within a point of dense"))
            continue
        best = accurate.sort_values("energy_j").to_dict("records")[0]
        details = f"{best['variant']}, accuracy {best['quality']:.3f} (dense {quality:.3f}), {best['energy_kind']}"
        interval = f"[{best['energy_vs_baseline_low']:.3f}, {best['energy_vs_baseline_high']:.3f}]"
        table += [
            row(f"energy of cut / dense, LiteRT, batch {batch}", "<= 1/3", f"{best['energy_vs_baseline']:.3f} {interval}: {details}"),
            row(
                f"energy of cut on LiteRT / dense on TensorFlow, batch {batch}",
                "<= 1/8",
                f"{best['energy_j'] / dense['tensorflow']['energy_j']:.4f}",
            ),
        ]
    return table


def resnet50() -> list[Row]:
    """ResNet50 on the engines of the main environment, float32 against int8, which may be slower."""
    flags = set(environment.environment().cpu_flags)
    table = [row("CPU flags for int8", "reported", ", ".join(flag for flag in INT8_FLAGS if flag in flags) or "none")]
    return [*table, *variant_rows("ResNet50", run(RESNET))]


def variant_rows(model: str, cases: pd.DataFrame) -> list[Row]:
    """A row for each case: ratios to float32 with their intervals, the latency and the kernels that ran, or why there is no result."""
    return [row(f"{model}, {case['engine']}, {case['variant']}", "reported", _variant_text(case)) for case in cases.to_dict("records")]


def _variant_text(case: Mapping[Hashable, Any]) -> str:
    if case["status"] != "ok":
        return f"{case['status']}: {case['reason']}"
    kernels = case["kernels"] if isinstance(case["kernels"], str) else "kernels unknown"
    details = f"p50 {1e3 * case['latency_p50_s']:.2f} ms, ran {case['precision_ran']}: {kernels}"
    details += f"; warnings: {case['warnings']}" if isinstance(case["warnings"], str) else ""
    if case["variant"] == "dense":
        return details
    return (
        f"p50 / float32 {_ratio_text(case, 'latency')}, energy / float32 {_ratio_text(case, 'energy')} ({case['energy_kind']}); {details}"
    )


def _ratio_text(case: Mapping[Hashable, Any], figure: str) -> str:
    value, low, high = (case[f"{figure}_vs_baseline{end}"] for end in ("", "_low", "_high"))
    return "unknown" if math.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def study() -> list[Row]:
    """Builds of a second run of the pruning study, which the cache has."""
    path = Path("suites/pruning-study.yaml")
    catalogue = plugins.catalogue()
    suite = load_suite(path, catalogue)
    profile = PROFILES["quick"].model_copy(update={"first": 0, "cap": 0})  # only the builds
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            with start.begin(start.RunRequest(suite, path.read_text(), profile, Path(folder)), catalogue, Quiet()) as running:
                running.run()
        builds = [record for record in read_run(running.store.folder).records if record.task == "build"]
    built = sum(not record.cached for record in builds)
    return [row(f"builds of the second run of pruning-study ({len(suite.cases)} cases, {len(builds)} artifacts)", "0", str(built))]


def run(suite: str) -> pd.DataFrame:
    """Table of the cases of a suite, run at the quick profile; a failed case has its reason."""
    command = str(Path(sys.executable).parent / "harness")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suite.yaml"
        path.write_text(suite)
        code = subprocess.run([command, "run", str(path), "--results", folder], stdout=subprocess.DEVNULL).returncode
        assert code in (0, SOME_FAILED), f"harness run ended with exit code {code}"
        (done,) = [p.parent for p in Path(folder).glob("*/run.json")]
        csv = subprocess.run([command, "export", str(done), "--format", "csv"], check=True, capture_output=True, text=True).stdout
        (Path(folder) / "cases.csv").write_text(csv)
        return pd.read_csv(Path(folder) / "cases.csv")
