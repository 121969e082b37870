"""Finding on the order of the launches of a run: whether later or warmer launches of the same case use another energy."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.order_effect import OrderEffect, order_effect
from harness.frame.device_state import launch_state
from harness.frame.results import Result, results
from harness.schema import Finding, StoredRun, evidence
from harness.text import counted

CODE = "order_effect"


def order_finding(run: StoredRun) -> Finding | None:
    """The finding of a stored run; None if its energies show no significant effect of the order."""
    return finding_of(results(run))


def finding_of(of_run: Sequence[Result]) -> Finding | None:
    """As `order_finding`, of the results of a run. Modelled energies are left out: they follow the load of the machine."""
    tested = [result for result in of_run if result.energies and min(result.energies) > 0 and evidence(result.kind) != "modelled"]
    degc = [[launch_state(result, record)["start_temperature_degc"] for record, _ in result.launches] for result in tested]
    effect = order_effect([result.energies for result in tested], degc)
    return None if effect is None else _finding(effect)


def _finding(effect: OrderEffect) -> Finding:
    """The effect with its values, as a sentence."""
    by = "from the first to the last launch" if effect.by == "order" else "per kelvin of start temperature"
    cases = counted(effect.cases, "case")
    return Finding(
        code=CODE,
        sentence=f"the energy of the same case changed by {effect.change:+.2%} {by} (p = {effect.p:.2g}, {cases} of {effect.blocks} launches)",
        remedy="warm up the machine before the run, or use a longer profile, whose warm-up waits for a level temperature",
        values=effect._asdict(),
    )
