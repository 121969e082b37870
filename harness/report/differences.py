"""Differences between machines as lines of text, and whether the runs are comparable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.decide.compare import aligned
from harness.decide.differences import Difference, cards
from harness.report.comparison import letter
from harness.report.selection import KINDS
from harness.schema import StoredRun

REASONS = {
    "other_work": "different work",
    "other_method": "measured in a different way",
    "other_version": "another version may measure in a different way",
    "other_commit": "another commit of the same version",
    "one_grid": "the cost table uses one grid for all runs",
    "several_environments": "the run used more than one environment",
    "same_machine": "several runs of the same machine",
    "clock_setting": "a clock setting, not a property of the machine",
    "machine": "a property of the machine",
    "engine": "an engine of these cases",
    "not_an_engine": "not an engine of these cases",
    "cap": "a power cap is a setting",
    "cap_without_default": "a power cap is a setting; the default cap is unknown",
    "card": "a property of the card",
    "clock": "a clock is a setting",
    "other_card": "another card",
    "driver": "each card needs its own driver",
    "ecc": "a setting: it costs memory, bandwidth and power",
    "card_or_driver": "a property of the card or its driver",
    "mig": "with MIG, the power of the whole card is measured",
    "clock_under_load": "chosen by the card, or limited",
    "locked_clocks": "application or locked clocks are a setting",
    "other_cpu": "another processor",
    "case_missing": "not measured in {detail}, so left out",
    "no_common_case": "no case was measured in every run",
    "common_scope": "compared over the widest common scope: {detail}",
    "no_common_scope": "different rails are summed, with none in common",
    "other_kind": "different kinds of energy",
    "other_reading": "averaged over a different time",
    "calibration": "included in the intervals",
    "built_on_each": "built on each machine",
    "tf32": "a setting: precision of float32 products",
    "engine_choice": "chosen by the engine",
    "rapl": "RAPL is root-only on stock kernels, so a run as root and a run as a user get different scopes: run both alike, "
    "or grant access with the udev rule that `harness doctor` prints on that machine",
    "cooling": "cooling is part of the machine, but the room temperature is not",
}
"""Text of each reason of a difference."""
MAX_LISTED = 5
"""Maximum number of missing cases that are listed."""


def difference_lines(runs: Sequence[StoredRun], differences: Sequence[Difference]) -> Iterator[str]:
    """The machines, their differences, and whether the energies were measured."""
    for k, run in enumerate(runs):
        e = run.header.environments[-1]
        names = "".join(f", {card['name']}" for card in cards(e).values())
        yield f"{letter(k)}  {run.header.run_id}: {e.host}, {e.cpu}, {e.cpu_count} CPUs{names}"
    yield ""
    for prevents, heading in ((True, "not comparable because:"), (False, "differences that do not prevent comparison:")):
        chosen = [each for each in differences if each.prevents == prevents]
        yield from ([heading] if chosen else [])
        yield from map(_line, chosen)
    kinds = {result.kind for each in aligned(runs) for result in each.values()}
    yield from (f"energy is {text}" for kind, text in KINDS.items() if kind in kinds)
    yield "" if any(each.prevents for each in differences) else "The runs are comparable."


def _line(difference: Difference) -> str:
    cases = f" ({', '.join(difference.cases)})" if difference.cases else ""
    reason = REASONS[difference.reason].format(detail=difference.detail)
    if None in difference.values and not difference.is_known and difference.reason != "cooling":
        reason += "; unknown in some runs"
    if difference.reason == "case_missing":
        more = len(difference.values) - MAX_LISTED
        values = "; ".join(difference.values[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
    else:
        values = " | ".join(_text(value, difference.unit) for value in difference.values)
    return f"  {difference.name}{cases}: {values} ({reason})"


def _text(value: Any, unit: str) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.0f} {unit}" if unit else str(value)
