"""A table -> what goes to another program or into a paper: csv, json, parquet (raw values), md, tex, html (rounded, with notes below)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from harness import text
from harness.errors import HarnessError
from harness.frame.rows import rows_of
from harness.report import latex
from harness.report.tables import as_it_is, left_of, readable, tabulated
from harness.report.units import in_units

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = ("md", "tex", "html")
"""Formats that people put before others."""
RAW = ("csv", "json", "parquet")
"""Formats for programs: full precision, the kind of the energy in a column."""
FORMATS = (*PUBLISHED, *RAW)
GROUPS = ("run", "host", "model", "engine", "device", "threads", "scenario")
"""What cases share; in LaTeX it stands above the rows that share it, and leaves the line to the figures."""
Cells = tuple[list[str], list[list[str]]]


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
    """A public table in a format.

    Args:
        table: `cases`, `runs`, `domains`, `builds`, or a history.
        format: Of `FORMATS`. The raw ones have every column unrounded; the published ones what a person reads of `cases`, and
            of any other table its columns with their intervals.
        columns: The names of those wanted, in this order, in SI; none: as the format has it.
        units: Names out of `units.UNITS`.
        notes: How the figures were taken, for all formats but csv, which has no place for them.
        caption: Caption, in LaTeX.
        label: Label, in LaTeX.
        groups: Names of columns that LaTeX has as lines above the rows that share their values.

    Raises:
        HarnessError: No such format, or a unit that no column is in.
    """
    if format not in FORMATS:
        raise HarnessError(f"there is no format {format!r}", f"choose one of {', '.join(FORMATS)}")
    converted, names = in_units(table, units)
    chosen = [names[column] for column in columns]
    if format in PUBLISHED:
        # What a person reads of the cases is a selection with headings of its own.
        read = "baseline_case_id" in table and not columns
        cells = readable(rows_of(table), marks=format == "tex", units=units) if read else as_it_is(converted, chosen)
        if format == "tex":
            return latex.table(*cells, notes, caption=caption, label=label, groups=GROUPS if read else groups).encode()
        return {"md": _markdown, "html": _html}[format](cells, notes).encode()
    raw = converted[chosen] if columns else converted
    return {"csv": _csv, "json": _json, "parquet": _parquet}[format](raw, notes)


def to_csv(table: pd.DataFrame) -> str:
    """Raw SI values, null as nothing, text that no spreadsheet takes for a formula."""
    return str(_escaped(table, text.csv).to_csv(index=False, lineterminator="\n"))


def _csv(table: pd.DataFrame, notes: Sequence[str]) -> bytes:
    return to_csv(table).encode()


def _json(table: pd.DataFrame, notes: Sequence[str]) -> bytes:
    """The notes and a list of objects, null as null; ASCII, so that no terminal obeys a character of a stranger's text."""
    return (json.dumps({"notes": notes, "rows": rows_of(table)}, indent=1, allow_nan=False, default=_native) + "\n").encode()


def _native(value: Any) -> object:
    """A NumPy scalar as Python's own."""
    return value.item()


def _parquet(table: pd.DataFrame, notes: Sequence[str]) -> bytes:
    """With the notes as JSON in the file's metadata, under `notes`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = pa.Table.from_pandas(_escaped(table, text.plain), preserve_index=False)
    stream = io.BytesIO()
    pq.write_table(found.replace_schema_metadata({**(found.schema.metadata or {}), b"notes": json.dumps(notes).encode()}), stream)
    return stream.getvalue()


def _markdown(cells: Cells, notes: Sequence[str]) -> str:
    below = "".join(f"- {text.markdown(note)}\n" for note in notes)
    return f"{tabulated(*cells, text.markdown, 'pipe')}\n" + (f"\n{below}" if notes else "")


def _html(cells: Cells, notes: Sequence[str]) -> str:
    """A page of its own, without script or request."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    headings, lines = cells
    return environment.get_template("table.html.j2").render(
        headings=[text.plain(heading) for heading in headings],
        lines=[[text.plain(cell) for cell in line] for line in lines],
        numeric=[not left for left in left_of(*cells)],
        notes=[text.plain(note) for note in notes],
    )


def _escaped(table: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """The text columns made safe."""
    return table.assign(**{name: table[name].map(escape, na_action="ignore") for name in table.columns if table[name].dtype == "string"})
