"""Cost of a million inferences on each offered machine, break-even of the more expensive one, and inputs that change the ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.cost import BreakEven, Service, break_even, sign_change
from harness.analysis.interval import absolute_interval, positive_interval
from harness.decide.compare import aligned
from harness.decide.mission import power
from harness.decide.offers import Offers
from harness.errors import HarnessError
from harness.frame.results import Result, known, mean
from harness.frame.uncertainty import gain
from harness.schema import StoredRun
from harness.schema.served import Unit

SITE_RANGES = {
    "price_per_kwh": (0.02, 1.0),
    "pue": (1.0, 3.0),
    "duty_cycle": (0.01, 1.0),
    "lifetime_years": (1.0, 10.0),
    "g_per_kwh": (5.0, 1200.0),
}
"""Plausible range of each input that all machines share; a value outside widens it."""
FACTORS = {"capital": 2.0, "embodied_g": 3.0, "throughput_per_s": 1.25, "idle_w": 2.0, "energy_j": 2.0}
"""Factor up and down of each input of a single machine; energies vary over their absolute interval if they have one."""
RANKINGS: Mapping[str, Callable[[Service], float | None]] = {
    "money": lambda s: s.money_per_million,
    "carbon": lambda s: s.carbon_per_million_g,
}


@dataclass(frozen=True)
class ServiceCost:
    """Cost of one case on one machine in service.

    Attributes:
        case_id: Id of the case.
        run: Number of the run; 0 is the base.
        kind: Kind of the energy.
        scope: Domains of the energy.
        service: The machine in service.
        low: At its cheapest: energy and idle power at their lower absolute bounds, throughput at its upper one; None if a bound is unknown.
        high: At its most expensive. All bounds are combined, so the range covers more than 95 %.
        unit: Unit of the case: `service` is per inference, or per output token.
    """

    case_id: str
    run: int
    kind: str
    scope: str
    service: Service
    low: Service | None
    high: Service | None
    unit: Unit = "inference"


@dataclass(frozen=True)
class RankingChange:
    """An input varied alone, and the value at which the ranking of a machine and the base changes.

    Attributes:
        case_id: Id of the case.
        run: Number of the run that is compared with the base.
        ranking: money or carbon.
        name: Field of `Service` that is varied.
        owner: Number of the run that the input belongs to; None: both.
        now: Present value.
        low: Lower end of the plausible range.
        high: Upper end of the plausible range.
        at: Value at which the ranking changes; None if it does not in the range.
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


def service_costs(runs: Sequence[StoredRun], offers: Offers) -> list[ServiceCost]:
    """Cost of every case with an energy and a throughput, at the duty cycle and the site of the offers.

    Embodied carbon counts only if it is given for every machine; an unknown one must not count as 0.

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
        if (each := _service_cost(result, k, site)) is not None
    ]


def break_even_point(base: ServiceCost, other: ServiceCost) -> tuple[int, BreakEven] | None:
    """(number of the run with the more expensive machine, its break-even); None if both cost the same or a cost is unknown.

    The operating cost is that of electricity including idle hours, at the same duty cycle on both. Its bounds combine one machine at its
    most expensive with the other at its cheapest, which is wider than 95 %.
    """
    capitals = base.service.capital, other.service.capital
    if capitals[0] is None or capitals[1] is None or capitals[0] == capitals[1]:
        return None
    dear, cheap = (base, other) if capitals[0] > capitals[1] else (other, base)
    saving = _minus(cheap.service, dear.service)
    if saving is None:
        return None
    bounds = None
    if dear.low and dear.high and cheap.low and cheap.high:
        low, high = _minus(cheap.low, dear.high), _minus(cheap.high, dear.low)
        bounds = (low, high) if low is not None and high is not None else None
    return dear.run, break_even(abs(capitals[0] - capitals[1]), saving, bounds)


def sensitivity(base: ServiceCost, other: ServiceCost) -> list[RankingChange]:
    """Change of each ranking by each input, varied alone over its plausible range."""
    return [
        RankingChange(base.case_id, other.run, ranking, name, owner, now, low, high, at)
        for ranking, of in RANKINGS.items()
        if of(base.service) is not None and of(other.service) is not None
        for name, owner, now, low, high in _inputs(base, other, ranking)
        for at in (sign_change(_varied(base, other, of, name, owner), low, high, now),)
    ]


def _site(first: StoredRun, run: StoredRun, offers: Offers) -> dict[str, Any]:
    """Fields of `Service` from the offer for a run's machine."""
    host = run.header.environments[-1].host if run.header.environments else None
    offer = offers.of(run.header.run_id, host)
    if offer is None:
        machines = ", ".join(each.machine for each in offers.offers)
        raise HarnessError(
            f"no offer for the run {run.header.run_id} or its host {host}; available: {machines}", "add one to the file given with --offers"
        )
    grid = offers.grid or first.header.grid
    return {
        "duty_cycle": offers.duty_cycle, "price_per_kwh": offers.electricity_price_per_kwh, "pue": offers.pue,
        "psu_efficiency": offers.psu_efficiency, "lifetime_years": offer.lifetime_years, "capital": offer.capital_cost,
        "g_per_kwh": grid.g_per_kwh if grid else None,
        "embodied_g": None if offer.embodied_kg_co2e is None else offer.embodied_kg_co2e * 1e3,
    }  # fmt: skip


def _service_cost(result: Result, k: int, site: Mapping[str, Any]) -> ServiceCost | None:
    energy_j = float(np.mean(result.energies)) if result.energies else 0.0
    if not energy_j > 0 or not result.throughput_per_s:
        return None
    service = Service(energy_j, result.throughput_per_s, mean(each.idle_w for _, each in result.launches), **site)
    return ServiceCost(result.case.case_id, k, result.kind, result.scope_label or "", service, *_ends(result, service), result.case.unit)


def _ends(result: Result, service: Service) -> tuple[Service | None, Service | None]:
    """The machine at its cheapest and at its most expensive."""
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
    """Electricity cost per inference that the more expensive machine saves."""
    costs = cheap.electricity_per_million, dear.electricity_per_million
    return None if costs[0] is None or costs[1] is None else (costs[0] - costs[1]) / 1e6


def _inputs(base: ServiceCost, other: ServiceCost, ranking: str) -> list[tuple[str, int | None, float, float, float]]:
    """(name, owner, value, low, high) of each input of the ranking."""
    shared = ("pue", "duty_cycle", *(("price_per_kwh",) if ranking == "money" else ("g_per_kwh",)))
    single = ("energy_j", "throughput_per_s", "idle_w", "lifetime_years", "capital" if ranking == "money" else "embodied_g")
    inputs: list[tuple[ServiceCost, str, int | None]] = [(base, name, None) for name in shared]
    inputs += [(each, name, each.run) for each in (base, other) for name in single if getattr(each.service, name)]
    values = [(each, name, owner, getattr(each.service, name)) for each, name, owner in inputs]
    return [(name, owner, now, *_range(each, name, now)) for each, name, owner, now in values]


def _range(each: ServiceCost, name: str, now: float) -> tuple[float, float]:
    if name in SITE_RANGES:
        low, high = SITE_RANGES[name]
        return min(low, now or low), max(high, now)  # varied on a log scale, so 0 of a price or a grid is left out
    if name == "energy_j" and each.low and each.high:
        return each.low.energy_j, each.high.energy_j
    return now / FACTORS[name], now * FACTORS[name]


def _varied(
    base: ServiceCost, other: ServiceCost, of: Callable[[Service], float | None], name: str, owner: int | None
) -> Callable[[float], float]:
    """Cost of the other machine minus the base's, as a function of one input."""

    def difference(value: float) -> float:
        costs = [of(replace(e.service, **{name: value}) if owner in (None, e.run) else e.service) for e in (other, base)]
        return (costs[0] or 0.0) - (costs[1] or 0.0)

    return difference
