"""Runs of one or two cases for the tests of the tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from harness import frame
from harness.schema import StoredOutputs, StoredRun
from tests.factories import (
    CARD,
    COUNTERS,
    MODELLED,
    case,
    idle,
    measurement,
    record,
    stored,
)

CALIBRATED = CARD[0].model_copy(
    update={"sensor": "nvml (calibrated)", "detail": {"uuid": "GPU-1", "calibration": {"offset_u_w": 0.3, "gain": 1.5}}}
)


DENSE, INT8 = case("dense"), case("int8")


def row(run) -> pd.Series:
    """The only row of `cases` of a run."""
    table = frame.cases([run])
    assert len(table) == 1
    return table.iloc[0]


def one(found=MODELLED, energies=(None, None, None), of=DENSE, **changes) -> pd.Series:
    """The row of a case with one repetition for each energy."""
    records = [record(of, each, repetition=k, found=found, **changes) for k, each in enumerate(energies)]
    return row(stored([of], records, found))


def on_a_card(energies=(7.0, 7.1, 6.9), domain=CARD[0]) -> StoredRun:
    """A GPU case whose idle power was 30 W before and 32 W after."""
    gpu = case(device="gpu")
    parts = [(measurement(domain, e, 60_000.0), *idle(domain, 30.0, 32.0)) for e in energies]
    facts = {
        "conditions": {f"{domain.name} power_capped": 0.5},
        "engine_facts": {"tf32": False, "placement": {"asked": "CUDA", "operators": {"CUDA": 9, "CPU": 1}, "elsewhere": {"Shape": 1}}},
        "peak_device_memory_bytes": 600_000_000,
        "peak_device_memory_source": "process",
    }
    return stored([gpu], [record(gpu, {}, repetition=k, measurements=each, **facts) for k, each in enumerate(parts)], (domain,))


N = 1000


RIGHT = np.arange(N) >= 20
"""Dense is wrong on 20 of 1,000."""


def pair(
    dense: StoredOutputs | None, int8: StoredOutputs | None, qualities=(0.98, 0.98), energies=(2.0, 1.0), **suite
) -> tuple[pd.Series, pd.Series]:
    """The rows of dense and int8 with these stored outputs; three launches of each."""
    records = [
        record(c, {"package": e * (1 + k / 1000)}, e * 1e-5, q, k, COUNTERS)
        for c, e, q in zip((DENSE, INT8), energies, qualities, strict=True)
        for k in range(3)
    ]
    answers = {c.case_id: a for c, a in ((DENSE, dense), (INT8, int8)) if a}
    table = frame.cases([replace(stored([DENSE, INT8], records, COUNTERS, **suite), outputs=answers)])
    return table.iloc[0], table.iloc[1]


def outputs(*classes: int) -> StoredOutputs:
    """Outputs with these top-1 classes."""
    return StoredOutputs(outputs=np.eye(3, dtype=np.float32)[list(classes)])


def per_sample(right) -> StoredOutputs:
    """Whether each sample is right."""
    return StoredOutputs(per_sample=np.asarray(right, dtype=np.float64))
