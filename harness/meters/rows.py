"""What every reader of a log gives: channels of time and watts, still on the file's own clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.schema import Floats


@dataclass
class Rows:
    """A log as it is written.

    Attributes:
        channels: Times (s) and power (W, NaN where missing) by name.
        local: Whether the times are clock readings without a zone, counted as if they were UTC.
        preferred: The channel meant where none is named; null: there are several of one rank.
        count: Rows in the file.
        unreadable: Rows left out.
        first_unreadable: Line of the first of them.
        marks: Named times on the same clock.
        utc_offset_s: Local time less UTC, where the log's own marks tell it.
        zone_told: The sentence on that; dropped when the caller knows better.
        told: What was guessed, as sentences.
    """

    channels: dict[str, tuple[Floats, Floats]]
    local: bool
    preferred: str | None
    count: int
    unreadable: int = 0
    first_unreadable: int | None = None
    marks: dict[str, float] = field(default_factory=dict)
    utc_offset_s: float | None = None
    zone_told: str | None = None
    told: list[str] = field(default_factory=list)
