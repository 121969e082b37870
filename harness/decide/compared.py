"""A comparison of machines -> what a person reads, each line marked where the machines may not be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.decide.buyer import RANKINGS, Bought, Flip, bought, even, sensitivity
from harness.decide.compare import MARGIN, Compared, Difference, compare
from harness.decide.offers import Offers
from harness.report.text import NONE, number, plain
from harness.schema import StoredRun

MARK = "[NOT COMPARABLE] "


def told_differences(runs: Sequence[StoredRun], found: Sequence[Difference]) -> Iterator[str]:
    """The machines, and what is not the same on them."""
    for k, run in enumerate(runs):
        e = run.header.environments[-1]
        cards = ", ".join(str(d["name"]) for d in e.devices if d.get("name"))
        yield plain(f"{_letter(k)}  {run.header.run_id}: {e.host}, {e.cpu}, {e.cpu_count} CPUs{', ' + cards if cards else ''}")
    yield ""
    for forbids, heading in ((True, "forbids the comparison:"), (False, "is named, and forbids nothing:")):
        chosen = [each for each in found if each.forbids == forbids]
        yield from ([heading] if chosen else [])
        for each in chosen:
            yield plain(f"  {each.what}: {' | '.join(each.values)} ({each.why})")
    yield "" if any(each.forbids for each in found) else "They may be compared."


def told(runs: Sequence[StoredRun], offers: Offers | None, *, marked: bool) -> Iterator[str]:
    """Ratios with verdicts, and with offers the buyer's table, break-even and sensitivity.

    Args:
        runs: The base, then the others.
        offers: What they cost; null: no table.
        marked: Whether they may not be compared, so that each line is marked.
    """
    mark = MARK if marked else ""
    for line in [*_ratios(runs), *(_buyer(runs, offers) if offers else [])]:
        yield f"{mark}{plain(line)}" if line else ""


def _ratios(runs: Sequence[StoredRun]) -> Iterator[str]:
    found = compare(runs)
    stopped = any(run.header.profile.half_width is not None for run in runs)
    yield from _table(
        ("case", "machine", "quantity", "ratio", "95 % interval", "verdict", "kind"),
        [
            (c.case_id, f"{_letter(c.run)}/A", c.quantity, number(c.ratio.value), _interval(c), c.verdict or f"none: {c.why_not}", c.kind)
            for c in found
        ],
    )
    yield ""
    yield f"better = less energy, shorter latency (median); same = within {MARGIN:.0%}. Each interval stands alone; the verdicts hold together:"
    yield f"Holm's correction over all of them, {0.01 if stopped else 0.05:g} in all{' (after a stopping rule)' if stopped else ''}."
    yield "Energy ratios hold the gains of both machines' sensors: two machines have two sensors, and their gains do not cancel."


def _interval(c: Compared) -> str:
    return NONE if np.isnan(c.ratio.low) else f"{number(c.ratio.low)} .. {number(c.ratio.high)}"


def _buyer(runs: Sequence[StoredRun], offers: Offers) -> Iterator[str]:
    rows = bought(runs, offers)
    base = {each.case_id: each for each in rows if each.run == 0}
    rows = [each for each in rows if each.case_id in base]
    pairs = [(base[each.case_id], each) for each in rows if each.run]
    yield ""
    yield "A million inferences in service:"
    ordered = sorted(rows, key=lambda each: (list(base).index(each.case_id), each.run))
    yield from _table(("case", "machine", "inf./s per W", "J", offers.currency, "g CO2e", "kind"), [_cells(each) for each in ordered])
    yield ""
    yield from _assumed(runs, offers, rows)
    yield ""
    yield from (line for b, o in pairs for line in _even(b, o))
    yield ""
    yield "What would turn the ranking, each input varied alone over the range in brackets:"
    yield from (line for b, o in pairs for line in _sensitivity(b, o, offers))


def _cells(each: Bought) -> tuple[str, ...]:
    def cell(name: str, factor: float = 1.0) -> str:
        value, low, high = (getattr(s, name) if s else None for s in (each.service, each.low, each.high))
        if value is None or low is None or high is None:
            return number(None if value is None else value * factor)
        return f"{number(value * factor)} [{number(low * factor)} {number(high * factor)}]"

    busy = number(each.service.throughput_per_w)
    return each.case_id, _letter(each.run), busy, cell("total_j", 1e6), cell("money_per_million"), cell("carbon_per_million_g"), each.kind


def _assumed(runs: Sequence[StoredRun], offers: Offers, rows: Sequence[Bought]) -> Iterator[str]:
    grid = offers.grid or runs[0].header.grid
    yield f"J: of the sensors' scope ({', '.join(dict.fromkeys(each.scope for each in rows))}), not of the whole machine; [ ]: the energy's"
    yield "absolute 95 % bounds alone. Modelled energies have none. Throughput per watt is that of the busy hours."
    yield f"Busy {offers.duty_cycle:.0%} of the hours, idle and on in the rest; these idle hours are in J, {offers.currency} and g."
    yield f"PUE {offers.pue:g}, power supply {offers.psu_efficiency:g}, {offers.electricity_price_per_kwh:g} {offers.currency}/kWh."
    if grid:
        yield f"Grid: {grid.country}, {grid.year or 'year not told'}, {grid.g_per_kwh:g} g CO2e/kWh."
    else:
        yield "No grid was given: no carbon."
    for k, run in enumerate(runs):
        service = next((each.service for each in rows if each.run == k), None)
        if service:
            embodied = (
                "embodied carbon not given for every machine, so counted for none"
                if service.embodied_g is None
                else f"embodied {service.embodied_g / 1e3:g} kg CO2e"
            )
            yield f"{_letter(k)} ({run.header.run_id}): {service.capital:g} {offers.currency} over {service.lifetime_years:g} years, {embodied}."
    if any(each.service.total_j is None for each in rows):
        yield f"{NONE}: the idle power was not measured, and counts at this duty cycle."
    if "simulated" in {each.kind for each in rows}:
        yield "simulated: a test double measured these; they are no measurement."


def _even(base: Bought, other: Bought) -> Iterator[str]:
    found = even(base, other)
    if not found:
        return
    dear, point = found
    who, life = _letter(dear), (base if dear == base.run else other).service.lifetime_inferences
    if point.inferences is None and point.low is None:
        sure = "never" if base.low and other.low else "never by point estimates, without an interval"
        yield f"break-even, {base.case_id}: {who} costs more to buy and saves nothing in running: {sure} ({base.kind}/{other.kind})."
        return
    value = "none (nothing saved)" if point.inferences is None else f"{point.inferences:.3g} inferences"
    bounds = "no interval (modelled)" if not base.low or not other.low else f"at least {point.low:.3g}, " if point.low else ""
    if base.low and other.low:
        bounds += f"at most {point.high:.3g}" if point.high else "no upper bound: the saving is not separated from 0"
    within = (
        ""
        if point.inferences is None
        else f"; it infers {life:.3g} in its life" + ("" if life >= point.inferences else ": not in its life")
    )
    yield f"break-even, {base.case_id}: {who} costs more to buy; pays from {value} on ({bounds}){within}."


def _sensitivity(base: Bought, other: Bought, offers: Offers) -> Iterator[str]:
    """A line per ranking and input that turns it; the others in one line."""
    found = sensitivity(base, other)
    for ranking, unit in (("money", offers.currency), ("carbon", "g CO2e")):
        chosen = [f for f in found if f.ranking == ranking]
        if not chosen:
            continue
        costs = [RANKINGS[ranking](each.service) or 0.0 for each in (base, other)]
        order = "the same on both" if costs[0] == costs[1] else f"{_letter(other.run if costs[1] < costs[0] else 0)} is ahead"
        order += _surely(base, other, ranking)
        kind = "/".join(dict.fromkeys((base.kind, other.kind)))
        yield f"  {base.case_id}, {_letter(other.run)} and A by {unit} ({kind}): {order}, {number(costs[0])} (A) and {number(costs[1])}"
        yield from (f"    turns at {_input(f)} = {number(f.at)}" for f in chosen if f.at is not None)
        yield "    not turned by " + (", ".join(_input(f) for f in chosen if f.at is None) or "nothing else")


def _surely(base: Bought, other: Bought, ranking: str) -> str:
    """Whether the energies' absolute bounds, each at its worst, leave the ranking as it is; capital and embodied carbon are taken as exact."""
    of = RANKINGS[ranking]
    if not (base.low and base.high and other.low and other.high):
        return " by point estimates, without an interval"
    a, b = ([of(each) or 0.0 for each in (s.low, s.high) if each] for s in (base, other))
    return "" if a[1] < b[0] or b[1] < a[0] else ", not separated"


def _input(f: Flip) -> str:
    """With its value and its range."""
    name = f.name if f.owner is None else f"{f.name} of {_letter(f.owner)}"
    return f"{name} (now {number(f.now)}) [{number(f.low)} {number(f.high)}]"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from tabulate import tabulate

    safe = [[plain(cell) for cell in row] for row in rows]
    return str(tabulate(safe, headings, tablefmt="simple", disable_numparse=True)).split("\n")


def _letter(k: int) -> str:
    return chr(ord("A") + k) if k < 26 else f"machine {k + 1}"
