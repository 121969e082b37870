"""Texts of a row's settings that depend on its unit: the batch of an inference, the load of generated text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.frame.rows import Row
from harness.schema import timing_text


def is_text(row: Row) -> bool:
    """Whether a row of `cases` is of generated text, so that its unit is an output token."""
    return row.get("unit") == "output_token"


def setting_text(row: Row) -> str:
    """`batch 32`; of generated text its load, `c4/in16/out48`."""
    return str(row["load"]) if is_text(row) else f"batch {row['batch_size']}"


def concurrency_text(row: Row) -> str:
    """`c4` or `r0.5` of a load of generated text."""
    return str(row["load"]).partition("/")[0]


def lengths_text(row: Row) -> str:
    """`in16/out48` of a load of generated text."""
    return str(row["load"]).partition("/")[2]


def timing_of(row: Row) -> str:
    """What two cases must share to be compared beyond model and machine: how they are timed, of generated text the lengths.

    Empty if it is the default. See `Case.timing`.
    """
    return lengths_text(row) if is_text(row) else timing_text(row["device"], row["copies"], row["in_flight"])


def by_unit(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows that answer queries, and rows that generate text."""
    return [row for row in rows if not is_text(row)], [row for row in rows if is_text(row)]
