"""A comparison of machines as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from harness.decide.buyer import FACTORS, RANKINGS, SITE_RANGES, Bought, RankingChange, bought, even, sensitivity
from harness.decide.compare import Compared, aligned, compare
from harness.decide.differences import Difference, cards
from harness.decide.offers import Offers
from harness.frame.baseline import MARGIN
from harness.report.selection import KINDS
from harness.schema import StoredRun
from harness.text import NONE, Scale, number, with_interval

MARK = "[NOT COMPARABLE] "
"""Prefix of each line with a figure of machines that are not comparable."""
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


def difference_lines(runs: Sequence[StoredRun], found: Sequence[Difference]) -> Iterator[str]:
    """The machines, their differences, and whether the energies were measured."""
    for k, run in enumerate(runs):
        e = run.header.environments[-1]
        names = "".join(f", {card['name']}" for card in cards(e).values())
        yield f"{_letter(k)}  {run.header.run_id}: {e.host}, {e.cpu}, {e.cpu_count} CPUs{names}"
    yield ""
    for forbids, heading in ((True, "not comparable because:"), (False, "differences that do not prevent comparison:")):
        chosen = [each for each in found if each.forbids == forbids]
        yield from ([heading] if chosen else [])
        for each in chosen:
            yield f"  {each.what}: {' | '.join(each.values)} ({each.why})"
    kinds = {result.kind for each in aligned(runs) for result in each.values()}
    yield from (f"energy is {text}" for kind, text in KINDS.items() if kind in kinds)
    yield "" if any(each.forbids for each in found) else "The runs are comparable."


def lines(runs: Sequence[StoredRun], offers: Offers | None) -> Iterator[str]:
    """Ratios with verdicts; with hardware offers also costs, break-even and sensitivity.

    Args:
        runs: The base, then the others.
        offers: Hardware offers; None: no table of costs.

    Raises:
        HarnessError: A run has no offer.
    """
    yield from _ratios(runs)
    yield from _buyer(runs, offers) if offers else ()


def _ratios(runs: Sequence[StoredRun]) -> Iterator[str]:
    found = compare(runs)
    if not found:
        yield "no case was measured on the base and on another machine"
        return
    stopped = any(run.header.profile.half_width is not None for run in runs)
    cells = [
        (c.case_id, (f"{_letter(c.run)}/A", c.quantity, number(c.ratio.value), _interval(c), c.verdict or f"none: {c.why_not}", c.kind))
        for c in found
    ]
    yield from _table(("machine", "quantity", "ratio", "95 % interval", "verdict", "kind"), cells)
    yield ""
    yield (
        f"better = less energy, shorter latency (median); same = within {MARGIN:.0%}. Intervals are individual; the verdicts hold "
        f"jointly: Holm's correction over all of them at {0.01 if stopped else 0.05:g}{' (after a stopping rule)' if stopped else ''}. "
        "Energy ratios include the gain uncertainty of both machines' sensors, which does not cancel."
    )
    if any(c.verdict is None for c in found):
        yield (
            "none = no verdict: a modelled energy, or one of a sensor with unknown gain, has no absolute interval; "
            "identical launches, or a single one, have no measured spread."
        )


def _interval(c: Compared) -> str:
    return NONE if np.isnan(c.ratio.low) else f"{number(c.ratio.low)} .. {number(c.ratio.high)}"


def _buyer(runs: Sequence[StoredRun], offers: Offers) -> Iterator[str]:
    found = bought(runs, offers)
    base = {each.case_id: each for each in found if each.run == 0}
    rows = sorted((each for each in found if each.case_id in base), key=lambda each: (list(base).index(each.case_id), each.run))
    pairs = [(base[each.case_id], each) for each in rows if each.run]
    yield from ["", "A million inferences in service:"]
    yield from _service(rows, offers)
    yield ""
    yield from _assumed(runs, offers, rows)
    if not pairs:
        return
    yield from ["", "Break-even of the more expensive machine: its extra capital cost over its savings in operation, one machine each:"]
    yield from _under(pairs, _even)
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
    yield from _under(pairs, lambda b, o: _sensitivity(b, o, offers))


def _service(rows: Sequence[Bought], offers: Offers) -> Iterator[str]:
    """The buyer's table; joules and grams of a million in the prefix that suits them."""
    million = 1e6
    energy = Scale([each.service.total_j and each.service.total_j * million for each in rows], "J")
    carbon = Scale([each.service.carbon_per_million_g for each in rows], "g")

    def cell(each: Bought, name: str, factor: float = 1.0) -> str:
        values = [getattr(s, name) if s else None for s in (each.service, each.low, each.high)]
        value, *ends = (None if v is None else v * factor for v in values)
        return with_interval(value, *(sorted(e for e in ends if e is not None) if None not in ends else ends))

    cells = [
        (
            each.case_id,
            (
                _letter(each.run),
                cell(each, "throughput_per_w"),
                cell(each, "total_j", million / energy.factor),
                cell(each, "money_per_million"),
                cell(each, "carbon_per_million_g", 1 / carbon.factor),
                each.kind,
            ),
        )
        for each in rows
    ]
    yield from _table(("machine", "inf./s per W", energy.unit, offers.currency, f"{carbon.unit} CO2e", "kind"), cells)


def _assumed(runs: Sequence[StoredRun], offers: Offers, rows: Sequence[Bought]) -> Iterator[str]:
    yield (
        f"Energy is that of the sensors' scope ({', '.join(dict.fromkeys(each.scope for each in rows))}), not of the whole machine. The "
        "bounds are those of energy and idle power (absolute, 95 %) and of throughput, all at their worst together; the values of the offers are "
        "taken as exact. Modelled energies have no bounds. Throughput per watt is that of the busy hours."
    )
    yield (
        f"Busy {offers.duty_cycle:.0%} of the hours, idle and on in the rest; these idle hours are in joules, {offers.currency} and grams. "
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
                f"{_letter(k)} ({run.header.run_id}): {service.capital:g} {offers.currency} over {service.lifetime_years:g} years, {embodied}."
            )
    if any(each.service.total_j is None for each in rows):
        yield f"{NONE}: not available, since idle power was not measured and is needed at this duty cycle."


def _even(base: Bought, other: Bought) -> Iterator[str]:
    found = even(base, other)
    if not found:
        return
    dear, point = found
    first = base if dear == base.run else other
    if point.inferences is None and point.low is None:
        text = "saves nothing in operation: never pays back"
    elif point.inferences is None:
        text = f"saves nothing (point estimates); pays back not before {point.low:.3g} inferences, and the saving is not separated from 0"
    else:
        life = first.service.lifetime_inferences
        text = f"pays back after {point.inferences:.3g} inferences"
        if point.high is not None:
            text += f" [{point.low:.3g} {point.high:.3g}]"
        elif point.low is not None:
            text += f" (point estimates); not before {point.low:.3g}, no upper bound: the saving is not separated from 0"
        text += f"; its lifetime has {life:.3g}" + ("" if life >= point.inferences else ", too few")
    yield f"  {_letter(other.run)}/A: {_letter(dear)} {text} ({_kinds(base, other)})"


def _sensitivity(base: Bought, other: Bought, offers: Offers) -> Iterator[str]:
    """A sentence for each ranking, with the inputs that change it."""
    found = sensitivity(base, other)
    for ranking, unit in (("money", offers.currency), ("carbon", "g CO2e")):
        chosen = [f for f in found if f.ranking == ranking]
        if not chosen:
            continue
        changed = ", ".join(_input(f, offers.currency) for f in chosen if f.at is not None)
        kinds = _kinds(base, other)
        yield f"  {_letter(other.run)}/A by {unit}: {_order(base, other, ranking)} ({kinds}); changes at {changed or 'none'}"


def _order(base: Bought, other: Bought, ranking: str) -> str:
    """The better machine, and whether it stays so with energies, idle powers and throughputs at their worst."""
    of = RANKINGS[ranking]
    costs = [of(each.service) or 0.0 for each in (base, other)]
    costs_text = f"A {number(costs[0])}, {_letter(other.run)} {number(costs[1])}"
    bounded = base.low and base.high and other.low and other.high
    if bounded:
        a, b = ([of(each) or 0.0 for each in (s.low, s.high) if each] for s in (base, other))
        if a[1] >= b[0] and b[1] >= a[0]:
            return f"not separated: {costs_text}"
    ahead = "the same on both" if costs[0] == costs[1] else f"{_letter(other.run) if costs[1] < costs[0] else 'A'} is better"
    return f"{ahead}{'' if bounded else ' (point estimates)'}: {costs_text}"


def _input(f: RankingChange, currency: str) -> str:
    """`lifetime of A 1.87 years (now 4.00)`."""
    name, _, factor = INPUTS[f.name]
    owner = "" if f.owner is None else f" of {_letter(f.owner)}"
    value = f"{number((f.at or 0.0) * factor)} {_unit(f.name, currency)}".strip()
    return f"{name}{owner} {value} (now {number(f.now * factor)})"


def _unit(name: str, currency: str) -> str:
    return INPUTS[name][1].replace("{currency}", currency)


def _kinds(base: Bought, other: Bought) -> str:
    kinds = "/".join(dict.fromkeys((base.kind, other.kind)))
    return kinds if base.low and other.low else f"{kinds}: point estimates, no interval"


# --- lines -----------------------------------------------------------------------------------------------------------


def _table(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Rows as (case, cells), under the name of their case."""
    from tabulate import tabulate

    # Headings as rows: as headings they would get two blanks more each, and the table would not fit a narrow terminal.
    columns = zip(headings, *(row for _, row in rows), strict=True)
    cells = [headings, ["-" * max(map(len, column)) for column in columns], *(row for _, row in rows)]
    lines = str(tabulate(cells, tablefmt="plain", disable_numparse=True)).split("\n")
    yield from (f"  {line}" for line in lines[:2])
    yield from _named((case_id, [f"  {line}"]) for (case_id, _), line in zip(rows, lines[2:], strict=True))


def _under(pairs: Sequence[tuple[Bought, Bought]], text: Callable[[Bought, Bought], Iterable[str]]) -> Iterator[str]:
    """The lines of each pair, under the name of its case."""
    yield from _named((base.case_id, list(text(base, other))) for base, other in pairs)


def _named(parts: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """The lines of each case below its name, which is printed once."""
    above = None
    for case_id, lines in parts:
        if lines and case_id != above:
            above = case_id
            yield case_id
        yield from lines


def _letter(k: int) -> str:
    return chr(ord("A") + k) if k < 26 else f"machine {k + 1}"
