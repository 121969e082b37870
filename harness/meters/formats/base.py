"""Declaration of a power-log format: how to recognise it, its times and zone, its power columns, its devices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.meters.channels import Channels
from harness.meters.options import Options
from harness.meters.table import Table, delimited

HEAD_LINES = 60


@dataclass(frozen=True)
class MeterFormat:
    r"""One format. Patterns are regular expressions for a whole column name, with or without its unit.

    Attributes:
        name: Value of `--format`.
        summary: The tool that writes it.
        recognise: Whether a text (its first 200 lines) is of this format.
        table: The table of cells for (name of the file, its text, options).
        read: The channels for (path, text, options), if the format is not a table; `table` and the attributes below are then not used.
        time: Patterns of the time columns; empty to find them by name and content.
        date_order: Order of day, month and year, if the tool always writes the same.
        offset: Local time minus UTC in seconds for a table; None if the log does not state it.
        power: (pattern, unit) of power columns whose header states no unit; an empty unit if the log does not state it.
        preferred: Patterns of columns that hold the total, the best first.
        device: Patterns of columns that distinguish devices, the best first.
        labelled: Whether the label of a device states quantity and unit, as Home Assistant's entity does.
        one_device: Whether rows with equal time stamps are successive readings.
        on_change: Whether a row is written only when the value changes.
        min_w: Minimum power of such a machine under load, in W: if the declared unit gives less, the user must give it.
        rank: Formats of a lower rank are tried first.
    """

    name: str
    summary: str
    recognise: Callable[[str], bool]
    table: Callable[[str, str, Options], Table] = delimited
    read: Callable[[Path, str, Options], Channels] | None = None
    time: tuple[str, ...] = ()
    date_order: str | None = None
    offset: Callable[[Table], float | None] = lambda _: None
    power: tuple[tuple[str, str], ...] = ()
    preferred: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    labelled: bool = False
    one_device: bool = False
    on_change: bool = False
    min_w: float = 0.0
    rank: int = 0


def head_matches(pattern: str) -> Callable[[str], bool]:
    """A `recognise` that searches the first lines for a regular expression."""
    compiled = re.compile(pattern)
    return lambda text: any(compiled.search(line) for line in text.splitlines()[:HEAD_LINES])
