"""Runs of dense and one variant whose effect is known, for the tests of its data and of its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness import frame
from harness.decide.effects import Effect, effects
from harness.energy.codes import finding
from harness.frame.rows import rows_of
from harness.report.sentences import sentences
from harness.schema import Domain, Finding, Record, StoredOutputs, StoredRun
from tests.factories import COUNTERS, INVALID, build_record, case, record, stored

PACKAGE = COUNTERS[:1]
SIMULATED = (PACKAGE[0].model_copy(update={"kind": "simulated", "sensor": "simulated"}),)
DENSE_J = (1.00e-3, 1.01e-3, 0.99e-3)
SAMPLES = 1000
NOT_RUN = finding("optimisation_not_run", asked="int8", ran="float32", share="")
NOT_CONFIRMED = finding("optimisation_not_confirmed", asked="int8", why="the engine reports no kernels")
LOADED = finding("foreign_load", cores=0.7)


def launches(variant: str, energies: Sequence[float | None], found: Sequence[Domain] = PACKAGE, **changes: Any) -> list[Record]:
    """A record for each energy in joules; the latency is in proportion, 25 us for 1 mJ; without one, or with 0, as 1 mJ."""
    engine = changes.pop("engine", "litert")
    cell = case(variant, engine)
    return [
        record(
            cell, {} if joules is None else {found[0].name: joules}, 25e-3 * (joules or 1e-3), repetition=k, found=found, **changes
        )
        for k, joules in enumerate(energies)
    ]  # fmt: skip


def run_of(
    energies: Sequence[float | None],
    variant: str = "int8",
    dense: Sequence[float | None] = DENSE_J,
    found: Sequence[Domain] = PACKAGE,
    right: tuple[int, int] | None = (970, 970),
    dense_changes: dict[str, Any] | None = None,
    profile: str = "quick",
    **changes: Any,
) -> StoredRun:
    """A run of dense and one variant.

    Args:
        energies: Joules per inference of each launch of the variant; None: not measured.
        variant: The variant.
        dense: Energies of dense; empty: dense did not run.
        found: The domain that was sampled.
        right: Number of the 1,000 samples that dense and the variant have right, the first ones; None: no labels and no outputs.
        dense_changes: Fields of the records of dense that are set otherwise.
        profile: The profile.
        changes: Fields of the records of the variant that are set otherwise.
    """
    cells = case("dense"), case(variant)
    changes = {"precision_ran": variant.partition("(")[0], "kernels": (), **changes}
    no_quality = {"quality": None} if right is None else {}
    records = [
        *launches("dense", dense, found, **{"kernels": (), **no_quality, **(dense_changes or {})}),
        *launches(variant, energies, found, **{**no_quality, **changes}),
    ]
    steps = [build_record(f"build-{each.variant}", found, 50.0) for each in cells]
    run = stored(cells, [*records, *steps], found, profile)
    if right is None:
        return run
    scores = [(np.arange(SAMPLES) < count).astype(np.float64) for count in right]
    return replace(run, outputs={each.case_id: StoredOutputs(score) for each, score in zip(cells, scores, strict=True)})


def without_dense(energies: Sequence[float]) -> StoredRun:
    """A run of a variant whose baseline is not in the suite."""
    cell = case("int8").model_copy(update={"baseline_case_id": None})
    return stored([cell], launches("int8", energies), PACKAGE)


def with_agreement(energies: Sequence[float], wrong: int) -> StoredRun:
    """A run without labels, whose variant differs from dense in `wrong` of 1,000 samples."""
    run = run_of(energies, right=None)
    classes = np.arange(SAMPLES) % 3
    other = np.where(np.arange(SAMPLES) < wrong, (classes + 1) % 3, classes)
    outputs = [StoredOutputs(outputs=np.eye(3, dtype=np.float32)[each]) for each in (classes, other)]
    return replace(run, outputs=dict(zip((case("dense").case_id, case("int8").case_id), outputs, strict=True)))


def effect(run: StoredRun) -> Effect:
    """The effect of the only variant of a run."""
    (found,) = effects(rows_of(frame.cases([run])), run.header.suite.quality_margin)
    return found


def sentence(run: StoredRun) -> str:
    """The sentence on the only variant of a run."""
    (line,) = sentences(run.header, rows_of(frame.cases([run])))
    return line


HALF = (0.50e-3, 0.505e-3, 0.495e-3)
CLOSE = (0.97e-3, 1.02e-3, 1.00e-3)
EQUAL_J = tuple(1e-3 * (1 + 1e-5 * k) for k in range(3))
TWICE = (2.00e-3, 2.02e-3, 1.98e-3)
INVALID_ENERGY: dict[str, tuple[Finding, ...]] = {"warnings": (INVALID,)}
FAILED: dict[str, Any] = {"status": "failed", "reason": "no kernel", "measurements": (), "latency": None, "quality": None}
