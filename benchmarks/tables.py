"""Time and memory for reading a synthetic run of 100,000 records and making its tables, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.cost import Row, row
from harness.schema import (
    PROFILES,
    Artifact,
    ArtifactFacts,
    Case,
    Domain,
    Environment,
    Finding,
    Header,
    Kernel,
    Latency,
    Measurement,
    Phase,
    Quality,
    Record,
    Step,
    Suite,
)
from harness.store import Store

CODE = """
import json, resource, sys, time
from pathlib import Path
began_s = time.monotonic()
from harness.cli.app import read_stored
from harness import frame
run = read_stored(sys.argv[1], Path("."))
read_s = time.monotonic() - began_s
tables = frame.tables([run])
wall_s = time.monotonic() - began_s
rows = {name: len(table) for name, table in tables.items()}
print(json.dumps({"read_s": read_s, "wall_s": wall_s, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "rows": rows}))
"""
DOMAINS = (
    Domain(name="package", sensor="rapl", quantity="energy", unit="J", kind="counter", gain=0.05, update_period_s=0.001),
    Domain(name="dram", sensor="rapl", quantity="energy", unit="J", kind="counter", gain=0.05, update_period_s=0.001),
)
ENGINES = ("litert", "onnxruntime", "openvino", "tensorflow")


def rows(records: int = 100_000, models: int = 20, launches: int = 10) -> list[Row]:
    """Wall time and peak memory of reading the run and making all four tables."""
    with tempfile.TemporaryDirectory() as folder:
        run = write(Path(folder), records, models, launches)
        size = (run / "records.jsonl").stat().st_size
        done = subprocess.run([sys.executable, "-c", CODE, str(run)], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    figure = (
        f"tables over {records:,} records ({size / 1e6:.0f} MB, {result['rows']['cases']:,} cases of {models} models, {launches} launches)"
    )
    return [
        row(f"{figure}: wall", "<= 20 s", f"{result['wall_s']:.1f} s, of which reading {result['read_s']:.1f}"),
        row(f"{figure}: peak memory", "<= 2 GiB", f"{result['peak_bytes'] / 2**30:.2f} GiB"),
    ]


def write(results: Path, records: int, models: int, launches: int) -> Path:
    """Write the run as the harness stores it, without traces."""
    rng = np.random.default_rng(0)
    cases = tuple(_cases(records // launches // models, models))
    header = Header(
        run_id="large", started_utc="2026-01-05T10:00:00+00:00", harness_version="0", harness_commit=None, profile=PROFILES["publish"],
        seed=0, suite=Suite(name="large", sha256="5" * 64, models=(), cases=cases, builds=()), suite_source="",
        environments=(_environment(),), domains=DOMAINS,
    )  # fmt: skip
    store = Store.create(results, header)
    with (store.folder / "records.jsonl").open("w", encoding="utf-8") as lines:
        for case in cases:
            typical_s, quality = rng.lognormal(-7, 0.5), rng.uniform(0.9, 0.97)
            for repetition in range(launches):
                lines.write(_record(case, repetition, typical_s * rng.normal(1, 0.01), quality, rng).model_dump_json() + "\n")
    return store.folder


def _cases(per_model: int, models: int) -> Iterator[Case]:
    for number in range(per_model * models):
        model, engine, variant = f"model-{number // per_model}", ENGINES[number % 4], number % per_model // 4
        name = f"prune(final_sparsity={variant / 1000})" if variant else "dense"
        tail = f"{engine}/cpu/b1/t1/single_stream"
        yield Case(
            case_id=f"{model}/{name}/{tail}", model=model, variant=name, steps=(Step(recipe="prune"),) if variant else (), engine=engine,
            device="cpu", batch_size=1, threads=1, scenario="single_stream", build_id=f"build-{number}",
            baseline_case_id=f"{model}/dense/{tail}",
        )  # fmt: skip


def _record(case: Case, repetition: int, p50_s: float, quality: float, rng: np.random.Generator) -> Record:
    """Record of one launch: 50 W in the package, 5 W in the memory, idle before and after."""
    inferences = 3.0 / p50_s
    edges = (("idle", 8.0, 9.0), ("steady", 10.0, 13.0), ("idle", 14.0, 15.0))
    return Record(
        run_id="large", task="case", case_id=case.case_id, build_id=case.build_id, block=repetition, repetition=repetition, attempt=1,
        status="ok", environment_id="box", boot_id="0a1b2c3d-0000-4000-8000-000000000000", started_utc="2026-01-05T10:00:00.000+00:00",
        utc_minus_monotonic_s=1.7e9, inferences=inferences, throughput_per_s=1 / p50_s,
        phases=tuple(Phase(name=name, start_s=a, end_s=b) for name, a, b in (("load", 1.0, 8.0), *edges, ("quality", 13.0, 14.0))),
        measurements=tuple(
            Measurement(
                domain=domain.name, sensor="rapl", kind="counter", phase=phase, start_s=a, end_s=b,
                inferences=inferences if phase == "steady" else None,
                gross_j=float(watts * (b - a) * rng.normal(1, 0.01)) if phase == "steady" else watts * 0.4,
                idle_w=watts * 0.4, net_j=watts * 0.6 * (b - a) if phase == "steady" else None, edge_j=1e-3, poll_gap_s=5e-4, gain=0.05,
            )
            for domain, watts in zip(DOMAINS, (50.0, 5.0), strict=True) for phase, a, b in edges
        ),
        conditions={"cpu_load": 0.5, "cpu_clock": 3.1e9, "foreign_load": 0.01, "temperature": 55.0},
        latency=Latency(queries=20_000, mean_s=1.02 * p50_s, p50_s=p50_s, p90_s=1.1 * p50_s, p95_s=1.2 * p50_s, p99_s=1.5 * p50_s),
        quality=Quality(metric="accuracy", direction="higher", value=quality, samples=10_000, low=quality - 0.004, high=quality + 0.004),
        peak_memory_bytes=90_000_000, resident_bytes=35_000_000, precision_ran="float32",
        kernels=tuple(Kernel(op=op, kernel="XNNPACK", precision="float32", share=0.25) for op in ("Conv", "MatMul", "Add", "Pool"))
        if repetition == 0 else (),
        engine_facts={"threads": 1, "delegate": "XNNPACK", "version": "2.3.0"},
        artifact=Artifact(
            build_id=case.build_id, format="tflite", path=f"/cache/artifacts/{case.build_id}/model.tflite", sha256="ab" * 32, bytes=97_800,
            lineage=("dataset", "train", case.variant),
            facts=ArtifactFacts(
                parameters=24_000, nonzero_parameters=24_000, macs=310_000, zeros={f"layer_{k}/kernel": 0.01 * k for k in range(8)}
            ),
        ),
        trace=f"traces/{case.build_id}-r{repetition}-a1.parquet",
        warnings=(Finding(code="foreign_load", sentence="other processes used 0.70 cores during the window", remedy="stop them"),)
        if rng.uniform() < 0.1 else (),
    )  # fmt: skip


def _environment() -> Environment:
    return Environment(
        environment_id="box", host="box-1", os="Linux", kernel="6.1", python="3.11", cpu="a processor", cpu_flags=("avx2",), cpu_count=2,
        memory_bytes=8 * 2**30, versions={}, harness_version="0",
    )  # fmt: skip
