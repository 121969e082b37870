"""Table of the cases for the terminal, with as many columns as it has room for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from harness.frame.rows import Row, rows_of
from harness.frame.settings import by_unit, is_text
from harness.report.tables import LEFT, caption, case_cells, failures
from harness.report.token_tables import Cells, brief_cells
from harness.text import engine_text, plain

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group
    from rich.table import Table

FIRST_TO_GO = ("interval", "scenario", "latency p50", "quality", "vs dense")
"""Columns left out of a narrow terminal, in this order."""
FIRST_TO_GO_OF_TEXT = ("TTFT", "quality", "tokens/s", "vs dense", "TPOT", "kind")
"""As `FIRST_TO_GO`, of generated text; energy, mean lengths and concurrency stay."""
FOLDED = 16
"""Minimum width of the variant's column, the only one that folds, in characters."""


def terminal(frame: pd.DataFrame, columns: int = 120) -> Table | Group:
    """Tables of the cases for a terminal that is `columns` characters wide: of those that answer queries, and of generated text."""
    from rich.console import Group

    queries, text = by_unit(rows_of(frame))
    tables = [_table(queries, columns, _of_queries, FIRST_TO_GO)] if queries or not text else []
    tables += [_table(text, columns, brief_cells, FIRST_TO_GO_OF_TEXT)] if text else []
    return tables[0] if len(tables) == 1 else Group(*tables)


def _of_queries(rows: Sequence[Row], without: Collection[str]) -> Cells:
    return case_cells(rows, brief=True, without=without)


def _table(
    rows: Sequence[Row], columns: int, cells_of: Callable[[Sequence[Row], Collection[str]], Cells], first_to_go: Sequence[str]
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for count in range(len(first_to_go) + 1):
        headings, cells = cells_of(rows, first_to_go[:count])
        widths = _widths(headings, cells)
        room = columns - sum(width + 1 for heading, width in widths.items() if heading != "variant") - 1
        if room >= min(FOLDED, widths["variant"]):
            break
    fold = max(min(FOLDED, widths["variant"]) if any(map(is_text, rows)) else FOLDED, min(room, widths["variant"]))
    # Text, not str: rich reads [brackets] in a string as markup.
    below = Text("\n".join(plain(line) for line in [caption(rows), *_of_text(rows), *failures(rows)]))
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


def _of_text(rows: Sequence[Row]) -> list[str]:
    """The engine that the table of generated text leaves out, and `cost only: dense, q8_0: its weights are random` for each reason."""
    text = by_unit(rows)[1]
    engines = {f"{engine_text(row)} on {row['device']}" for row in text}
    lines = [f"engine: {next(iter(engines))}"] if len(engines) == 1 else []
    reasons: dict[str, dict[str, None]] = {}
    for row in text:
        if row["cost_only"]:
            reasons.setdefault(row["cost_only"], {})[row["variant"]] = None
    return lines + [f"cost only: {', '.join(variants)}: {reason}" for reason, variants in reasons.items()]


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
