"""What an engine needs of the machine that is known before anything is measured: its environment, and a driver and card that its library runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import plugins, venvs
from harness.errors import EngineError
from harness.schema import Case, Catalogue, Suite, Target

Cards = Sequence[Mapping[str, Any]]
"""Facts of each device, as sensors describe them."""


def problems(suite: Suite, cards: Cards) -> list[EngineError]:
    """One error for each engine and device of the suite that cannot run its cases (`refused`), or runs them late."""
    kinds = {(case.engine, case.device, case.card, str(case.engine_options)): case for case in suite.cases}
    errors = [problem for case in kinds.values() if (problem := examine(case, cards))]
    return list({str(problem): problem for problem in errors}.values())


def of_cards(catalogue: Catalogue, cards: Cards) -> list[EngineError]:
    """What is known to keep each installed engine from the card that cases on `gpu` run on, or to delay it there."""
    plugins_ = [plugins.load("engines", name) for name, spec in catalogue.engines.items() if "gpu" in spec.devices and not spec.simulated]
    return [problem for card in cards if card.get("device") == "gpu" for plugin in plugins_ if (problem := plugin.examine_card(card))]


def examine(of: Case | Target, cards: Cards) -> EngineError | None:
    """The error of the engine of a case, or of a build for its card, on its device; None if nothing is known to be wrong.

    Args:
        of: The case, or the target of the build.
        cards: Facts of the devices of this machine.
    """
    plugin, device = plugins.load("engines", of.engine), of.device
    try:
        for spec in (plugin.spec.at(device), *plugin.spec.started(of.engine_options)):
            venvs.python(spec)
    except EngineError as error:
        return error
    card = card_of(cards, device, of.card)
    problem: EngineError | None = plugin.examine_card(card) if card else None
    return problem


def card_of(cards: Cards, device: str, uuid: str | None = None) -> Mapping[str, Any] | None:
    """Facts of the card that cases run on; None on the CPU, or if it is unknown.

    Args:
        cards: Facts of the devices of this machine.
        device: Device of the cases.
        uuid: UUID of the card that the cases choose; None: the one that is `device`.
    """
    if device == "cpu":
        return None
    return next((card for card in cards if (uuid or device) in (card.get("device"), card.get("domain"), card.get("uuid"))), None)
