"""Effect of optimisations on this machine: removed channels, int8 on every engine with its kernels, and builds from the cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

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


def rows() -> list[Row]:
    """All figures of this module."""
    return [*cuts(), *resnet50(), *study()]


def cuts() -> list[Row]:
    """Energy of the cheapest cut model within a point of accuracy, over dense on the same engine and on TensorFlow."""
    cases = run(CUTS)
    table = []
    for batch in (1, 32):
        here = cases[cases["batch_size"] == batch]
        dense = here[here["variant"] == "dense"].set_index("engine")
        accurate = here[here["variant"].str.startswith("channel_prune") & (here["quality"] >= dense.loc["litert", "quality"] - POINT)]
        if accurate.empty:
            table.append(row(f"channels cut, LiteRT, batch {batch}", "<= 1/3", "none within a point of dense"))
            continue
        best = accurate.loc[accurate["energy_j"].idxmin()]
        details = f"{best['variant']}, accuracy {best['quality']:.3f} (dense {dense.loc['litert', 'quality']:.3f}), {best['energy_kind']}"
        interval = f"[{best['energy_vs_baseline_low']:.3f}, {best['energy_vs_baseline_high']:.3f}]"
        table += [
            row(f"energy of cut / dense, LiteRT, batch {batch}", "<= 1/3", f"{best['energy_vs_baseline']:.3f} {interval}: {details}"),
            row(
                f"energy of cut on LiteRT / dense on TensorFlow, batch {batch}",
                "<= 1/8",
                f"{best['energy_j'] / dense.loc['tensorflow', 'energy_j']:.4f}",
            ),
        ]
    return table


def resnet50() -> list[Row]:
    """Ratios of int8 to float32 with their intervals, the kernels that ran and the CPU's flags; int8 may be slower."""
    cases = run(RESNET)
    flags = set(environment.environment().cpu_flags)
    table = [row("CPU flags for int8", "reported", ", ".join(flag for flag in INT8_FLAGS if flag in flags) or "none")]
    for _, case in cases.iterrows():
        kernels = case["kernels"] if isinstance(case["kernels"], str) else "kernels unknown"
        details = f"p50 {1e3 * case['latency_p50_s']:.1f} ms, ran {case['precision_ran']}: {kernels}"
        if case["variant"] == "int8":
            low, high = case["energy_vs_baseline_low"], case["energy_vs_baseline_high"]
            details = f"energy int8 / float32 {case['energy_vs_baseline']:.2f} [{low:.2f}, {high:.2f}]; {details}"
        table.append(row(f"ResNet50, {case['engine']}, {case['variant']}", "reported", details))
    return table


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
    """Table of the cases of a suite, run at the quick profile."""
    command = str(Path(sys.executable).parent / "harness")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suite.yaml"
        path.write_text(suite)
        subprocess.run([command, "run", str(path), "--results", folder], check=True, stdout=subprocess.DEVNULL)
        (done,) = [p.parent for p in Path(folder).glob("*/run.json")]
        csv = subprocess.run([command, "export", str(done), "--format", "csv"], check=True, capture_output=True, text=True).stdout
        (Path(folder) / "cases.csv").write_text(csv)
        return pd.read_csv(Path(folder) / "cases.csv")
