"""Acceptance of a run as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.decide.acceptance import RuleCheck, check_acceptance
from harness.schema import StoredRun

RULES = {
    "max_temperature_degc": (
        "the device was at most {worst:.0f} °C warm (limit {limit:g} °C)",
        "no temperature was read",
        "cool the machine",
    ),
    "max_temperature_range_k": (
        "the temperature of the device differed by up to {worst:.1f} K between the launches of a case (limit {limit:g} K)",
        "no temperature was read in two launches",
        "warm the machine up before the run, or use a longer profile",
    ),
    "max_foreign_cores": (
        "other processes used up to {worst:.2f} cores (limit {limit:g})",
        "the load of other processes was not read",
        "stop them, and run again",
    ),
    "exclusive_card": (
        "{used}",
        "neither the processes nor the memory of the card were read",
        "stop other processes on the card (`nvidia-smi`) and disable MIG, and run again",
    ),
    "default_power_cap": (
        "{cap}",
        "the power limit of the card or its default is not reported",
        "set the default limit with `nvidia-smi -pl`, and run again",
    ),
}
"""For each rule: what was found, why nothing was found, and the next step where it is broken."""
PREFIX = "[NOT ACCEPTED] "
"""Prefix of each line with a figure where a run is not accepted."""


def acceptance_lines(run: StoredRun, checks: Sequence[RuleCheck] | None = None) -> Iterator[str]:
    """Whether a run is accepted, with its machine, and each rule; nothing if its suite has no rules.

    Args:
        run: The run.
        checks: Result of `check_acceptance`; None: computed here.
    """
    checks = check_acceptance(run) if checks is None else checks
    if run.header.suite.acceptance is None:
        return
    host = run.header.environments[-1].host if run.header.environments else "an unknown machine"
    yield f"acceptance of {run.header.run_id} on {host}: {verdict(checks)}"
    for check in checks:
        yield f"  {check.outcome:<12}  {check.rule}: {_sentence(check)}"


def verdict(checks: Sequence[RuleCheck]) -> str:
    """`accepted`, `NOT ACCEPTED` with the number of broken rules, or `inconclusive`."""
    if failed := sum(check.outcome == "failed" for check in checks):
        return f"NOT ACCEPTED, {failed} of {len(checks)} rules broken"
    if unknown := sum(check.outcome == "inconclusive" for check in checks):
        return f"inconclusive, {unknown} of {len(checks)} rules could not be checked"
    return "accepted" if checks else "inconclusive, no case was measured"


def _sentence(check: RuleCheck) -> str:
    what, unread, remedy = RULES[check.rule]
    where = f"{len(check.case_ids)} of {check.cases} cases, such as {check.case_ids[0]}" if check.case_ids else ""
    if check.outcome == "inconclusive":
        return f"{unread}; {where}"
    broken = check.outcome == "failed"
    text = what.format(
        worst=check.worst,
        limit=check.limit,
        used=check.detail or "the card was not shared with other processes",
        cap=f"the power limit of the card was {'not ' if broken else ''}its default",
    )
    return f"{text}; {where}; {remedy}" if broken else text
