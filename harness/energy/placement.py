"""Check where the operators of a case on an accelerator ran, by the engine's report on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.energy.codes import finding
from harness.schema import Finding


def share_elsewhere(facts: Mapping[str, Any]) -> float | None:
    """Share of the operators, 0 to 1, that ran elsewhere than the case asks for; None if the engine does not report them."""
    placed = facts.get("placement")
    if not placed:
        return None
    total = sum(placed["operators"].values())
    return 1 - placed["operators"].get(placed["asked"], 0) / total if total else None


def examine_placement(device: str, facts: Mapping[str, Any]) -> list[Finding]:
    """Finding on operators that ran elsewhere.

    Args:
        device: Device of the case.
        facts: Facts that the engine reports; its `placement` is that of `harness.engines.placement`.
    """
    share = share_elsewhere(facts)
    if device == "cpu" or not share:
        return []
    placed = facts["placement"]
    asked, total = placed["asked"], sum(placed["operators"].values())
    others = {place: count for place, count in placed["operators"].items() if place != asked}
    kinds = ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in placed["elsewhere"].items())
    where = " and ".join(others)
    return [finding("operators_elsewhere", asked=asked, where=where, share=share, count=sum(others.values()), total=total, kinds=kinds)]


def examine_prepared(facts: Mapping[str, Any]) -> list[Finding]:
    """Finding on an engine that compiled a model again although a build had prepared it.

    Args:
        facts: Facts that the engine reports; `tensorrt_engine` is `compiled again` if it did.
    """
    return [finding("compiled_again")] if facts.get("tensorrt_engine") == "compiled again" else []
