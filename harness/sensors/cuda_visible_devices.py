"""Parsing of CUDA_VISIBLE_DEVICES: the cards that CUDA programs see, in their order.

Rules (CUDA Programming Guide, section 5.2.1.1, and the driver's behaviour on invalid lists): an unset variable shows all cards, an empty
list none; an invalid entry ends the list; a repeated card empties it; a UUID may be a unique prefix; the first entry decides whether a list
is of indices, GPU UUIDs or MIG UUIDs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_cards(value: str | None, uuids: Sequence[str], parent_of: Callable[[str], str | None] = lambda mig: None) -> list[int]:
    """Indices of the cards that CUDA programs see, in their order.

    Args:
        value: Value of CUDA_VISIBLE_DEVICES; None if unset.
        uuids: UUIDs of the cards in the driver's order.
        parent_of: Function from a MIG instance to the UUID of its card, or to None for an unknown instance.
    """
    if value is None:
        return list(range(len(uuids)))
    entries = [entry.strip() for entry in value.split(",")]
    cards: list[int] = []
    devices: set[str | int] = set()
    for entry in entries:
        index = _index(entry, entries[0], uuids, parent_of)
        if index is None:
            break
        device: str | int = entry if entry.startswith("MIG-") else index  # two instances of one card are two devices
        if device in devices:
            return []
        devices.add(device)
        cards.append(index)
    return list(dict.fromkeys(cards))


def _index(entry: str, first: str, uuids: Sequence[str], parent_of: Callable[[str], str | None]) -> int | None:
    """Index of the card of an entry; None if it is invalid or of another kind than the first entry."""
    if first.startswith("MIG-"):
        parent = _parent(entry, parent_of) if entry.startswith("MIG-") else None
        return uuids.index(parent) if parent in uuids else None
    if first.startswith("GPU-"):
        matches = [index for index, uuid in enumerate(uuids) if entry.startswith("GPU-") and uuid.startswith(entry)]
        return matches[0] if len(matches) == 1 else None
    digits = re.match(r"\+?\d+", entry)
    index = int(digits[0]) if digits else -1
    return index if 0 <= index < len(uuids) else None


def _parent(entry: str, parent_of: Callable[[str], str | None]) -> str | None:
    """UUID of the card of a MIG instance; names of the older form `MIG-GPU-<uuid>/<gi>/<ci>` contain it."""
    older = re.fullmatch(r"MIG-(GPU-[^/]+)/\d+/\d+", entry)
    return older[1] if older else parent_of(entry)
