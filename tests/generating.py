"""Stored runs of text generation made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.decide.offers import Offers
from harness.energy.codes import finding
from harness.schema import Case, Domain, Measurement, Record, StoredOutputs, StoredRun
from harness.schema.served import Percentiles, TokenFigures, TokenLoad
from tests import factories

LOAD = TokenLoad(concurrency=4, input_tokens=16, output_tokens=48)
FIGURES = TokenFigures(
    requests=100, failed=0, short=1, requests_per_s=5.0, input_tokens=16.0, output_tokens=48.0, concurrency=4.0, batch=3.9, batch_source="prefill",
    cached_share=0.0, ttft=Percentiles(p50_s=0.1, p90_s=0.15, p99_s=0.2), tpot=Percentiles(p50_s=0.012, p90_s=0.015, p99_s=0.02),
    itl=Percentiles(p50_s=0.011, p90_s=0.014, p99_s=0.03), e2e=Percentiles(p50_s=0.7, p90_s=0.9, p99_s=1.1), goodput_per_s=4.5,
    client_cores=0.05, client_s_per_token=8e-5, server_ratio=1.0,
)  # fmt: skip


def case(variant: str = "dense", load: TokenLoad = LOAD) -> Case:
    """A case of a server."""
    scenario = "closed" if load.concurrency is not None else "poisson"
    tail = f"openai-server/cpu/t1/{scenario}/{load.text}"
    return factories.case(variant, "openai-server", model="llama").model_copy(
        update={
            "case_id": f"llama/{variant}/{tail}",
            "scenario": scenario,
            "baseline_case_id": f"llama/dense/{tail}",
            "load": load,
        }
    )


def outside(domain: Domain, phase: str, joules: float) -> Measurement:
    """Energy of a phase around the window."""
    blank = {"phase": phase, "inferences": None, "idle_w": None, "net_j": None, "gross_j": joules}
    return factories.measurement(domain, joules, 1.0).model_copy(update=blank)


def record(of: Case, joules: float = 0.5, repetition: int = 0, **changes: Any) -> Record:
    """One launch of `joules` per output token."""
    found = factories.COUNTERS[:1]
    fields: dict[str, Any] = {
        "tokens": FIGURES, "inferences": 4800.0, "throughput_per_s": 240.0, "quality": None,
        "measurements": (
            factories.measurement(found[0], joules, 4800.0),
            outside(found[0], "warmup", 300.0),
            outside(found[0], "drain", 20.0),
        ),
        "engine_facts": {"repeat_agreement": 0.98, "mean_logprob": -1.5},
    }  # fmt: skip
    return factories.record(of, {}, latency_s=0.012, found=found, repetition=repetition).model_copy(update={**fields, **changes})


def llama(variants: tuple[str, ...] = ("dense", "q8_0"), launches: int = 3) -> StoredRun:
    """A run of variants, each of which uses three quarters of the energy of the one before."""
    cases = [case(variant) for variant in variants]
    records = [record(each, 0.5 * 0.75**k * (1 + 0.01 * n), n) for k, each in enumerate(cases) for n in range(launches)]
    run = factories.stored(cases, records, found=factories.COUNTERS[:1])
    tokens = np.arange(16 * 32, dtype=np.int64).reshape(16, 32)
    different = tokens.copy()
    different[:, 24:] = 7
    outputs = {each.case_id: StoredOutputs(np.zeros(0), tokens if each.variant == "dense" else different) for each in cases}
    return replace(run, outputs=outputs)


SPEED, POWER = {"q8_0": 0.8, "q4_0": 0.7}, {"q8_0": 0.95, "q4_0": 1.02}
"""Time per token and power of a variant relative to dense."""


def figures(of: Case, factor: float = 1.0) -> TokenFigures:
    """Figures that follow from the load: each token waits for those of the other requests, a quantized variant is faster."""
    load = of.load
    assert load is not None
    asked = load.concurrency or 2.0
    tpot = 0.010 * (1 + 0.15 * asked) * factor * SPEED.get(of.variant, 1.0)
    ttft = 0.0005 * load.input_tokens * (1 + 0.2 * asked) * factor
    e2e = ttft + (load.output_tokens - 1) * tpot
    single = load.output_tokens == 1
    return FIGURES.model_copy(
        update={
            "input_tokens": float(load.input_tokens),
            "output_tokens": float(load.output_tokens),
            "concurrency": asked * 0.99,
            "batch": asked * 0.97,
            "requests_per_s": asked / e2e,
            "goodput_per_s": 0.9 * asked / e2e,
            "offered": None if load.rate_per_s is None else 0.99,
            "ttft": around(ttft),
            "tpot": None if single else around(tpot),
            "itl": None if single else around(tpot),
            "e2e": around(e2e),
        }
    )


def around(p50_s: float) -> Percentiles:
    """With its usual tail, of about a hundred requests."""
    return Percentiles(p50_s=p50_s, p90_s=1.3 * p50_s, p99_s=None)


def launch(of: Case, repetition: int, watts: float = 40.0) -> Record:
    """A launch whose energy is that of `watts` and its rate."""
    factor = 1 + 0.01 * (repetition - 1)
    own = figures(of, factor)
    rate = own.requests_per_s * own.output_tokens
    tpot = own.tpot.p50_s if own.tpot else None
    return record(
        of,
        watts * POWER.get(of.variant, 1.0) / rate * factor,
        repetition,
        tokens=own,
        throughput_per_s=rate,
        latency=factories.latency(tpot) if tpot else None,
    )


def sweep(
    variants: tuple[str, ...] = ("dense", "q8_0", "q4_0"),
    loads: tuple[TokenLoad, ...] = tuple(LOAD.model_copy(update={"concurrency": n}) for n in (1, 4, 8)),
    launches: int = 3,
) -> StoredRun:
    """A run of variants at several loads."""
    cases = [case(variant, load) for load in loads for variant in variants]
    run = factories.stored(cases, [launch(each, n) for each in cases for n in range(launches)], found=factories.COUNTERS[:1])
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 90, (16, 32))
    outputs = {}
    for each in cases:
        answers = tokens.copy()
        for i, length in enumerate(rng.integers(8 if each.variant == "q4_0" else 20, 32, 16) if each.variant != "dense" else ()):
            answers[i, length:] = 99
        outputs[each.case_id] = StoredOutputs(np.zeros(0), answers)
    return replace(run, outputs=outputs)


PREFILL_AND_DECODE = (
    TokenLoad(concurrency=4, input_tokens=256, output_tokens=1),
    TokenLoad(concurrency=4, input_tokens=16, output_tokens=256),
)


def mixed() -> StoredRun:
    """A run with cases that answer queries and cases that generate text."""
    queries, text = factories.digits(factories.COUNTERS), sweep()
    suite = queries.header.suite.model_copy(update={"cases": (*queries.header.suite.cases, *text.header.suite.cases)})
    header = queries.header.model_copy(update={"suite": suite})
    return replace(queries, header=header, records=(*queries.records, *text.records), outputs={**queries.outputs, **text.outputs})


def other(factor: float, run: StoredRun | None = None) -> StoredRun:
    """The run on another machine, which uses `factor` times the energy."""
    run = run or sweep()
    records = tuple(
        r.model_copy(
            update={
                "run_id": "other",
                "measurements": tuple(
                    m.model_copy(update={"gross_j": None if m.gross_j is None else factor * m.gross_j}) for m in r.measurements
                ),
            }
        )
        for r in run.records
    )
    return replace(run, header=run.header.model_copy(update={"run_id": "other"}), records=records)


def offers(runs: Sequence[StoredRun]) -> Offers:
    """Offers for the machines of the runs, the first the most expensive."""
    listed = [{"machine": run.header.run_id, "capital_cost": 9000.0 - 4000 * k, "lifetime_years": 4.0} for k, run in enumerate(runs)]
    site = {"currency": "EUR", "electricity_price_per_kwh": 0.3, "duty_cycle": 0.5, "pue": 1.2}
    return Offers.model_validate({**site, "offers": listed})


def cost_only(run: StoredRun) -> StoredRun:
    """The run with random weights."""
    random = finding("cost_only", why="its weights are random")
    return replace(run, records=tuple(r.model_copy(update={"warnings": (*r.warnings, random)}) for r in run.records))
