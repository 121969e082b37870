"""The table of cases -> what a person reads of it: Markdown, LaTeX, HTML cells, and a table for the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from harness.frame.rows import Row, rows_of
from harness.report.units import scale, suited
from harness.text import NONE, Scale, decimals_of, engine_text, markdown, number, plain, with_interval

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

HEADINGS = (
    "run",
    "host",
    "model",
    "variant",
    "engine",
    "device",
    "batch",
    "threads",
    "scenario",
    "quality",
    "latency p50",
    "energy",
    "vs dense",
    "kind",
    "remarks",
)
LEFT = ("run", "host", "model", "variant", "engine", "device", "scenario", "kind", "remarks")
READ = {
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
        "started_utc", "run_id", "host", "status", "quality", "latency_p50_s", "latency_change", "energy_j", "energy_vs_previous",
        "energy_change", "energy_kind", "energy_scope", "changed",
    ),
}  # fmt: skip
"""What a person reads of each table but `cases`, for which `readable` has cells of its own; the raw formats have all columns."""
WORDS = re.compile(r"[^\W\d_]|\d+-\d")
"""How a cell of words begins; a date and the name of a run are words too."""
FIRST_TO_GO = ("interval", "scenario", "latency p50", "quality", "vs dense")
"""What is left out of a terminal that is narrow, then narrower."""
FOLDED = 16
"""How narrow the variant's column may become; it alone folds."""
SURE = 0.95
"""Chance of being on the front from which a case is said to be there; below 1 - SURE it is said not to be."""


def readable(
    rows: Sequence[Row], *, brief: bool = False, marks: bool = False, without: Collection[str] = (), units: Collection[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Headings with units, and cells as text, not escaped; what all cases share (run, host, model, device, threads, scenario) has no column.

    Args:
        rows: Of the table `cases`.
        brief: For a terminal: as `marks`, with short figures and the kind in a heading.
        marks: Remarks as one word, and no column of kinds where there is one kind, for a table whose notes say the rest.
        without: Columns left out for want of room; `interval` leaves out that of the quality.
        units: Of `UNITS`, in place of the SI unit with the prefix that suits the figures.
    """
    energy = scale((row["energy_j"] for row in rows), "J", units)
    time = scale((row["latency_p50_s"] for row in rows), "s", units)
    cells = [_cells(row, energy, time, brief=brief, marks=brief or marks) for row in rows]
    kinds = {row["energy_kind"] for row in rows if row["energy_j"] is not None}
    metrics = {row["quality_metric"] for row in rows if row["quality_metric"]}
    if len(metrics) > 1 and not brief:
        cells = [{**cell, "quality": _named(cell["quality"], row["quality_metric"])} for cell, row in zip(cells, rows, strict=True)]
    if "interval" in without:
        cells = [{**cell, "quality": cell["quality"].split(" ")[0]} for cell in cells]
    constant = [
        name
        for name in ("run", "host", "model", "device", "threads", "scenario")
        if len({cell[name] for cell in cells}) <= 1 or name in without
    ]
    if brief and "device" not in constant:
        cells = [{**cell, "engine": f"{cell['engine']} {cell['device']}".removesuffix(" cpu")} for cell in cells]
        constant.append("device")
    kind = f"{next(iter(kinds))}\n" if brief and len(kinds) == 1 else ""
    constant += ["kind"] if (brief or marks) and len(kinds) == 1 else []
    shown = [name for name in HEADINGS if name not in (*constant, *without)]
    headings = {
        "quality": next(iter(metrics)) if len(metrics) == 1 else "quality",
        "latency p50": f"p50, {time.unit}" if brief else f"latency p50, {time.unit}",
        "energy": f"{kind}{energy.unit}/inf."
        if brief
        else f"energy, {energy.unit}"
        if "/" in energy.unit
        else f"energy, {energy.unit} / inference",
        "vs dense": "vs\ndense" if brief else "energy vs dense",
    }
    return [headings.get(name, name) for name in shown], [[cell[name] for name in shown] for cell in cells]


def _cells(row: Row, energy: Scale, time: Scale, *, brief: bool, marks: bool) -> dict[str, str]:
    return {
        "run": row["run_id"],
        "host": row["host"] or NONE,
        **{name: str(row[name]) for name in ("model", "variant", "device", "threads", "scenario")},
        "engine": engine_text(row),
        "batch": str(row["batch_size"]),
        "quality": _quality(row).replace("[0.", "[.").replace(" 0.", " .") if brief else _quality(row),
        "latency p50": time.text(row["latency_p50_s"], row["latency_p50_low_s"], row["latency_p50_high_s"]),
        "energy": energy.text(row["energy_j"], row["energy_low_j"], row["energy_high_j"]),
        "vs dense": _ratio(row, 3 if brief else None),
        "kind": kind_of(row),
        "remarks": _mark(row) if marks else remarks(row),
    }


def kind_of(row: Row) -> str:
    """`counter`, or `counter, calibrated`: where the joules come from."""
    return f"{row['energy_kind']}, calibrated" if row["calibrated"] else str(row["energy_kind"])


def _named(text: str, metric: str | None) -> str:
    """A quality with its metric, where a table holds several."""
    return f"{text} {metric}" if metric else text


def remarks(row: Row) -> str:
    """What a reader must know of a case: its failure, why its energy is not told, its place on the front, its warnings."""
    if row["status"] != "ok":
        return f"{row['status']}: {'; '.join(row['reason'].splitlines())}" if row["reason"] else str(row["status"])
    said = [f"invalid: {row['invalid_reasons'].replace(';', ', ')}"] if row["valid"] is False else []
    if row["p_front"] is not None and row["p_front"] > 1 - SURE:
        said.append("front" if row["p_front"] >= SURE else f"front {row['p_front']:.0%}")
    if row["warnings"]:
        said.append(row["warnings"].replace(";", ", "))
    return "; ".join(said)


def failures(rows: Sequence[Row]) -> list[str]:
    """One line for each case that did not go well, with the reason and the next step."""
    return [
        f"{row['status']}: {row['case_id']}: {'; '.join((row['reason'] or 'no reason was recorded').splitlines())}"
        for row in rows
        if row["status"] != "ok"
    ]


def to_markdown(frame: pd.DataFrame) -> str:
    """A Markdown table, followed by what the figures are."""
    headings, cells = readable(rows_of(frame))
    return f"{tabulated(headings, cells, markdown, 'pipe')}\n\n{markdown(caption(rows_of(frame)))}\n"


def as_read(name: str, table: pd.DataFrame, units: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """The columns of a public table that a person reads, and their units; without words that no row has, and without the run where there is one.

    Args:
        name: Of the table.
        table: The table.
        units: As asked for; none: those that suit the figures.

    Returns:
        No columns for `cases`, of which `readable` makes cells of its own.
    """
    if name not in READ:
        return [], list(units)
    without = {"run_id"} if name != "history" and table["run_id"].nunique() <= 1 else set()
    without |= {column for column in READ[name] if table[column].dtype == "string" and table[column].isna().all()}
    return [column for column in READ[name] if column not in without], list(units) or suited(table)


def as_it_is(frame: pd.DataFrame, columns: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Columns of any table as headings and cells, not escaped; a value ends where its interval says.

    Args:
        frame: The table.
        columns: Which; none: all but the bounds, which stand behind their values.
    """
    bounds = _bounds([str(column) for column in frame.columns])
    beside = {name for low, high in bounds.values() for name in (low, high)}
    shown = list(columns) or [str(column) for column in frame.columns if column not in beside]
    return shown, [[_cell(row, name, bounds) for name in shown] for row in rows_of(frame)]


def _bounds(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The names of the lower and the upper bound of each column that has them."""
    lows = {low.replace("_low", ""): low for low in columns if "_low" in low}
    return {
        name: (low, low.replace("_low", "_high"))
        for name, low in lows.items()
        if name in columns and low.replace("_low", "_high") in columns
    }


def _cell(row: Row, name: str, bounds: dict[str, tuple[str, str]]) -> str:
    value = row[name]
    if isinstance(value, bool | str) or not isinstance(value, float):
        return NONE if value is None else str(value).lower() if isinstance(value, bool) else str(value)
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
    """What the figures are: where the joules come from, what they sum, what the ± is."""
    return f"{provenance(rows)}. ± is the half-width of the 95 % repeatability interval over launches; {NONE} is not measured."


def provenance(rows: Sequence[Row]) -> str:
    """`Energy is modelled: package+dram`, one part a kind; the sentence that goes with every picture."""
    scopes: dict[str, dict[str, None]] = {}
    for row in rows:
        if row["energy_j"] is not None:
            scopes.setdefault(row["energy_kind"], {})[row["energy_scope"]] = None
    if not scopes:
        return "Energy is absent: nothing measured or modelled it"
    corrected = dict.fromkeys(name for row in rows if row["calibrated"] for name in row["calibrated"].split("+"))
    by = f"; {', '.join(corrected)} corrected by a calibration against a meter" if corrected else ""
    return "Energy is " + "; ".join(f"{kind}: {', '.join(names)}" for kind, names in scopes.items()) + by


def terminal(frame: pd.DataFrame, columns: int = 120) -> Table:
    """A table for the terminal.

    Args:
        frame: The table `cases`.
        columns: How wide the terminal is; the narrower, the fewer columns: the rest is in `report/`.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = rows_of(frame)
    for count in range(len(FIRST_TO_GO) + 1):
        without = FIRST_TO_GO[:count]
        headings, cells = readable(rows, brief=True, without=without)
        widths = _widths(headings, cells)
        room = columns - sum(width + 1 for heading, width in widths.items() if heading != "variant") - 1
        if room >= min(FOLDED, widths["variant"]):
            break
    # Text, not str: rich reads [brackets] in a string as its own markup.
    below = Text("\n".join(plain(line) for line in [caption(rows), *failures(rows)]))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, caption=below, caption_justify="left")
    fold = max(FOLDED, min(room, widths["variant"]))
    for heading in headings:
        left = heading in LEFT
        table.add_column(
            Text(heading),
            width=fold if heading == "variant" else None,
            justify="left" if left else "right",
            no_wrap=heading != "variant",
            overflow="fold" if heading == "variant" else "ellipsis",  # a figure that is cut must not pass for another
        )
    for row, line in zip(rows, cells, strict=True):
        style = "red" if row["status"] != "ok" else "yellow" if row["valid"] is False else ""
        texts = [
            _by_steps(plain(cell), fold) if heading == "variant" else plain(cell) for heading, cell in zip(headings, line, strict=True)
        ]
        table.add_row(*map(Text, texts), style=style)
    return table


def _by_steps(chain: str, width: int) -> str:
    """A chain over several lines where one does not hold it, broken between its steps."""
    lines = [""]
    for step in re.split(r"(?<=\+)", chain):
        if lines[-1] and len(lines[-1]) + len(step) > width:
            lines.append("")
        lines[-1] += step
    return "\n".join(lines)


def _widths(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> dict[str, int]:
    """The longest line of each column."""
    columns = zip(headings, *cells, strict=True)
    return {column[0]: max(len(line) for cell in column for line in cell.split("\n")) for column in columns}


def _mark(row: Row) -> str:
    """The first word of the remarks; failures stand below the table, and what `!` means is told by the command line."""
    if row["status"] != "ok" or row["valid"] is False:
        return str(row["status"]) if row["status"] != "ok" else "invalid"
    front = "" if row["p_front"] is None or row["p_front"] <= 1 - SURE else "front" if row["p_front"] >= SURE else "front?"
    return f"{front} !".strip() if row["warnings"] else front


def _quality(row: Row) -> str:
    """`0.972 [0.950 0.985]`: Wilson's interval leans, so both bounds are told."""
    if row["quality"] is None:
        return NONE
    if row["quality_low"] is None or row["quality_high"] is None:
        return number(row["quality"], 4)
    return f"{row['quality']:.3f} [{row['quality_low']:.3f} {row['quality_high']:.3f}]"


def _ratio(row: Row, most: int | None = None) -> str:
    if row["case_id"] == row["baseline_case_id"] and row["energy_j"] is not None:
        return "1"
    return with_interval(row["energy_vs_baseline"], row["energy_vs_baseline_low"], row["energy_vs_baseline_high"], most)


def left_of(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold words, and start at the left."""
    return [heading in LEFT or any(map(WORDS.match, (line[i] for line in cells))) for i, heading in enumerate(headings)]


def tabulated(headings: Sequence[str], cells: Sequence[Sequence[str]], escape: Callable[[str], str], style: str) -> str:
    """Cells as a table of text.

    Args:
        headings: Of the columns.
        cells: Rows of text.
        escape: Makes a text safe in that format.
        style: As `tabulate` calls it.
    """
    from tabulate import tabulate

    align = ["left" if left else "right" for left in left_of(headings, cells)]
    escaped = [[escape(cell) for cell in line] for line in cells]
    # The cells are finished text: tabulate must not read 0.10 as a number and shorten it.
    return str(tabulate(escaped, [escape(h) for h in headings], tablefmt=style, disable_numparse=True, colalign=align if cells else None))
