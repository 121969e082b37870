"""Runs of one or two cases for the tests of the tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from harness import frame
from harness.schema import Domain, StoredOutputs, StoredRun
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


def card_state(card: str) -> tuple[tuple[Domain, ...], dict[str, Any]]:
    """Conditions of a card, and what a launch at 61 degC and 1.9 GHz recorded of them: 45 degC and 0.2 GHz before."""
    common = {"sensor": "nvml", "device": "gpu"}
    domains = (
        Domain(name=f"{card} temperature", quantity="temperature", unit="degC", **common),
        Domain(name=f"{card} memory_temperature", quantity="temperature", unit="degC", **common),
        Domain(name=f"{card} sm_clock", quantity="clock", unit="Hz", **common),
    )
    means = {"power_capped": 0.5, "slowed": 0.0, "temperature": 61.0, "memory_temperature": 80.0, "sm_clock": 1.9e9}
    start = {"temperature": 45.0, "memory_temperature": 50.0, "sm_clock": 0.2e9}
    of_card = [{f"{card} {name}": value for name, value in each.items()} for each in (means, start)]
    return domains, {"conditions": of_card[0], "start_conditions": of_card[1]}


def on_a_card(energies=(7.0, 7.1, 6.9), domain=CARD[0], limits_w=(250.0, 450.0)) -> StoredRun:
    """A GPU case whose idle power was 30 W before and 32 W after, on a card with a power limit below its default."""
    gpu = case(device="gpu")
    parts = [(measurement(domain, e, 60_000.0), *idle(domain, 30.0, 32.0)) for e in energies]
    facts = {
        **card_state(domain.name)[1],
        "engine_facts": {"tf32": False, "placement": {"asked": "CUDA", "operators": {"CUDA": 9, "CPU": 1}, "elsewhere": {"Shape": 1}}},
        "peak_device_memory_bytes": 600_000_000,
        "peak_device_memory_source": "process",
    }
    records = [record(gpu, {}, repetition=k, measurements=each, **facts) for k, each in enumerate(parts)]
    run = stored([gpu], records, (domain, *card_state(domain.name)[0]))
    card = {"domain": domain.name, "name": "NVIDIA GeForce RTX 4090", "power_limit_w": limits_w[0], "power_limit_default_w": limits_w[1]}
    environment = run.header.environments[0].model_copy(update={"devices": (card,)})
    return replace(run, header=run.header.model_copy(update={"environments": (environment,)}))


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
