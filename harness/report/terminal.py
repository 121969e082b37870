"""Table of the cases for the terminal, with as many columns as it has room for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.frame.rows import rows_of
from harness.report.tables import LEFT, caption, case_cells, failures
from harness.text import plain

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

FIRST_TO_GO = ("interval", "scenario", "latency p50", "quality", "vs dense")
"""Columns left out of a narrow terminal, in this order."""
FOLDED = 16
"""Minimum width of the variant's column, the only one that folds, in characters."""


def terminal(frame: pd.DataFrame, columns: int = 120) -> Table:
    """Table of the cases for a terminal that is `columns` characters wide."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = rows_of(frame)
    for count in range(len(FIRST_TO_GO) + 1):
        headings, cells = case_cells(rows, brief=True, without=FIRST_TO_GO[:count])
        widths = _widths(headings, cells)
        room = columns - sum(width + 1 for heading, width in widths.items() if heading != "variant") - 1
        if room >= min(FOLDED, widths["variant"]):
            break
    fold = max(FOLDED, min(room, widths["variant"]))
    # Text, not str: rich reads [brackets] in a string as markup.
    below = Text("\n".join(plain(line) for line in [caption(rows), *failures(rows)]))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, caption=below, caption_justify="left")
    for heading in headings:
        variant = heading == "variant"
        table.add_column(
            Text(heading),
            width=fold if variant else None,
            justify="left" if heading in LEFT else "right",
            no_wrap=not variant,
            overflow="fold" if variant else "ellipsis",  # a truncated number would be read as a different one
        )
    for row, line in zip(rows, cells, strict=True):
        style = "red" if row["status"] != "ok" else "yellow" if row["valid"] is False else ""
        texts = [
            _by_steps(plain(cell), fold) if heading == "variant" else plain(cell) for heading, cell in zip(headings, line, strict=True)
        ]
        table.add_row(*map(Text, texts), style=style)
    return table


def _by_steps(chain: str, width: int) -> str:
    """A chain of recipes folded between its steps, a long step before its parameters."""
    lines = [""]
    for step in re.split(r"(?<=\+)", chain):
        for part in [step] if len(step) <= width else re.split(r"(?<=[(,])", step):
            if lines[-1] and len(lines[-1]) + len(part) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(lines)


def _widths(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> dict[str, int]:
    """Length of the longest line of each column."""
    columns = zip(headings, *cells, strict=True)
    return {column[0]: max(len(line) for cell in column for line in cell.split("\n")) for column in columns}
