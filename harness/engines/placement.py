"""Where an engine put the operators of a model, against where the case asks for: counts for the record, and the share elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from harness.errors import EngineError

LISTED = 8
"""Largest number of kinds of operators elsewhere that are recorded."""


def placement(asked: str, operators: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Facts on where a model's operators run: `asked`, `operators` by place, and `elsewhere`, the most frequent kinds that run in another place.

    Args:
        asked: Place that the case asks for, such as `CUDA` or `GPU`.
        operators: (place, kind) of each operator that runs.

    Raises:
        EngineError: No operator runs in the place that the case asks for.
    """
    placed = list(operators)
    places = Counter(place for place, _ in placed)
    if not places[asked]:
        others = ", ".join(f"{count} on {place}" for place, count in places.most_common()) or "none at all"
        raise EngineError(
            f"no operator of the model runs on {asked} ({others})",
            "measure this model on the device where it runs: devices: [cpu]",
            refused=True,
        )
    elsewhere = Counter(kind for place, kind in placed if place != asked)
    return {"asked": asked, "operators": dict(places.most_common()), "elsewhere": dict(elsewhere.most_common(LISTED))}
