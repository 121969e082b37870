"""Tables for people: headings and cells of the cases and of the other public tables, as text that is not escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.frame.rows import Row, rows_of
from harness.frame.settings import by_unit, is_text
from harness.report import token_tables
from harness.report.cells import failed_launches, kind_of, quality_text, ratio_text, remarks, short_remark
from harness.report.units import scale, suited
from harness.schema import default_copies
from harness.text import NONE, Scale, decimals_of, engine_text, markdown, number, with_interval

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = (
    "run", "host", "model", "variant", "engine", "device", "batch", "threads", "scenario", "copies", "in flight", "quality", "latency p50",
    "energy", "vs dense", "kind", "remarks",
)  # fmt: skip
LEFT = ("run", "host", "model", "variant", "engine", "device", "load", "scenario", "copies", "kind", "remarks")
SHARED = ("run", "host", "model", "device", "threads", "scenario", "in flight")
"""Columns that are left out if all cases have one value."""
PUBLISHED_COLUMNS = {
    "runs": (
        "run_id", "case_id", "repetition", "status", "throughput_per_s", "latency_p50_s", "latency_p99_s", "ttft_p50_s", "tpot_p50_s",
        "quality", "energy_j", "unit", "input_tokens", "output_tokens", "concurrency", "idle_w", "energy_kind", "invalid_reasons", "warnings",
    ),
    "domains": (
        "run_id", "case_id", "domain", "sensor", "kind", "in_scope", "energy_j", "unit", "power_w", "idle_w", "gain", "update_period_s",
    ),
    "builds": (
        "run_id", "model", "lineage", "format", "status", "cached", "seconds", "energy_j", "energy_kind", "artifact_bytes", "parameters",
        "nonzero_parameters",
    ),
    "history": (
        "started_utc", "run_id", "host", "status", "power_limit_w", "quality", "latency_p50_s", "ttft_p50_s", "tpot_p50_s", "latency_change",
        "energy_j", "unit", "input_tokens", "output_tokens", "concurrency", "energy_vs_previous", "energy_change", "energy_kind",
        "energy_scope", "changed",
    ),
}  # fmt: skip
"""Columns of each table in a published format; `cases` has its own formatting, and the raw formats have all columns."""
OF_QUERIES = ("latency_p50_s", "latency_p99_s")
OF_TEXT = ("ttft_p50_s", "tpot_p50_s", "input_tokens", "output_tokens", "concurrency")
"""Published columns that a table has only with cases that answer queries, and only with cases that generate text."""
WORDS = re.compile(r"[^\W\d_]|\d+-\d")
"""Start of a cell of words, dates and names of runs included."""
TITLES = ("Cases that answer queries", "Generated text: energy per output token", "Generated text: latency")
"""Titles of the tables of cases."""
NS = "n.s."
"""Cell for two values that are not separated."""
NOT_SEPARATED = f"{NS} = not separated: not significantly different at 95 %"


def case_cells(
    rows: Sequence[Row], *, brief: bool = False, marks: bool = False, without: Collection[str] = (), units: Collection[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Headings with units, and cells; run, host, model, device, threads, scenario and queries in flight only if they differ between cases.

    Args:
        rows: Rows of `cases`.
        brief: Short figures, marks, and the kind of energy in a heading, for a terminal.
        marks: One word as remarks, and no column for a single kind of energy, for a table with notes below.
        without: Columns to leave out; `interval` leaves out that of the quality.
        units: Names out of `UNITS`, instead of the SI unit with a suitable prefix.
    """
    energy = scale((row["energy_j"] for row in rows), "J", units)
    time = scale((row["latency_p50_s"] for row in rows), "s", units)
    metrics = {row["quality_metric"] for row in rows if row["quality_metric"]}
    cells = [_cells(row, energy, time, brief=brief, marks=brief or marks) for row in rows]
    for row, cell in zip(rows, cells, strict=True):
        if len(metrics) > 1 and not brief and row["quality_metric"]:
            cell["quality"] += f" {row['quality_metric']}"
        if "interval" in without:
            cell["quality"] = cell["quality"].split(" ")[0]
    left_out = {*without, *(name for name in SHARED if len({cell[name] for cell in cells}) <= 1)}
    left_out |= {"copies"} if all(row["copies"] == default_copies(row["device"]) for row in rows) else set()
    if brief and "device" not in left_out:
        for cell in cells:
            cell["engine"] = f"{cell['engine']} {cell['device']}".removesuffix(" cpu")
        left_out.add("device")
    kinds = {row["energy_kind"] for row in rows if row["energy_j"] is not None}
    if (brief or marks) and len(kinds) == 1:
        left_out.add("kind")
    per_inference = "" if "/" in energy.unit else " / inference"
    headings = {
        "quality": next(iter(metrics)) if len(metrics) == 1 else "quality",
        "latency p50": f"latency p50, {time.unit}",
        "energy": f"energy, {energy.unit}{per_inference}",
        "vs dense": "energy vs dense",
    }
    if brief:
        kind = f"{next(iter(kinds))}\n" if len(kinds) == 1 else ""
        headings |= {"latency p50": f"p50, {time.unit}", "energy": f"{kind}{energy.unit}/inf.", "vs dense": "vs\ndense"}
    names = [name for name in HEADINGS if name not in left_out]
    return [headings.get(name, name) for name in names], [[cell[name] for name in names] for cell in cells]


class CaseTable(NamedTuple):
    """A table of cases of one unit.

    Attributes:
        title: Title; empty if there is no other table.
        rows: Rows of `cases`.
        headings: Headings with units.
        cells: Cells of each row.
    """

    title: str
    rows: list[Row]
    headings: list[str]
    cells: list[list[str]]


def case_tables(rows: Sequence[Row], *, marks: bool = False, units: Collection[str] = ()) -> list[CaseTable]:
    """Tables of the cases: of those that answer queries, and of generated text its energy and its latencies; arguments as of `case_cells`."""
    queries, text = by_unit(rows)
    tables = [CaseTable(TITLES[0] if text else "", queries, *case_cells(queries, marks=marks, units=units))] if queries or not text else []
    if text:
        tables.append(CaseTable(TITLES[1], text, *token_tables.energy_cells(text, marks=marks, units=units)))
        tables.append(CaseTable(TITLES[2], text, *token_tables.latency_cells(text, units)))
    return tables


def _cells(row: Row, energy: Scale, time: Scale, *, brief: bool, marks: bool) -> dict[str, str]:
    return {
        "run": row["run_id"],
        "host": row["host"] or NONE,
        **{name: str(row[name]) for name in ("model", "variant", "device", "threads", "scenario", "copies")},
        "in flight": str(row["in_flight"]),
        "engine": engine_text(row),
        "batch": str(row["batch_size"]),
        "quality": quality_text(row).replace("[0.", "[.").replace(" 0.", " .") if brief else quality_text(row),
        "latency p50": time.text(row["latency_p50_s"], row["latency_p50_low_s"], row["latency_p50_high_s"]),
        "energy": energy.text(row["energy_j"], row["energy_low_j"], row["energy_high_j"]),
        "vs dense": ratio_text(row, 3 if brief else None),
        "kind": kind_of(row),
        "remarks": short_remark(row) if marks else remarks(row),
    }


def failures(rows: Sequence[Row]) -> list[str]:
    """One line for each case of which a launch did not complete, with the reason."""
    return [
        f"{row['status'] if row['status'] != 'ok' else failed_launches(row)}: {row['case_id']}: "
        + "; ".join((row["reason"] or "no reason was recorded").splitlines())
        for row in rows
        if row["failed_repetitions"]
    ]


def to_markdown(frame: pd.DataFrame) -> str:
    """Markdown table of the cases, with its caption below."""
    rows = rows_of(frame)
    return "\n\n".join([*map(markdown_table, case_tables(rows)), markdown(caption(rows))]) + "\n"


def markdown_table(table: CaseTable) -> str:
    """Markdown of a table, below its title if it has one."""
    title = f"**{markdown(table.title)}**\n\n" if table.title else ""
    return title + tabulated(table.headings, table.cells, markdown, "pipe")


def published_columns(name: str, table: pd.DataFrame, units: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Columns of a public table in a published format, and their units; without empty columns of words, and without a single run.

    Args:
        name: Name of the table.
        table: The table.
        units: Names out of `UNITS`; empty: those that suit the figures.

    Returns:
        No columns for `cases`, which has its own formatting.
    """
    if name not in PUBLISHED_COLUMNS:
        return [], list(units)
    columns = PUBLISHED_COLUMNS[name]
    left_out = {"run_id"} if name != "history" and table["run_id"].nunique() <= 1 else set()
    if "unit" in columns:
        units_of_rows = set(table["unit"])
        left_out |= set(OF_QUERIES) if units_of_rows == {"output_token"} else set()
        left_out |= set() if "output_token" in units_of_rows else {"unit", *OF_TEXT}
    left_out |= {c for c in columns if (table[c].dtype == "string" or c == "power_limit_w") and table[c].isna().all()}
    return [column for column in columns if column not in left_out], list(units) or suited(table)


def table_cells(frame: pd.DataFrame, columns: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Columns of any table as headings and cells, by default all but bounds; values are rounded by their intervals and shown with them."""
    bounds = _bounds([str(column) for column in frame.columns])
    of_values = {name for pair in bounds.values() for name in pair}
    names = list(columns) or [str(column) for column in frame.columns if column not in of_values]
    return names, [[_cell(row, name, bounds) for name in names] for row in rows_of(frame)]


def _bounds(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Names of the lower and the upper bound of each column that has both."""
    pairs = {low.replace("_low", ""): (low, low.replace("_low", "_high")) for low in columns if "_low" in low}
    return {name: pair for name, pair in pairs.items() if {name, *pair} <= set(columns)}


def _cell(row: Row, name: str, bounds: dict[str, tuple[str, str]]) -> str:
    value = row[name]
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return NONE if value is None else NS if name.endswith("_change") and value == "not separated" else str(value)
    if name == "quality" and {"quality_low", "quality_high"} <= set(row):
        return quality_text(row)
    if name in bounds:
        low, high = bounds[name]
        return with_interval(value, row[low], row[high])
    for low, high in bounds.values():
        if name in (low, high) and row[high] is not None and row[low] is not None and row[high] > row[low]:
            return f"{value:.{decimals_of((row[high] - row[low]) / 2, 2)}f}"
    return number(value, 4)


def caption(rows: Sequence[Row]) -> str:
    """Caption of a table: kinds and domains of the energies, and the meaning of ±; of generated text what its energy includes."""
    of_text = " Energy per output token is gross and includes the processing of prompts." if any(map(is_text, rows)) else ""
    return f"{provenance(rows)}. ± is the half-width of the 95 % repeatability interval over launches; {NONE} is not measured.{of_text}"


def provenance(rows: Sequence[Row]) -> str:
    """Kinds and domains of the energies, for every table and figure: `Energy: modelled (package+dram)`."""
    scopes: dict[str, dict[str, None]] = {}
    for row in rows:
        if row["energy_j"] is not None:
            scopes.setdefault(row["energy_kind"], {})[row["energy_scope"]] = None
    if not scopes:
        return "Energy: absent (not measured or modelled)"
    corrected = dict.fromkeys(name for row in rows if row["calibrated"] for name in row["calibrated"].split("+"))
    by = f"; {', '.join(corrected)} corrected by a calibration against a meter" if corrected else ""
    return "Energy: " + ", ".join(f"{kind} ({', '.join(names)})" for kind, names in scopes.items()) + by


def left_of(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each column holds words and is aligned left."""
    return [heading in LEFT or any(WORDS.match(line[i]) for line in cells) for i, heading in enumerate(headings)]


def tabulated(headings: Sequence[str], cells: Sequence[Sequence[str]], escape: Callable[[str], str], style: str) -> str:
    """Text of a table."""
    from tabulate import tabulate

    align = ["left" if left else "right" for left in left_of(headings, cells)]
    escaped = [[escape(cell) for cell in line] for line in cells]
    # Without disable_numparse, tabulate would shorten 0.10 to 0.1.
    return str(tabulate(escaped, [escape(h) for h in headings], tablefmt=style, disable_numparse=True, colalign=align if cells else None))
