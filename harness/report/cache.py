"""Table of the cached artifacts for the terminal."""

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
    """One row per artifact: model, steps with their formats, size, time of last use, and energy of the last build step."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("lineage", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("last used, UTC", no_wrap=True)
    table.add_column("build energy", justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(*(Text(plain(cell)) for cell in _cells(entry)))
    return table


def size(count: int) -> str:
    """Size with a decimal prefix: `97.8 kB`."""
    step = sum(count >= 1000**k for k in (1, 2, 3))
    return f"{number(count / 1000**step) if step else count} {('B', 'kB', 'MB', 'GB')[step]}"


def _cells(entry: CacheEntry) -> list[str]:
    artifact = entry.record.artifact
    energy = build_energy(entry.record.measurements, artifact.device if artifact else None)
    used = f"{datetime.fromtimestamp(entry.used_unix_s, UTC):%Y-%m-%d %H:%M}"
    return [
        (artifact.model if artifact else None) or NONE,
        (" > ".join(artifact.lineage) if artifact else "") or NONE,
        size(entry.bytes),
        f"{used}, in use" if entry.in_use else used,
        NONE if energy.energy_j is None else f"{number(energy.energy_j)} J, {energy.kind}",
    ]
