"""PyTorch on the CPU: overhead of a query and of a launch, and what its optimisations do to ResNet50."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.cost import Repetition, Row, bare_p50_s, built_campaign, by_turns, p50_s, ratio_row, row
from benchmarks.optimisations import run, variant_rows
from harness import plugins, venvs
from harness.errors import EngineError
from harness.run.campaign import Campaign
from harness.schema import Case

MODELS = {"resnet50": (3, 224, 224), "convolutions": (1, 8, 8), "perceptron": (64,)}
"""Shape of a sample of each model; a query of the last two takes about 50 and 15 us."""
SMALL = '''\
"""Two models that answer in less than a millisecond, each with an example of its input."""

import torch
from torch.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential


def convolutions():
    layers = Conv2d(1, 16, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(16, 32, 3, padding=1), ReLU(), Flatten(), Linear(512, 10)
    return Sequential(*layers), torch.zeros(2, 1, 8, 8)


def perceptron():
    return Sequential(Linear(64, 64), ReLU(), Linear(64, 10)), torch.zeros(2, 64)
'''
OVERHEAD = """\
name: pytorch
models:
  - {name: resnet50, workload: torchvision/resnet50, data: {test: {inputs: "resnet50.npz:x"}}, metric: null}
  - {name: convolutions, path: "small:convolutions", framework: torch, data: {test: {inputs: "convolutions.npz:x"}}, metric: null}
  - {name: perceptron, path: "small:perceptron", framework: torch, data: {test: {inputs: "perceptron.npz:x"}}, metric: null}
matrices:
  - {variants: [dense], engines: [torch, {name: torch, options: {mode: compile}}]}
"""
VARIANTS = """\
name: resnet50
models: [torchvision/resnet50]
matrices:
  - {variants: [dense, bfloat16, compile, [bfloat16, compile]], engines: [torch]}
"""
FIXED_S = {"eager": "<= 6 s", "compile": "reported"}


def rows(pairs: int = 6, processes: int = 3, launches: int = 3) -> list[Row]:
    """All figures of this module; one row with the reason if PyTorch's environment is missing."""
    try:
        venvs.python(plugins.catalogue().engines["torch"])
    except EngineError as error:
        return [row("PyTorch on the CPU", "reported", f"skipped: {error}; {error.hint}")]
    with built_campaign(OVERHEAD, prepare) as running:
        table = [line for case in running.header.suite.cases for line in _overhead(running, case, pairs, processes, launches)]
    return [*table, *variant_rows("ResNet50", run(VARIANTS))]


def prepare(folder: Path) -> None:
    """Write the small models and the test data into a suite's folder."""
    (folder / "small.py").write_text(SMALL)
    for name, shape in MODELS.items():
        np.savez(folder / f"{name}.npz", x=np.random.default_rng(0).random((16, *shape), dtype=np.float32))


def _overhead(running: Campaign, case: Case, pairs: int, processes: int, launches: int) -> list[Row]:
    mode = case.engine_options.get("mode", "eager")
    fixed_s = np.median([Repetition(running, case).fixed_s for _ in range(launches)])
    what = f"torch, {mode}, {case.model}"
    return [
        row(f"p50 / bare loop, alternating in one process, {what}, {processes} processes", "<= 1.03", by_turns(running, case, processes)),
        ratio_row(f"p50 / bare loop, {what}", "<= 1.03", pairs, partial(p50_s, running, case), partial(bare_p50_s, running, case)),
        row(f"fixed cost of a repetition, {what}", FIXED_S[mode], f"{fixed_s:.2f} s"),
    ]
