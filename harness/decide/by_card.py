"""A run on several cards as one run for each card, so that cards are compared like machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.energy.scope import for_card
from harness.schema import Case, StoredRun


def by_card(run: StoredRun) -> list[StoredRun]:
    """One run for each card that the cases chose; the run itself if they chose fewer than two.

    In each the card is the device `gpu`, in the ids of the cases too, and the name of the run has its UUID. Cases on other devices are left
    out. Cases of the device `gpu` without a chosen card are those of the first card that CUDA programs see.
    """
    cards = list(dict.fromkeys(_card(run, case) for case in run.header.suite.cases if case.device == "gpu"))
    return [_of_card(run, card) for card in cards if card] if len([card for card in cards if card]) > 1 else [run]


def split_cards(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs to compare: the cards of a single run, else the runs themselves."""
    return by_card(runs[0]) if len(runs) == 1 else list(runs)


def _card(run: StoredRun, case: Case) -> str | None:
    """UUID of the card of a case; None if it is unknown."""
    first = next((d.detail.get("uuid") for d in run.header.domains if d.device == "gpu" and d.detail.get("uuid")), None)
    return case.card or first


def _of_card(run: StoredRun, card: str) -> StoredRun:
    """The part of a run on one card."""
    here = [case for case in run.header.suite.cases if case.device == "gpu" and _card(run, case) == card]
    by_plain_id = {
        _plain_id(case): case for case in sorted(here, key=lambda case: case.card is not None)
    }  # the chosen one of two equal cases
    own = {case.case_id: plain_id for plain_id, case in by_plain_id.items()}
    cases = tuple(
        case.model_copy(update={"case_id": own[case.case_id], "baseline_case_id": own.get(case.baseline_case_id or ""), "card": None})
        for case in run.header.suite.cases
        if case.case_id in own
    )
    run_id = f"{run.header.run_id} {card}"
    header = run.header.model_copy(
        update={
            "run_id": run_id,
            "suite": run.header.suite.model_copy(update={"cases": cases}),
            "domains": tuple(for_card(run.header.domains, card)),
        }
    )
    records = tuple(
        record.model_copy(update={"run_id": run_id, "case_id": own[record.case_id]})
        for record in run.records
        if record.task == "case" and record.case_id in own
    )
    outputs = {own[case_id]: kept for case_id, kept in run.outputs.items() if case_id in own}
    return replace(run, header=header, records=records, outputs=outputs)


def _plain_id(case: Case) -> str:
    """Id of a case with the device `gpu` in place of its card."""
    return case.case_id.replace(f"/{case.device_text}/", f"/{case.device}/")
