"""A table -> text for another program or a paper: csv, json (raw SI values), md, tex."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.report import text
from harness.report.tables import rows_of, to_latex, to_markdown

if TYPE_CHECKING:
    import pandas as pd


def export(table: pd.DataFrame, format: str = "md") -> str:
    """A public table as text.

    Args:
        table: `cases`, `runs`, `domains` or `builds`.
        format: `csv` and `json` give raw SI values; `md` and `tex` what a person reads of `cases`, and any other table as it is.

    Raises:
        HarnessError: No such format.
    """
    formats: dict[str, Callable[[pd.DataFrame], str]] = {"csv": to_csv, "json": to_json, "md": _markdown, "tex": _latex}
    if format not in formats:
        raise HarnessError(f"there is no format {format!r}", f"choose one of {', '.join(formats)}")
    return formats[format](table)


def to_csv(table: pd.DataFrame) -> str:
    """Raw SI values, null as nothing, text that no spreadsheet takes for a formula."""
    return str(_escaped(table, text.csv).to_csv(index=False, lineterminator="\n"))


def to_json(table: pd.DataFrame) -> str:
    """A list of objects with raw SI values, null as null."""
    return json.dumps(rows_of(table), indent=1, ensure_ascii=False, allow_nan=False, default=_native) + "\n"


def _native(value: object) -> object:
    """A NumPy scalar as Python's own."""
    return value.item()  # type: ignore[attr-defined]


def _markdown(table: pd.DataFrame) -> str:
    return to_markdown(table) if "baseline_case_id" in table else _as_it_is(table, text.markdown, "pipe")


def _latex(table: pd.DataFrame) -> str:
    return to_latex(table) if "baseline_case_id" in table else _as_it_is(table, text.latex, "latex_raw")


def _as_it_is(table: pd.DataFrame, escape: Callable[[str], str], style: str) -> str:
    """Every column, null as a dash."""
    from tabulate import tabulate

    cells = [list(row.values()) for row in rows_of(_escaped(table, escape))]
    return str(tabulate(cells, [escape(c) for c in table.columns], tablefmt=style, missingval=escape(text.NONE))) + "\n"


def _escaped(table: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """The text columns made safe."""
    return table.assign(**{name: table[name].map(escape, na_action="ignore") for name in table.columns if table[name].dtype == "string"})
