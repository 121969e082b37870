"""Export of a table: csv, json and parquet with raw values; md, tex and html rounded, with notes below."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from harness import text
from harness.errors import HarnessError
from harness.frame.rows import rows_of
from harness.report import latex
from harness.report.tables import NOT_SEPARATED, NS, CaseTable, case_tables, left_of, markdown_table, table_cells
from harness.report.token_notes import OVER_BOTH
from harness.report.units import in_units

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = ("md", "tex", "html")
"""Formats for people, with rounded values."""
RAW = ("csv", "json", "parquet")
"""Formats for programs, with full precision."""
FORMATS = (*PUBLISHED, *RAW)
TOTAL = "energy_j_per_total_token"
"""Column that has a remark wherever it is."""
GROUPS = ("run", "host", "model", "engine", "device", "threads", "scenario", "copies", "in flight")
"""Columns of the cases that LaTeX has as lines above the rows that share their values."""


def export(
    table: pd.DataFrame,
    format: str = "md",
    *,
    columns: Sequence[str] = (),
    units: Collection[str] = (),
    notes: Sequence[str] = (),
    caption: str = "",
    label: str = "tab:cases",
    groups: Collection[str] = (),
) -> bytes:
    """Public table in a format.

    Args:
        table: One of the public tables.
        format: One of `FORMATS`.
        columns: Names of the columns in order; empty: all of them, or for `cases` in a published format a selection with own headings.
        units: Names out of `units.UNITS`.
        notes: Notes on the method, in all formats but csv.
        caption: Caption, in LaTeX.
        label: Label, in LaTeX.
        groups: Columns that LaTeX has as lines above the rows that share their values.

    Raises:
        HarnessError: The format is unknown, or no column is in a unit.
    """
    if format not in FORMATS:
        raise HarnessError(f"there is no format {format!r}", f"choose one of {', '.join(FORMATS)}")
    if TOTAL in (columns or (table.columns if format in RAW else ())) and table[TOTAL].notna().any():
        notes = [*notes, OVER_BOTH]
    converted, names = in_units(table, units)
    chosen = [names[column] for column in columns]
    if format in PUBLISHED:
        of_cases = "baseline_case_id" in table and not columns
        parts = (
            case_tables(rows_of(table), marks=format == "tex", units=units)
            if of_cases
            else [CaseTable("", [], *table_cells(converted, chosen))]
        )
        if any(NS in line for part in parts for line in part.cells):
            notes = [*notes, f"{NOT_SEPARATED}."]
        if format == "tex":
            return _latex(parts, notes, caption, label, GROUPS if of_cases else groups).encode()
        if format == "md":
            return _markdown(parts, notes).encode()
        tables = [(part, [not left for left in left_of(part.headings, part.cells)]) for part in parts]
        return rendered("table.html.j2", tables=tables, notes=notes).encode()
    raw = converted[chosen] if columns else converted
    if format == "csv":
        return to_csv(raw).encode()
    return _json(raw, notes) if format == "json" else _parquet(raw, notes)


def to_csv(table: pd.DataFrame) -> str:
    """Raw SI values, with empty cells for missing ones and text that no spreadsheet takes for a formula."""
    return str(_escaped(table, text.csv).to_csv(index=False, lineterminator="\n"))


def _json(table: pd.DataFrame, notes: Sequence[str]) -> bytes:
    """The notes and a list of objects, in ASCII so that no terminal obeys a control character."""
    return (
        json.dumps({"notes": notes, "rows": rows_of(table)}, indent=1, allow_nan=False, default=lambda scalar: scalar.item()) + "\n"
    ).encode()


def _parquet(table: pd.DataFrame, notes: Sequence[str]) -> bytes:
    """Parquet with the notes as JSON in the file's metadata, under `notes`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(_escaped(table, text.plain), preserve_index=False)
    stream = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), b"notes": json.dumps(notes).encode()}), stream)
    return stream.getvalue()


def _markdown(parts: Sequence[CaseTable], notes: Sequence[str]) -> str:
    below = "".join(f"- {text.markdown(note)}\n" for note in notes)
    return "\n\n".join(map(markdown_table, parts)) + "\n" + (f"\n{below}" if notes else "")


def _latex(parts: Sequence[CaseTable], notes: Sequence[str], caption: str, label: str, groups: Collection[str]) -> str:
    """A table for each part, the notes below the last; the label of a further one has its number."""
    return "\n".join(
        latex.table(
            part.headings,
            part.cells,
            notes if k == len(parts) else [],
            caption=f"{part.title}. {caption}" if part.title else caption,
            label=label if k == 1 else f"{label}-{k}",
            groups=groups,
        )
        for k, part in enumerate(parts, 1)
    )


def rendered(template: str, **values: Any) -> str:
    """HTML of a template of this package; every text in it is escaped and without control characters."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.finalize = lambda value: text.plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
    return environment.get_template(template).render(**values)


def _escaped(table: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """Text columns with escaped values."""
    return table.assign(**{name: table[name].map(escape, na_action="ignore") for name in table.columns if table[name].dtype == "string"})
