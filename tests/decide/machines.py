"""Runs of two machines for the tests of comparisons and costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.decide.offers import GridOffer, Offer, Offers
from tests import factories
from tests.factories import CARD, COUNTERS

CASES = [factories.case(), factories.case("int8")]


OFFERS = Offers(
    currency="EUR", electricity_price_per_kwh=0.3, duty_cycle=1.0, pue=1.2, grid=GridOffer(country="FRA", year=2022, g_per_kwh=56.0),
    offers=[Offer(machine="box-1", capital_cost=1000.0, lifetime_years=4.0), Offer(machine="box-2", capital_cost=2000.0, lifetime_years=4.0)],
)  # fmt: skip


def machine(name="box-1", joules=1e-3, gain=1.0, seed=0, found=COUNTERS[:2], environment=None, **suite):
    """A run of five launches per case with a scatter of 0.5 %; its sensors read `gain` times the true joules, half of them per domain."""
    rng = np.random.default_rng(seed)
    records = [
        factories.record(c, {d.name: gain * joules / 2 * rng.normal(1, 0.005) for d in found}, 25e-6 * rng.normal(1, 0.005), 0.97, k, found)
        for c in CASES
        for k in range(5)
    ]
    run = factories.stored(CASES, records, found, **suite)
    own = factories.environment().model_copy(update={"host": name, "environment_id": "box", **(environment or {})})
    return replace(run, header=run.header.model_copy(update={"environments": (own,), "run_id": f"run-{name}"}))


def on_a_gpu(name="box-1", card=None, conditions=None, facts=None, at="gpu:0"):
    """A run of one GPU case on one card."""
    case = factories.case("dense", "tensorflow", device="gpu")
    recorded = {
        f"{at} clocks_set": 0.0,
        f"{at} sm_clock": 1.5e9,
        f"{at} pcie_generation": 5.0,
        f"{at} pcie_width": 16.0,
        **(conditions or {}),
    }
    domain = CARD[0].model_copy(update={"name": at, "device": "gpu"})
    records = [
        factories.record(
            case, {at: 7.0 + 0.01 * k}, repetition=k, found=(domain,), conditions=recorded, engine_facts={"tf32": True, **(facts or {})}
        )
        for k in range(3)
    ]
    run = factories.stored([case], records, (domain,))
    own = {
        "domain": at,
        "name": "H100",
        "ecc": True,
        "sm_clock_application_hz": 1.98e9,
        "pcie_generation_max": 5,
        "pcie_width_max": 16,
    }
    box = factories.environment().model_copy(update={"host": name, "devices": ({**own, **(card or {})},)})
    return replace(run, header=run.header.model_copy(update={"environments": (box,), "run_id": f"run-{name}"}))
