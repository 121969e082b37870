"""Overhead of the harness per query, per repetition and on the machine: median ratios of interleaved pairs, with the noise of A against A."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness import plugins
from harness.channel import Request
from harness.run import start
from harness.run.campaign import Campaign
from harness.run.requests import case_request
from harness.run.runner import run
from harness.schema import PROFILES, Case, Floats, Record, Task
from harness.store import read_run
from harness.suite import load_suite

SUITE = """\
name: cost
models: [digits-cnn]
matrices:
  - engines: [litert, onnxruntime, openvino, tensorflow]
    variants: [dense]
"""
ENGINES = ("litert", "onnxruntime", "openvino", "tensorflow")
Row = dict[str, str]


class Quiet:
    """An observer that ignores all events."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None


@contextlib.contextmanager
def built_campaign(text: str = SUITE, prepare: Callable[[Path], None] = lambda folder: None) -> Iterator[Campaign]:
    """A campaign on this machine with everything built that the suite needs.

    Args:
        text: The suite, whose code is trusted.
        prepare: Writes the files that the suite names into its folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        path = Path(folder) / "suite.yaml"
        path.write_text(text)
        catalogue = plugins.catalogue()
        suite = load_suite(path, catalogue, trusted=True)
        profile = PROFILES["quick"].model_copy(update={"first": 0, "cap": 0})  # only the builds
        with start.begin(start.RunRequest(suite, text, profile, Path(folder)), catalogue, Quiet()) as running:
            running.run()
            failed = [record for record in read_run(running.store.folder).records if record.status != "ok"]
            assert not failed, failed[0].reason
            running.header = running.header.model_copy(update={"profile": PROFILES["quick"]})
            yield running


class Repetition:
    """One repetition, with the CPU time of the parent in its window."""

    def __init__(self, running: Campaign, case: Case, *, sampled: bool = True) -> None:
        self.marks: list[tuple[str, float, float]] = []
        context = running.context()
        began_s = time.monotonic()
        self.record: Record = run(
            Task(case=case, repetition=1),  # only the first is profiled
            case_request(case, running.header.suite, running.artifacts, running.memory_bytes),
            context if sampled else replace(context, sensors=[]),
            self._on_phase,
        ).record
        self.wall_s = time.monotonic() - began_s
        assert self.record.status == "ok", self.record.reason

    def _on_phase(self, phase: str) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.marks.append((phase, time.monotonic(), usage.ru_utime + usage.ru_stime))

    @property
    def p50_s(self) -> float:
        """Median latency in s."""
        assert self.record.latency
        return self.record.latency.p50_s

    @property
    def parent_share(self) -> float:
        """Share of a core that the parent used in the window."""
        at = next(i for i, mark in enumerate(self.marks) if mark[0] == "steady")
        (_, t0, c0), (_, t1, c1) = self.marks[at], self.marks[at + 1]
        return (c1 - c0) / (t1 - t0)

    @property
    def fixed_s(self) -> float:
        """Time in s outside idle phases, window and quality: start, load, warm-up, reply."""
        measured = sum(p.duration_s for p in self.record.phases if p.name in ("idle", "steady", "quality"))
        return self.wall_s - measured


def rows(pairs: int = 20, bare_pairs: int = 8) -> list[Row]:
    """All figures of this module."""
    with built_campaign() as running:
        cases = {case.engine: case for case in running.header.suite.cases}
        return [
            *sampler_rows(running, cases["litert"], pairs),
            *_bare(running, cases, bare_pairs),
            *_turns(running, cases),
            *_fixed(running, cases),
            _help(),
        ]


def sampler_rows(running: Campaign, case: Case, pairs: int) -> list[Row]:
    """Latency with the sampler over latency without it, and without over without."""
    ratios, noise, shares = [], [], []
    for _ in range(pairs):
        a, b, c = Repetition(running, case), Repetition(running, case, sampled=False), Repetition(running, case, sampled=False)
        ratios.append(a.p50_s / b.p50_s)
        noise.append(c.p50_s / b.p50_s)
        shares.append(a.parent_share)
    spread = float(np.median(np.abs(np.array(noise) - 1))) / np.sqrt(pairs)
    verdict = "" if spread <= 0.005 else f" (inconclusive: the noise of A against A leaves {spread:.2%} on the median)"
    return [
        row(f"p50 with the sampler / without, LiteRT dense, {pairs} pairs", "<= 1.01", f"{np.median(ratios):.4f}{verdict}"),
        row("without / without (noise)", "", f"{np.median(noise):.4f}, single pairs {np.min(noise):.3f} to {np.max(noise):.3f}"),
        row("CPU time of the parent in a window, share of a core", "<= 3 %", f"{np.median(shares):.2%}, worst {np.max(shares):.2%}"),
    ]


def _bare(running: Campaign, cases: dict[str, Case], pairs: int) -> list[Row]:
    """The harness's p50 over that of a bare loop in a process of its own."""
    return [
        ratio_row(
            f"p50 / bare loop, {engine}",
            "<= 1.03",
            pairs,
            partial(p50_s, running, cases[engine]),
            partial(bare_p50_s, running, cases[engine]),
        )
        for engine in ENGINES
    ]


def _turns(running: Campaign, cases: dict[str, Case], processes: int = 3) -> list[Row]:
    """The same ratio, alternating in one process."""
    return [
        row(
            f"p50 / bare loop, alternating in one process, {engine}, {processes} processes",
            "<= 1.03",
            by_turns(running, cases[engine], processes),
        )
        for engine in ENGINES
    ]


def by_turns(running: Campaign, case: Case, processes: int) -> str:
    """Median ratio of all pairs of rounds with its interval, and the range of the medians of single processes."""
    request = case_request(case, running.header.suite, running.artifacts, running.memory_bytes)
    ratios = [json.loads(_python(request, "benchmarks.turns")) for _ in range(processes)]
    medians = [np.median(each) for each in ratios]
    return f"{median_text(np.concatenate(ratios))}, single processes {np.min(medians):.3f} to {np.max(medians):.3f}"


def median_text(values: Sequence[float] | Floats) -> str:
    """Median with its distribution-free 95 % interval (order statistics; none below six values)."""
    from scipy.stats import quantile_test

    bounds: Any = quantile_test(values, p=0.5).confidence_interval(0.95)
    return f"{np.median(values):.4f} [{bounds.low:.4f}, {bounds.high:.4f}]"


def _python(request: Request, module: str, *arguments: str) -> str:
    """Output of a module of ours that reads the request's task, with its interpreter and environment."""
    argv, environment = [*request.python, "-m", module, *arguments], {**os.environ, **request.environment}
    return subprocess.run(argv, input=request.task.model_dump_json(), capture_output=True, text=True, check=True, env=environment).stdout


def ratio_row(figure: str, goal: str, pairs: int, ours: Callable[[], float], other: Callable[[], float]) -> Row:
    """Median ratio of ours to the other, which is measured before and after ours, with its noise (after over before)."""
    ratios, noise = [], []
    for _ in range(pairs):
        before, value, after = other(), ours(), other()
        ratios.append(value / np.sqrt(before * after))
        noise.append(after / before)
    spread = (
        f"single ones {np.min(ratios):.3f} to {np.max(ratios):.3f}, the other against itself {np.min(noise):.3f} to {np.max(noise):.3f}"
    )
    return row(f"{figure}, {pairs} times", goal, f"{median_text(ratios)}, {spread}")


def p50_s(running: Campaign, case: Case) -> float:
    """Median latency in s of one repetition of the harness."""
    return Repetition(running, case).p50_s


def bare_p50_s(running: Campaign, case: Case) -> float:
    """Median latency in s of the bare loop on the same artifact and data."""
    return float(_python(case_request(case, running.header.suite, running.artifacts, running.memory_bytes), "benchmarks.bare", "1.5"))


def _fixed(running: Campaign, cases: dict[str, Case], repetitions: int = 3) -> list[Row]:
    goals = {"litert": "<= 2.5 s", "onnxruntime": "<= 2.5 s", "openvino": "<= 2.5 s", "tensorflow": "<= 8 s"}
    return [
        row(
            f"fixed cost of a repetition, {engine}",
            goals[engine],
            f"{np.median([Repetition(running, cases[engine]).fixed_s for _ in range(repetitions)]):.2f} s",
        )
        for engine in ENGINES
    ]


def _help() -> Row:
    def once() -> float:
        began_s = time.monotonic()
        subprocess.run([str(Path(sys.executable).parent / "harness"), "--help"], capture_output=True, check=True)
        return time.monotonic() - began_s

    return row("harness --help", "<= 0.3 s", f"{np.median([once() for _ in range(5)]):.2f} s")


def row(figure: str, goal: str, measured: str) -> Row:
    """One row of the table."""
    return {"figure": figure, "goal": goal, "measured": measured}
