"""Runs and the offers for their machines -> what a million inferences cost on each, where the one that costs more pays, and what would turn the ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.cost import BreakEven, Service, break_even, flip
from harness.analysis.interval import absolute_interval, positive_interval
from harness.decide.compare import aligned
from harness.decide.mission import power
from harness.decide.offers import Offers
from harness.errors import HarnessError
from harness.frame.results import Result, known, mean
from harness.frame.uncertainty import gain
from harness.schema import StoredRun

SITE_RANGES = {
    "price_per_kwh": (0.02, 1.0),
    "pue": (1.0, 3.0),
    "duty_cycle": (0.01, 1.0),
    "lifetime_years": (1.0, 10.0),
    "g_per_kwh": (5.0, 1200.0),
}
"""What is plausible for what all machines share; a value outside its range widens it."""
FACTORS = {"capital": 2.0, "embodied_g": 3.0, "throughput_per_s": 1.25, "idle_w": 2.0, "energy_j": 2.0}
"""Up and down by so much for what is a machine's own; energies by their absolute interval where they have one."""
RANKINGS: Mapping[str, Callable[[Service], float | None]] = {
    "money": lambda s: s.money_per_million,
    "carbon": lambda s: s.carbon_per_million_g,
}


@dataclass(frozen=True)
class Bought:
    """One case on one machine in service.

    Attributes:
        case_id: The case.
        run: Which of the runs; 0 is the base.
        kind: Of the energy.
        scope: What the energy is of.
        service: The machine at work.
        low: At its cheapest: energy and idle power at their lower absolute bounds, throughput at its upper one; null: a bound is not known.
        high: At its dearest. All together at their worst: between the two lies more than 95 %.
    """

    case_id: str
    run: int
    kind: str
    scope: str
    service: Service
    low: Service | None
    high: Service | None


@dataclass(frozen=True)
class RankingChange:
    """An input varied alone, and where the ranking of a machine and the base turns.

    Attributes:
        case_id: The case.
        run: Which of the runs is set beside the base.
        ranking: money or carbon.
        name: Of the input.
        owner: Whose it is: a run's number; null: of both.
        now: Its value.
        low: Where its plausible range begins.
        high: Where it ends.
        at: Where the ranking turns; null: nowhere in the range.
    """

    case_id: str
    run: int
    ranking: str
    name: str
    owner: int | None
    now: float
    low: float
    high: float
    at: float | None


def bought(runs: Sequence[StoredRun], offers: Offers) -> list[Bought]:
    """Every case of every run that has an energy and a throughput, at the offers' duty cycle and site.

    Embodied carbon counts where every machine's is given: one that is not told is not nothing, and would win for being silent.

    Raises:
        HarnessError: A run has no offer.
    """
    sites = [_site(runs[0], run, offers) for run in runs]
    if any(site["embodied_g"] is None for site in sites):
        sites = [{**site, "embodied_g": None} for site in sites]
    return [
        each
        for k, (each_run, site) in enumerate(zip(aligned(runs), sites, strict=True))
        for result in each_run.values()
        if (each := _bought(result, k, site)) is not None
    ]


def even(base: Bought, other: Bought) -> tuple[int, BreakEven] | None:
    """(which run costs more to buy, from how many inferences on it costs less in all); null where both cost the same or one is not known.

    The running cost is that of electricity with the idle hours, at the same duty cycle on both; its bounds are the one machine at its
    dearest where the other is at its cheapest, which is wider than 95 %.
    """
    capitals = base.service.capital, other.service.capital
    if None in capitals or capitals[0] == capitals[1]:
        return None
    dear, cheap = (base, other) if (capitals[0] or 0) > (capitals[1] or 0) else (other, base)
    saving = _minus(cheap.service, dear.service)
    if saving is None:
        return None
    bounds = None
    if dear.low and dear.high and cheap.low and cheap.high:
        low, high = _minus(cheap.low, dear.high), _minus(cheap.high, dear.low)
        bounds = (low, high) if low is not None and high is not None else None
    return dear.run, break_even(abs((capitals[0] or 0) - (capitals[1] or 0)), saving, bounds)


def sensitivity(base: Bought, other: Bought) -> list[RankingChange]:
    """Each input varied alone, over its plausible range, for each ranking that both machines have."""
    return [
        RankingChange(base.case_id, other.run, ranking, name, owner, now, low, high, at)
        for ranking, of in RANKINGS.items()
        if of(base.service) is not None and of(other.service) is not None
        for name, owner, now, low, high in _inputs(base, other, ranking)
        for at in (flip(_varied(base, other, of, name, owner), low, high, now),)
    ]


def _site(first: StoredRun, run: StoredRun, offers: Offers) -> dict[str, Any]:
    """What an offer says of a run's machine, as fields of `Service`."""
    host = run.header.environments[-1].host if run.header.environments else None
    offer = offers.of(run.header.run_id, host)
    if offer is None:
        there = ", ".join(each.machine for each in offers.offers)
        raise HarnessError(
            f"no offer for the run {run.header.run_id} or its host {host}; there is: {there}", "add one to the file of offers"
        )
    grid = offers.grid or first.header.grid
    return {
        "duty_cycle": offers.duty_cycle, "price_per_kwh": offers.electricity_price_per_kwh, "pue": offers.pue,
        "psu_efficiency": offers.psu_efficiency, "lifetime_years": offer.lifetime_years, "capital": offer.capital_cost,
        "g_per_kwh": grid.g_per_kwh if grid else None,
        "embodied_g": None if offer.embodied_kg_co2e is None else offer.embodied_kg_co2e * 1e3,
    }  # fmt: skip


def _bought(result: Result, k: int, site: Mapping[str, Any]) -> Bought | None:
    energy_j = float(np.mean(result.energies)) if result.energies else 0.0
    if not energy_j > 0 or not result.throughput_per_s:
        return None
    service = Service(energy_j, result.throughput_per_s, mean(each.idle_w for _, each in result.launches), **site)
    return Bought(result.case.case_id, k, result.kind, result.scope_label or "", service, *_ends(result, service))


def _ends(result: Result, service: Service) -> tuple[Service | None, Service | None]:
    """The machine at its cheapest and at its dearest."""
    of_gain = gain(result)
    if of_gain is None or len(result.energies) < 2:
        return None, None
    energy = absolute_interval(result.energies, of_gain, result.q)
    rate = positive_interval(known(record.throughput_per_s for record, _ in result.launches), result.q)
    idle = power(result, 0.0) if service.idle_w else None
    return (
        replace(service, energy_j=energy.low, throughput_per_s=rate.high, idle_w=idle.low if idle else service.idle_w),
        replace(service, energy_j=energy.high, throughput_per_s=rate.low, idle_w=idle.high if idle else service.idle_w),
    )


def _minus(cheap: Service, dear: Service) -> float | None:
    """What the dearer one saves, money an inference."""
    costs = cheap.electricity_per_million, dear.electricity_per_million
    return None if costs[0] is None or costs[1] is None else (costs[0] - costs[1]) / 1e6


def _inputs(base: Bought, other: Bought, ranking: str) -> list[tuple[str, int | None, float, float, float]]:
    """(name, owner, value, low, high) of each input that the ranking depends on."""
    shared = ("pue", "duty_cycle", *(("price_per_kwh",) if ranking == "money" else ("g_per_kwh",)))
    found: list[tuple[str, int | None, float, float, float]] = []
    for name in shared:
        now = getattr(base.service, name)
        found.append((name, None, now, *_range(base, name, now)))
    for each in (base, other):
        for name in ("energy_j", "throughput_per_s", "idle_w", "lifetime_years", "capital" if ranking == "money" else "embodied_g"):
            now = getattr(each.service, name)
            found += [(name, each.run, now, *_range(each, name, now))] if now else []
    return found


def _range(each: Bought, name: str, now: float) -> tuple[float, float]:
    if name in SITE_RANGES:
        low, high = SITE_RANGES[name]
        return min(low, now or low), max(high, now)  # by ratios: 0, of a price or a grid, is below every range
    if name == "energy_j" and each.low and each.high:
        return each.low.energy_j, each.high.energy_j
    return now / FACTORS[name], now * FACTORS[name]


def _varied(base: Bought, other: Bought, of: Callable[[Service], float | None], name: str, owner: int | None) -> Callable[[float], float]:
    """The other's cost less the base's, as a function of one input."""

    def difference(value: float) -> float:
        costs = [of(replace(e.service, **{name: value}) if owner in (None, e.run) else e.service) for e in (other, base)]
        return (costs[0] or 0.0) - (costs[1] or 0.0)

    return difference
