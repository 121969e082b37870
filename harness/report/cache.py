"""Artifacts in the cache -> a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.energy.scope import build_energy
from harness.schema import CacheEntry
from harness.text import NONE, number, plain

if TYPE_CHECKING:
    from rich.table import Table


def cached(entries: Sequence[CacheEntry]) -> Table:
    """One row an artifact: model, steps with the format that each gave, size, when it was last used, what its last step cost to build.

    Args:
        entries: As the cache has them.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in ("model", "lineage", "size", "last used, UTC", "build energy"):
        # The lineage alone folds: the rest is short.
        right = heading in ("size", "build energy")
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=heading != "lineage",
            overflow="fold" if heading == "lineage" else "ellipsis",
        )
    for entry in entries:
        table.add_row(*(Text(plain(cell)) for cell in _cells(entry)))
    return table


def size(count: int) -> str:
    """`97.8 kB`."""
    step = next((step for step in range(3) if count < 1000 ** (step + 1)), 3)
    return f"{number(count / 1000**step) if step else count} {('B', 'kB', 'MB', 'GB')[step]}"


def _cells(entry: CacheEntry) -> list[str]:
    artifact, energy = entry.record.artifact, build_energy(entry.record.measurements)
    used = f"{datetime.fromtimestamp(entry.used_unix_s, UTC):%Y-%m-%d %H:%M}"
    return [
        (artifact.model if artifact else None) or NONE,
        (" > ".join(artifact.lineage) if artifact else "") or NONE,
        size(entry.bytes),
        f"{used}, in use" if entry.in_use else used,
        NONE if energy.energy_j is None else f"{number(energy.energy_j)} J, {energy.kind}",
    ]
