"""CUDA_VISIBLE_DEVICES -> the cards that CUDA programs see, in their order; read as CUDA reads it.

Rules (CUDA Programming Guide, section 5.2.1.1, and what the driver does with lists that break them): unset shows all cards; an empty list
none; an entry that is no card ends the list; a card named twice empties it; a UUID may be cut short while it names one card alone; a list
is of indexes, of GPU UUIDs or of MIG UUIDs, by its first entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_cards(value: str | None, uuids: Sequence[str], parent_of: Callable[[str], str | None] = lambda mig: None) -> list[int]:
    """Indexes of the cards that CUDA programs see, in the order that they see them.

    Args:
        value: Of CUDA_VISIBLE_DEVICES; None: unset.
        uuids: Of the cards, in the driver's order.
        parent_of: UUID of the card that a MIG instance is a part of; None: no such instance.
    """
    if value is None:
        return list(range(len(uuids)))
    entries = [entry.strip() for entry in value.split(",")]
    found: list[int] = []
    named: set[str | int] = set()
    for entry in entries:
        index = _index(entry, entries[0], uuids, parent_of)
        if index is None:
            break
        own: str | int = entry if entry.startswith("MIG-") else index  # two instances of one card are two devices
        if own in named:
            return []
        named.add(own)
        found.append(index)
    return list(dict.fromkeys(found))


def _index(entry: str, first: str, uuids: Sequence[str], parent_of: Callable[[str], str | None]) -> int | None:
    """The card that an entry names; None where it names none, or is of another kind than the first one."""
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
    """The card of a MIG instance: as the driver reports it; of the older form `MIG-GPU-<uuid>/<gi>/<ci>` it is a part of the name."""
    older = re.fullmatch(r"MIG-(GPU-[^/]+)/\d+/\d+", entry)
    return older[1] if older else parent_of(entry)
