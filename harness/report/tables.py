"""Tables for people: headings and cells of the cases and of the other public tables, as text that is not escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from harness.frame.rows import Row, rows_of
from harness.report.units import scale, suited
from harness.schema import default_copies, timing_text
from harness.text import NONE, Scale, decimals_of, engine_text, markdown, number, with_interval

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = (
    "run", "host", "model", "variant", "engine", "device", "batch", "threads", "scenario", "copies", "in flight", "quality", "latency p50",
    "energy", "vs dense", "kind", "remarks",
)  # fmt: skip
LEFT = ("run", "host", "model", "variant", "engine", "device", "scenario", "copies", "kind", "remarks")
SHARED = ("run", "host", "model", "device", "threads", "scenario", "in flight")
"""Columns that are left out if all cases have one value."""
PUBLISHED_COLUMNS = {
    "runs": (
        "run_id", "case_id", "repetition", "status", "throughput_per_s", "latency_p50_s", "latency_p99_s", "quality", "energy_j", "idle_w",
        "energy_kind", "invalid_reasons", "warnings",
    ),
    "domains": (
        "run_id", "case_id", "domain", "sensor", "kind", "in_scope", "energy_j", "power_w", "idle_w", "gain", "update_period_s",
    ),
    "builds": (
        "run_id", "model", "lineage", "format", "status", "cached", "seconds", "energy_j", "energy_kind", "artifact_bytes", "parameters",
        "nonzero_parameters",
    ),
    "history": (
        "started_utc", "run_id", "host", "status", "power_limit_w", "quality", "latency_p50_s", "latency_change", "energy_j", "energy_vs_previous",
        "energy_change", "energy_kind", "energy_scope", "changed",
    ),
}  # fmt: skip
"""Columns of each table in a published format; `cases` has its own formatting, and the raw formats have all columns."""
WORDS = re.compile(r"[^\W\d_]|\d+-\d")
"""Start of a cell of words, dates and names of runs included."""
SURE = 0.95
"""Share of resamples from which a case is on the front; below 1 - SURE it is not."""
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


def _cells(row: Row, energy: Scale, time: Scale, *, brief: bool, marks: bool) -> dict[str, str]:
    return {
        "run": row["run_id"],
        "host": row["host"] or NONE,
        **{name: str(row[name]) for name in ("model", "variant", "device", "threads", "scenario", "copies")},
        "in flight": str(row["in_flight"]),
        "engine": engine_text(row),
        "batch": str(row["batch_size"]),
        "quality": _quality(row).replace("[0.", "[.").replace(" 0.", " .") if brief else _quality(row),
        "latency p50": time.text(row["latency_p50_s"], row["latency_p50_low_s"], row["latency_p50_high_s"]),
        "energy": energy.text(row["energy_j"], row["energy_low_j"], row["energy_high_j"]),
        "vs dense": _ratio(row, 3 if brief else None),
        "kind": kind_of(row),
        "remarks": _short_remark(row) if marks else remarks(row),
    }


def _quality(row: Row) -> str:
    """`0.972 [0.950 0.985]`: both bounds, since Wilson's interval is not symmetric."""
    if row["quality"] is None:
        return NONE
    if row["quality_low"] is None or row["quality_high"] is None:
        return number(row["quality"], 4)
    return f"{row['quality']:.3f} [{row['quality_low']:.3f} {row['quality_high']:.3f}]"


def _ratio(row: Row, most: int | None = None) -> str:
    if row["case_id"] == row["baseline_case_id"] and row["energy_j"] is not None:
        return "1"
    return with_interval(row["energy_vs_baseline"], row["energy_vs_baseline_low"], row["energy_vs_baseline_high"], most)


def case_text(row: Row) -> str:
    """`int8 · litert cpu · batch 32`, and how it was timed where that is not the default."""
    timing = timing_text(row["device"], row["copies"], row["in_flight"])
    return f"{row['variant']} · {engine_text(row)} {row['device']} · batch {row['batch_size']}" + (f" · {timing}" if timing else "")


def kind_of(row: Row) -> str:
    """Kind of the energy: `counter`, or `counter, calibrated`."""
    return f"{row['energy_kind']}, calibrated" if row["calibrated"] else str(row["energy_kind"])


def remarks(row: Row) -> str:
    """Failure of a case, or reasons for an invalid energy, whether it is on the front, and its warnings."""
    if row["status"] != "ok":
        return f"{row['status']}: {'; '.join(row['reason'].splitlines())}" if row["reason"] else str(row["status"])
    parts = [failed_launches(row)] if row["failed_repetitions"] else []
    parts += [f"invalid: {row['invalid_reasons'].replace(';', ', ')}"] if row["valid"] is False else []
    if row["p_front"] is not None and row["p_front"] > 1 - SURE:
        parts.append("front" if row["p_front"] >= SURE else f"front {row['p_front']:.0%}")
    if row["warnings"]:
        parts.append(row["warnings"].replace(";", ", "))
    return "; ".join(parts)


def _short_remark(row: Row) -> str:
    """One word for the remarks: `invalid`, `front`, `front?`, with `!` for warnings and failed launches."""
    if row["status"] != "ok" or row["valid"] is False:
        return str(row["status"]) if row["status"] != "ok" else "invalid"
    front = "" if row["p_front"] is None or row["p_front"] <= 1 - SURE else "front" if row["p_front"] >= SURE else "front?"
    return f"{front} !".strip() if row["warnings"] or row["failed_repetitions"] else front


def failures(rows: Sequence[Row]) -> list[str]:
    """One line for each case of which a launch did not complete, with the reason."""
    return [
        f"{row['status'] if row['status'] != 'ok' else failed_launches(row)}: {row['case_id']}: "
        + "; ".join((row["reason"] or "no reason was recorded").splitlines())
        for row in rows
        if row["failed_repetitions"]
    ]


def failed_launches(row: Row) -> str:
    """`1 of 3 launches failed`, of a case that completed in the others."""
    return f"{row['failed_repetitions']} of {row['repetitions'] + row['failed_repetitions']} launches failed"


def to_markdown(frame: pd.DataFrame) -> str:
    """Markdown table of the cases, with its caption below."""
    rows = rows_of(frame)
    return f"{tabulated(*case_cells(rows), markdown, 'pipe')}\n\n{markdown(caption(rows))}\n"


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
        return _quality(row)
    if name in bounds:
        low, high = bounds[name]
        return with_interval(value, row[low], row[high])
    for low, high in bounds.values():
        if name in (low, high) and row[high] is not None and row[low] is not None and row[high] > row[low]:
            return f"{value:.{decimals_of((row[high] - row[low]) / 2, 2)}f}"
    return number(value, 4)


def caption(rows: Sequence[Row]) -> str:
    """Caption of a table: kinds and domains of the energies, and the meaning of ±."""
    return f"{provenance(rows)}. ± is the half-width of the 95 % repeatability interval over launches; {NONE} is not measured."


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
