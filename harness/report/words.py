"""Words for the unit that energies and rates are counted per."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple


class Words(NamedTuple):
    """Words of a unit.

    Attributes:
        one: The unit.
        many: Its plural.
        short: Its abbreviation in a narrow table.
        latency: Name of the columns `latency`.
        energy: Name of the energy where both units may occur.
    """

    one: str
    many: str
    short: str
    latency: str
    energy: str


WORDS = {
    "inference": Words("inference", "inferences", "inf.", "latency", "energy"),
    "output_token": Words("output token", "output tokens", "tok.", "TPOT", "energy per output token"),
}
MIXED = Words("inference or output token", "inferences or output tokens", "unit", "latency", "energy")


def words_of(row: Mapping[str, Any]) -> Words:
    """Words of a row of `cases`."""
    return WORDS[row["unit"]]


def words_of_units(units: Iterable[str]) -> Words:
    """Words of one unit, of both if there are several; of an inference if there is none."""
    names: Collection[str] = set(units)
    return WORDS[next(iter(names), "inference")] if len(names) < 2 else MIXED
