"""What a declared format of a power log declares: how it is recognised, its time, its zone, its power columns and their unit, its devices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.meters.options import Options
from harness.meters.rows import Rows
from harness.meters.table import Table, delimited

HEAD_LINES = 60


@dataclass(frozen=True)
class MeterFormat:
    r"""One format. Patterns are regular expressions that match a whole column name, with or without its unit.

    Attributes:
        name: Value of `--format`.
        summary: The tool that writes it.
        recognise: Whether a text (its first 60 lines) is of this format.
        table: Of (name of the file, its text, options): the table of cells.
        read: Of (path, text, options): the rows, for a format that is no table; then `table` and the rest are not used.
        time: Patterns of the columns of time; empty: by name and content.
        date_order: Order of day, month and year, where the tool always writes one.
        offset: Of a table: local time less UTC in seconds, where the log states it; else None.
        power: (pattern, unit) of the columns of power whose header names no unit; an empty unit: the log does not state it.
        preferred: Patterns of the columns that hold the total, the best first.
        device: Patterns of the columns that distinguish devices, the best first.
        labelled: Whether a device's label names its quantity and unit, as Home Assistant's entity does.
        one_device: Whether rows with equal time stamps are successive readings.
        on_change: Whether a row is written only when the value changes.
        least_w: What such a machine draws at least under load, in W: where the declared unit gives less, it is asked for.
        rank: Formats of a lower rank are tried first.
        how: How to log with this tool, one command or sentence.
        source: Public source of the header that the tests use; empty: the format is unverified.
    """

    name: str
    summary: str
    recognise: Callable[[str], bool]
    table: Callable[[str, str, Options], Table] = delimited
    read: Callable[[Path, str, Options], Rows] | None = None
    time: tuple[str, ...] = ()
    date_order: str | None = None
    offset: Callable[[Table], float | None] = lambda _: None
    power: tuple[tuple[str, str], ...] = ()
    preferred: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    labelled: bool = False
    one_device: bool = False
    on_change: bool = False
    least_w: float = 0.0
    rank: int = 0
    how: str = ""
    source: str = ""


def head_matches(pattern: str) -> Callable[[str], bool]:
    """A test whether one of the first lines matches a regular expression."""
    compiled = re.compile(pattern)
    return lambda text: any(compiled.search(line) for line in text.splitlines()[:HEAD_LINES])
