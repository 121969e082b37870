"""Whether a run kept the acceptance rules of its suite: for each rule passed, failed, or inconclusive where nothing was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.decide.differences import cards
from harness.energy.cards import CAP_TOLERANCE, cap_share
from harness.energy.clock_limits import card_of
from harness.energy.scope import for_card
from harness.schema import Acceptance, Case, Record, StoredRun

Outcome = Literal["passed", "failed", "inconclusive"]
Values = Mapping[str, Sequence[float | None]]
"""Values of each case that a rule applies to, by case id: one for each launch, or one for the case; None: not read."""
SHARED = ("card_shared", "mig_shared")
"""Findings on a card that a case did not have for itself."""


@dataclass(frozen=True)
class RuleCheck:
    """One rule, checked for a run.

    Attributes:
        rule: Name of the rule in the suite.
        outcome: failed if a launch broke it; otherwise inconclusive if for a launch nothing was read.
        limit: Limit of the rule; None for one without a number.
        worst: Largest value of any launch; None if nothing was read.
        case_ids: Cases that broke it, the worst one first; if none did, those for which nothing was read in a launch.
        cases: Number of cases that the rule applies to.
        detail: Sentence of the finding by which the worst case broke it; empty for a rule that rests on no finding.
    """

    rule: str
    outcome: Outcome
    limit: float | None
    worst: float | None
    case_ids: tuple[str, ...]
    cases: int
    detail: str = ""


def check_acceptance(run: StoredRun) -> list[RuleCheck]:
    """The rules of a run's suite that apply to its cases; empty if there are none.

    Only completed launches count. A rule about cards applies to the cases on an accelerator.
    """
    rules = run.header.suite.acceptance
    if rules is None:
        return []
    launches = _launches(run)
    checked = [(name, limit, values_of(run, launches)) for name, limit, values_of in _rules(rules)]
    checks = [_checked(name, limit, values) for name, limit, values in checked if values]
    return [replace(check, detail=_detail(launches, check)) if check.rule == "exclusive_card" else check for check in checks]


def _detail(launches: Mapping[str, list[Record]], check: RuleCheck) -> str:
    """How the card of the first case was shared."""
    records = launches[check.case_ids[0]] if check.case_ids else []
    return next((finding.sentence for record in records for finding in record.warnings if finding.code in SHARED), "")


def _rules(rules: Acceptance) -> Iterator[tuple[str, float | None, Callable[[StoredRun, Mapping[str, list[Record]]], Values]]]:
    """Name, limit and values of each rule that the suite has; the value of a rule without a number is 1 where it is broken."""
    for name, limit, values in (
        ("max_temperature_degc", rules.max_temperature_degc, _temperatures),
        ("max_temperature_range_k", rules.max_temperature_range_k, _temperature_ranges),
        ("max_foreign_cores", rules.max_foreign_cores, _foreign_cores),
    ):
        if limit is not None:
            yield name, limit, values
    if rules.exclusive_card:
        yield "exclusive_card", None, _shared_cards
    if rules.default_power_cap:
        yield "default_power_cap", None, _caps


def _checked(rule: str, limit: float | None, values: Values) -> RuleCheck:
    worst = {case_id: max(known) for case_id, each in values.items() if (known := [value for value in each if value is not None])}
    broken = [case_id for case_id, value in worst.items() if value > (limit if limit is not None else 0.0)]
    unread = [case_id for case_id, each in values.items() if None in each]
    outcome: Outcome = "failed" if broken else "inconclusive" if unread else "passed"
    ordered = sorted(broken, key=lambda case_id: -worst[case_id]) or unread
    return RuleCheck(rule, outcome, limit, max(worst.values(), default=None), tuple(ordered), len(values))


def _launches(run: StoredRun) -> dict[str, list[Record]]:
    """Completed launches of each case; cases without one are left out."""
    launches: dict[str, list[Record]] = {}
    for record in run.records:
        if record.case_id and record.status == "ok":
            launches.setdefault(record.case_id, []).append(record)
    return launches


def _cases(run: StoredRun) -> dict[str, Case]:
    return {case.case_id: case for case in run.header.suite.cases}


def _card(run: StoredRun, case: Case) -> str | None:
    """Name of the card that a case ran on, such as `gpu:1`; None if no sensor reads it."""
    return next((card_of(d.name) for d in for_card(run.header.domains, case.card) if d.device == case.device), None)


# --- values of the rules --------------------------------------------------------------------------------------------


def _thermometers(run: StoredRun, case: Case) -> list[str]:
    """Thermometers of the device that a case ran on; the memory's, which may be hotter, is left out."""
    domains = [d for d in for_card(run.header.domains, case.card) if d.quantity == "temperature" and d.device == case.device]
    return [d.name for d in domains if not d.name.endswith(" memory_temperature")]


def _temperature(thermometers: Sequence[str], record: Record) -> float | None:
    """Mean temperature over the window of the warmest thermometer."""
    means = [record.conditions.get(name) for name in thermometers]
    return max((mean for mean in means if mean is not None), default=None)


def _temperatures(run: StoredRun, launches: Mapping[str, list[Record]]) -> Values:
    own = {case_id: _thermometers(run, case) for case_id, case in _cases(run).items()}
    return {case_id: [_temperature(own[case_id], record) for record in records] for case_id, records in launches.items()}


def _temperature_ranges(run: StoredRun, launches: Mapping[str, list[Record]]) -> Values:
    """Difference between the warmest and the coldest launch of each case; not read with fewer than two launches."""
    return {
        case_id: [max(known) - min(known) if len(known := [t for t in each if t is not None]) > 1 and None not in each else None]
        for case_id, each in _temperatures(run, launches).items()
    }


def _foreign_cores(run: StoredRun, launches: Mapping[str, list[Record]]) -> Values:
    return {case_id: [record.conditions.get("foreign_load") for record in records] for case_id, records in launches.items()}


def _shared_cards(run: StoredRun, launches: Mapping[str, list[Record]]) -> Values:
    """1 for each launch whose card was shared, 0 for one whose card was observed and not shared, None for one that nothing observed."""
    own = {case_id: _card(run, case) for case_id, case in _cases(run).items() if case.device != "cpu"}
    return {case_id: [_shared(own[case_id], record) for record in records] for case_id, records in launches.items() if case_id in own}


def _shared(card: str | None, record: Record) -> float | None:
    """Whether a card was shared; other users are noticed by their processes or by memory in use."""
    if any(finding.code in SHARED for finding in record.warnings):
        return 1.0
    signs = (f"{card} foreign_processes", f"{card} memory_used")
    return 0.0 if any(record.conditions.get(name) is not None for name in signs) else None


def _caps(run: StoredRun, launches: Mapping[str, list[Record]]) -> Values:
    """1 for each case whose card had another power limit than its default, None if one of them is unknown."""
    cases = _cases(run)
    return {case_id: [_other_cap(run, cases[case_id])] for case_id in launches if cases[case_id].device != "cpu"}


def _other_cap(run: StoredRun, case: Case) -> float | None:
    """1 if the card of a case had another power limit in any environment of the run, 0 if in none, None if it is unknown."""
    card = _card(run, case)
    shares = [cap_share(cards(environment).get(card or "", {})) for environment in run.header.environments]
    if any(share is not None and abs(share - 1) > CAP_TOLERANCE for share in shares):
        return 1.0
    return None if None in shares or not shares else 0.0
