"""Stored runs made by hand: plausible numbers of every kind, for tables, plots and the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness import schema
from harness.schema import (
    Artifact,
    ArtifactFacts,
    Build,
    Case,
    Domain,
    Environment,
    Finding,
    Grid,
    Header,
    Kernel,
    Latency,
    Measurement,
    Model,
    Phase,
    Quality,
    Record,
    Step,
    StoredOutputs,
    StoredRun,
    Suite,
)

INVALID = Finding(code="sensor_gap", sentence="package was not read for 0.80 s of the window", remedy="run the case again", invalid=True)
WARNING = Finding(code="foreign_load", sentence="other processes used 0.70 cores during the window", remedy="stop them")

MODELLED = (
    Domain(name="package", sensor="codecarbon", quantity="power", unit="W", kind="modelled"),
    Domain(name="dram", sensor="codecarbon", quantity="power", unit="W", kind="modelled"),
)
COUNTERS = (
    Domain(name="package", sensor="rapl", quantity="energy", unit="J", kind="counter", gain=0.05, update_period_s=0.001),
    Domain(name="dram", sensor="rapl", quantity="energy", unit="J", kind="counter", gain=0.05, update_period_s=0.001),
    Domain(name="core", sensor="rapl", quantity="energy", unit="J", kind="counter", gain=0.05, parent="package"),
    Domain(name="psys", sensor="rapl", quantity="energy", unit="J", kind="counter", gain=0.05),
)
CARD = (
    Domain(
        name="gpu:0", sensor="nvml", quantity="energy", unit="J", kind="counter", device="gpu", gain=0.07, update_period_s=0.1,
        detail={"name": "NVIDIA GeForce RTX 4090", "uuid": "GPU-4090"},
    ),
    Domain(name="gpu:0:power", sensor="nvml", quantity="power", unit="W", kind="sampled", device="gpu", counter="gpu:0"),
)  # fmt: skip


FLOAT_KERNELS = (
    Kernel(op="Conv", kernel="CPU", precision="float32", share=0.8),
    Kernel(op="MatMul", kernel="CPU", precision="int8", share=0.2),
)


def case(variant: str = "dense", engine: str = "litert", batch_size: int = 1, model: str = "digits-cnn", device: str = "cpu") -> Case:
    """A cell of the matrix; its baseline is the dense case of the same engine and batch."""
    tail = f"{engine} {device} b{batch_size} t1 single_stream"
    return Case(
        case_id=f"{model} {variant} {tail}",
        model=model,
        variant=variant,
        steps=tuple(Step(recipe=part.split("(")[0]) for part in variant.split("+")),
        engine=engine,
        device=device,
        batch_size=batch_size,
        threads=1,
        scenario="single_stream",
        build_id=f"build-{variant}",
        baseline_case_id=f"{model} dense {tail}",
    )


def record(
    of: Case,
    energies: dict[str, float] | None = None,
    latency_s: float = 25e-6,
    quality: float | None = 0.97,
    repetition: int = 0,
    found: Sequence[Domain] = MODELLED,
    **changes: Any,
) -> Record:
    """One repetition.

    Args:
        of: Its case.
        energies: Joules per inference by domain; null: every domain of `found` draws 5 W.
        latency_s: Median per query.
        quality: Accuracy on 360 samples.
        repetition: Its number.
        found: The domains that were sampled.
        changes: Fields set otherwise.
    """
    rate = of.batch_size / latency_s
    energies = {d.name: 5.0 / rate for d in found} if energies is None else energies
    kinds = {d.name: d for d in found}
    fields: dict[str, Any] = {
        "run_id": "run", "task": "case", "case_id": of.case_id, "build_id": of.build_id, "block": repetition, "repetition": repetition,
        "attempt": 1, "status": "ok", "environment_id": "box", "boot_id": "boot", "started_utc": "2026-01-05T10:00:00.000+00:00",
        "utc_minus_monotonic_s": 1.7e9, "inferences": 1.5 * rate, "throughput_per_s": rate,
        "phases": (Phase(name="steady", start_s=10.0, end_s=11.5),),
        "measurements": tuple(measurement(kinds[name], joules, 1.5 * rate) for name, joules in energies.items()),
        "latency": latency(latency_s),
        "quality": accuracy(quality) if quality is not None else None,
        "peak_memory_bytes": 40_000_000,
        "resident_bytes": 12_000_000,
        "precision_ran": "float32",
        "kernels": FLOAT_KERNELS if repetition == 0 else (),
        "artifact": Artifact(
            build_id=of.build_id, format="tflite", path="model.tflite", sha256="ab" * 32, bytes=97_800,
            facts=ArtifactFacts(parameters=24_000, nonzero_parameters=24_000, macs=310_000),
        ),
    }  # fmt: skip
    return Record(**{**fields, **changes})


def measurement(domain: Domain, joules: float, inferences: float, **changes: Any) -> Measurement:
    """`joules` per inference of one domain over `steady`."""
    fields: dict[str, Any] = {
        "domain": domain.name, "sensor": domain.sensor, "kind": domain.kind or "absent", "phase": "steady", "start_s": 10.0, "end_s": 11.5,
        "inferences": inferences, "gross_j": joules * inferences, "idle_w": 2.0, "net_j": joules * inferences - 3.0,
        "device": domain.device, "parent": domain.parent, "counter": domain.counter, "gain": domain.gain,
        "edge_j": 1e-4 * joules * inferences if domain.quantity == "energy" else None,
    }  # fmt: skip
    return Measurement(**{**fields, **changes})


def idle(domain: Domain, before_w: float, after_w: float) -> tuple[Measurement, ...]:
    """Half a second before and after the window."""
    blank = {"phase": "idle", "inferences": None, "idle_w": None, "net_j": None}
    return tuple(
        measurement(domain, watts / 2, 1.0, start_s=t_s, end_s=t_s + 0.5).model_copy(update=blank)
        for t_s, watts in ((8.0, before_w), (12.0, after_w))
    )


def latency(p50_s: float) -> Latency:
    """With its usual tail."""
    return Latency(queries=50_000, mean_s=1.02 * p50_s, p50_s=p50_s, p90_s=1.1 * p50_s, p95_s=1.2 * p50_s, p99_s=1.5 * p50_s)


def accuracy(value: float) -> Quality:
    """On 360 samples, with its Wilson interval."""
    from harness.analysis.interval import wilson

    interval = wilson(round(value * 360), 360)
    return Quality(
        metric="accuracy",
        direction="higher",
        value=interval.value,
        samples=360,
        low=min(interval.low, value),
        high=max(interval.high, value),
    )


def stored(
    cases: Iterable[Case], records: Iterable[Record], found: Sequence[Domain] = MODELLED, profile: str = "quick", **suite: Any
) -> StoredRun:
    """A run that holds these."""
    cases = tuple(cases)
    header = Header(
        run_id="run",
        started_utc="2026-01-05T10:00:00+00:00",
        harness_version="0.1.0",
        harness_commit="abcdef0",
        profile=schema.PROFILES[profile],
        seed=0,
        suite=Suite(name="digits", sha256="5" * 64, models=(), cases=cases, builds=(build(), *variant_builds(cases)), **suite),
        suite_source="name: digits\n",
        environments=(environment(),),
        domains=tuple(found),
        unavailable={"nvml": "no NVIDIA driver is loaded"},
        grid=Grid(country="DEU", g_per_kwh=381.0, year="2023", source="codecarbon's table"),
    )
    return StoredRun("results/run", header, tuple(records))


def build() -> Build:
    """The training of the dense model."""
    return Build(build_id="build-dense", model="digits-cnn", step=Step(recipe="train"), format="keras", lineage=("train",))


def variant_builds(cases: Iterable[Case]) -> list[Build]:
    """One step from the dense model to each of the other variants."""
    return [
        Build(
            build_id=f"build-{variant}", model="digits-cnn", step=Step(recipe="int8"), parent="build-dense", format="tflite",
            lineage=("train", variant),
        )
        for variant in dict.fromkeys(c.variant for c in cases if c.variant != "dense")
    ]  # fmt: skip


def model(name: str) -> Model:
    """A built-in one."""
    return Model(name=name, workload=name, format="workload", sha256="0" * 64)


def environment() -> Environment:
    """A box with one socket."""
    return Environment(
        environment_id="box", host="box-1", os="Linux", kernel="6.1", python="3.11.7", cpu="AMD EPYC 7763", cpu_flags=("avx2",), cpu_count=2,
        memory_bytes=8 * 2**30, versions={"ai-edge-litert": "2.3.0", "onnxruntime": "1.32.0"}, harness_version="0.1.0",
    )  # fmt: skip


TIMES = {
    "litert": {"dense": 25e-6, "float16": 24.6e-6, "dynamic_int8": 22e-6, "int8": 14e-6, "prune(final_sparsity=0.9)": 24.8e-6,
               "prune(final_sparsity=0.9)+int8": 13.6e-6},
    "onnxruntime": {"dense": 30e-6, "int8": 45e-6},
    "tensorflow": {"dense": 690e-6},
}  # fmt: skip
ACCURACIES = {"dense": 0.972, "float16": 0.972, "dynamic_int8": 0.969, "int8": 0.9667, "prune(final_sparsity=0.9)": 0.958}


def digits(found: Sequence[Domain] = MODELLED, launches: int = 3, profile: str = "quick") -> StoredRun:
    """The default suite: 18 cases, many of nearly one quality, of which one failed, one was refused and one is invalid."""
    rng = np.random.default_rng(1)
    cells = [case(v, e, b) for e, times in TIMES.items() for v in times for b in (1, 32)]
    cells.append(case("dense", "tensorflow", 1, device="gpu"))
    records = []
    for cell in cells[:-1]:
        batch = 1 if cell.batch_size == 1 else 14 if cell.engine != "tensorflow" else 1.6
        for k in range(launches):
            seconds = TIMES[cell.engine][cell.variant] * batch * float(rng.normal(1, 0.015))
            records.append(record(cell, None, seconds, ACCURACIES.get(cell.variant, 0.953), k, found))
    records = [_spoilt(r, cells) for r in records]
    records.append(record(cells[-1], {}, status="refused", reason="no GPU is visible to tensorflow", latency=None, quality=None))
    steps = [build_record(f"build-{variant}", found) for variant in TIMES["litert"] if variant != "dense"]
    return replace(stored(cells, [*records, build_record(), *steps], found, profile), outputs=answers(records))


def answers(records: Iterable[Record], samples: int = 360) -> dict[str, StoredOutputs]:
    """StoredOutputs of each case to samples of ten classes: right as often as its quality, other wrong ones for each variant."""
    found = {}
    labels = np.random.default_rng(2).integers(0, 10, samples)
    for one in records:
        if one.case_id and one.quality and one.case_id not in found:
            rng = np.random.default_rng(int(1e4 * one.quality.value))
            right = np.ones(samples)
            right[rng.choice(samples, round((1 - one.quality.value) * samples), replace=False)] = 0
            classes = np.where(right == 1, labels, (labels + 1) % 10)
            found[one.case_id] = StoredOutputs(right, np.eye(10, dtype=np.float32)[classes])
    return found


def _spoilt(one: Record, cells: Sequence[Case]) -> Record:
    """The records of three cells, each wrong in its way."""
    if one.case_id == cells[11].case_id:
        lost = {"measurements": (), "latency": None, "quality": None, "phases": ()}
        return one.model_copy(update={**lost, "status": "failed", "reason": "tensor 12 | has no <kernel> `x`", "stderr_tail": "abort"})
    if one.case_id == cells[3].case_id:
        return one.model_copy(update={"warnings": (INVALID,)})
    return one.model_copy(update={"warnings": (WARNING,)}) if one.case_id == cells[7].case_id else one


def build_record(build_id: str = "build-dense", found: Sequence[Domain] = MODELLED, joules: float = 200.0) -> Record:
    """The training, or another step: 40 s, 10 W over two domains."""
    blank = {"phase": "build", "inferences": None, "start_s": 0.0, "end_s": 40.0, "idle_w": None, "net_j": None}
    parts = tuple(measurement(d, joules, 1.0).model_copy(update=blank) for d in found)
    return record(
        case(), {}, task="build", case_id=None, build_id=build_id, latency=None, quality=None, measurements=parts,
        phases=(Phase(name="build", start_s=0.0, end_s=40.0),), inferences=None, throughput_per_s=None,
    )  # fmt: skip
