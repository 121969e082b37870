"""Costs of the offered machines as lines of text: service costs, break-even and sensitivity of the ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.decide.buyer import FACTORS, RANKINGS, SITE_RANGES, RankingChange, ServiceCost, break_even_point, sensitivity, service_costs
from harness.decide.offers import Offers
from harness.report.comparison import below_cases, letter, table_lines
from harness.report.words import WORDS
from harness.schema import StoredRun
from harness.text import NONE, Scale, number, with_interval

INPUTS = {
    "pue": ("PUE", "", 1.0),
    "duty_cycle": ("duty cycle", "", 1.0),
    "price_per_kwh": ("price", "{currency}/kWh", 1.0),
    "g_per_kwh": ("grid", "g/kWh", 1.0),
    "lifetime_years": ("lifetime", "years", 1.0),
    "capital": ("capital cost", "{currency}", 1.0),
    "embodied_g": ("embodied carbon", "kg", 1e-3),
    "throughput_per_s": ("throughput", "/s", 1.0),
    "idle_w": ("idle power", "W", 1.0),
    "energy_j": ("energy", "J", 1.0),
}
"""Label of an input, its unit, and the factor from the field to that unit."""


def cost_lines(runs: Sequence[StoredRun], offers: Offers) -> Iterator[str]:
    """Cost of a million inferences or output tokens on each machine, the base first, break-even, and inputs that change the ranking.

    Raises:
        HarnessError: A run has no offer.
    """
    costs = service_costs(runs, offers)
    base = {each.case_id: each for each in costs if each.run == 0}
    rows = sorted((each for each in costs if each.case_id in base), key=lambda each: (list(base).index(each.case_id), each.run))
    pairs = [(base[each.case_id], each) for each in rows if each.run]
    for unit in dict.fromkeys(each.unit for each in rows) or ("inference",):
        yield from ["", f"A million {WORDS[unit].many} in service:"]
        yield from _service([each for each in rows if each.unit == unit], offers, unit)
    yield ""
    yield from _assumed(runs, offers, rows)
    if not pairs:
        return
    yield from ["", "Break-even of the more expensive machine: extra capital cost divided by savings in operation, for one machine each:"]
    yield from below_cases((base.case_id, list(_break_even(base, other))) for base, other in pairs)
    yield ""
    yield (
        "Inputs that would change the ranking, each varied alone; other inputs do not change it between "
        + ", ".join(
            f"{INPUTS[name][0]} {low:g} and {high:g} {_unit(name, offers.currency)}".strip() for name, (low, high) in SITE_RANGES.items()
        )
        + ", up and down by a factor: "
        + ", ".join(f"{INPUTS[name][0]} {factor:g}" for name, factor in FACTORS.items())
        + " (an energy that has absolute bounds: between these):"
    )
    yield from below_cases((base.case_id, list(_sensitivity(base, other, offers))) for base, other in pairs)


def _service(rows: Sequence[ServiceCost], offers: Offers, unit: str) -> Iterator[str]:
    """Table of costs, with a suitable SI prefix for joules and grams."""
    million = 1e6
    energy = Scale([each.service.total_j and each.service.total_j * million for each in rows], "J")
    carbon = Scale([each.service.carbon_per_million_g for each in rows], "g")

    def cell(each: ServiceCost, name: str, factor: float = 1.0) -> str:
        values = [getattr(s, name) if s else None for s in (each.service, each.low, each.high)]
        value, *ends = (None if v is None else v * factor for v in values)
        return with_interval(value, *(sorted(e for e in ends if e is not None) if None not in ends else ends))

    cells = [
        (
            each.case_id,
            (
                letter(each.run),
                cell(each, "throughput_per_w"),
                cell(each, "total_j", million / energy.factor),
                cell(each, "money_per_million"),
                cell(each, "carbon_per_million_g", 1 / carbon.factor),
                each.kind,
            ),
        )
        for each in rows
    ]
    yield from table_lines(("machine", f"{WORDS[unit].short}/s per W", energy.unit, offers.currency, f"{carbon.unit} CO2e", "kind"), cells)


def _assumed(runs: Sequence[StoredRun], offers: Offers, rows: Sequence[ServiceCost]) -> Iterator[str]:
    yield (
        f"Energy covers the sensors' scope ({', '.join(dict.fromkeys(each.scope for each in rows))}), not the whole machine. The bounds "
        "combine the worst bounds of energy and idle power (absolute, 95 %) and of throughput; the values of the offers are "
        "assumed to be exact. Modelled energies have no bounds. Throughput per watt refers to the busy hours."
    )
    yield (
        f"Busy {offers.duty_cycle:.0%} of the hours, otherwise idle; idle hours are included in joules, {offers.currency} and grams. "
        f"PUE {offers.pue:g}, power supply {offers.psu_efficiency:g}, {offers.electricity_price_per_kwh:g} {offers.currency}/kWh."
    )
    grid = offers.grid or runs[0].header.grid
    yield (
        f"Grid: {grid.country}, {grid.year or 'year unknown'}, {grid.g_per_kwh:g} g CO2e/kWh."
        if grid
        else "No grid given: carbon is not available."
    )
    for k, run in enumerate(runs):
        service = next((each.service for each in rows if each.run == k), None)
        if service:
            embodied = (
                "embodied carbon not given for every machine, so not counted"
                if service.embodied_g is None
                else f"embodied {service.embodied_g / 1e3:g} kg CO2e"
            )
            yield (
                f"{letter(k)} ({run.header.run_id}): {service.capital:g} {offers.currency} over {service.lifetime_years:g} years, {embodied}."
            )
    if any(each.service.total_j is None for each in rows):
        yield f"{NONE}: not available, since idle power was not measured and is needed at this duty cycle."


def _break_even(base: ServiceCost, other: ServiceCost) -> Iterator[str]:
    costs = break_even_point(base, other)
    if not costs:
        return
    dear, point = costs
    first, units = base if dear == base.run else other, WORDS[base.unit].many
    if point.inferences is None and point.low is None:
        text = "saves nothing in operation: never pays back"
    elif point.inferences is None:
        text = (
            f"saves nothing (point estimates); pays back after at least {point.low:.3g} {units}, since the saving is not separated from 0"
        )
    else:
        life = first.service.lifetime_inferences
        text = f"pays back after {point.inferences:.3g} {units}"
        if point.high is not None:
            text += f" [{point.low:.3g} {point.high:.3g}]"
        elif point.low is not None:
            text += f" (point estimates); at least {point.low:.3g}, without an upper bound, since the saving is not separated from 0"
        text += f"; its lifetime is {life:.3g} {units}" + ("" if life >= point.inferences else ", too short")
    yield f"  {letter(other.run)}/A: {letter(dear)} {text} ({_kinds(base, other)})"


def _sensitivity(base: ServiceCost, other: ServiceCost, offers: Offers) -> Iterator[str]:
    """One line per ranking, with the inputs that change it."""
    changes = sensitivity(base, other)
    for ranking, unit in (("money", offers.currency), ("carbon", "g CO2e")):
        chosen = [f for f in changes if f.ranking == ranking]
        if not chosen:
            continue
        changed = ", ".join(_input(f, offers.currency) for f in chosen if f.at is not None)
        kinds = _kinds(base, other)
        yield f"  {letter(other.run)}/A by {unit}: {_order(base, other, ranking)} ({kinds}); changes at {changed or 'none'}"


def _order(base: ServiceCost, other: ServiceCost, ranking: str) -> str:
    """The better machine, and whether it stays so with energies, idle powers and throughputs at their worst bounds."""
    of = RANKINGS[ranking]
    costs = [of(each.service) or 0.0 for each in (base, other)]
    costs_text = f"A {number(costs[0])}, {letter(other.run)} {number(costs[1])}"
    bounded = base.low and base.high and other.low and other.high
    if bounded:
        a, b = ([of(each) or 0.0 for each in (s.low, s.high) if each] for s in (base, other))
        if a[1] >= b[0] and b[1] >= a[0]:
            return f"not separated: {costs_text}"
    ahead = "the same on both" if costs[0] == costs[1] else f"{letter(other.run) if costs[1] < costs[0] else 'A'} is better"
    return f"{ahead}{'' if bounded else ' (point estimates)'}: {costs_text}"


def _input(f: RankingChange, currency: str) -> str:
    """`lifetime of A 1.87 years (now 4.00)`."""
    name, _, factor = INPUTS[f.name]
    owner = "" if f.owner is None else f" of {letter(f.owner)}"
    value = f"{number((f.at or 0.0) * factor)} {_unit(f.name, currency)}".strip()
    return f"{name}{owner} {value} (now {number(f.now * factor)})"


def _unit(name: str, currency: str) -> str:
    return INPUTS[name][1].replace("{currency}", currency)


def _kinds(base: ServiceCost, other: ServiceCost) -> str:
    kinds = "/".join(dict.fromkeys((base.kind, other.kind)))
    return kinds if base.low and other.low else f"{kinds}: point estimates, no interval"
