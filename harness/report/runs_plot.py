"""Figure of one case over several runs: energy per inference against latency, in the order of the power limit or of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.errors import HarnessError
from harness.frame.rows import Row
from harness.report.panel import COLOURS, INK, PALE, SOFT, Axis, axis_of, draw_points, number_points, on_both, shortened
from harness.report.plots import figure_files
from harness.report.tables import provenance
from harness.schema import OBJECTIVES, evidence
from harness.text import number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES: tuple[Axis, Axis] = (axis_of(OBJECTIVES[2]), axis_of(OBJECTIVES[0]))
PER_TOKEN = {"latency_p50_s": "time per output token p50", "energy_j": "energy per output token"}
"""Labels of the same columns for a case that generates text."""
WIDTH_IN, PANEL_IN, LINE_IN, MARGIN_IN = 9.6, 5.0, 0.22, 0.95
RUN, HOST, CASE, DIFFERENCES = 44, 16, 100, 6
"""Maximum number of characters of the name of a run, a machine and the case, and of settings that are listed."""
NO_LIMIT = "no power limit reported"


class Series(NamedTuple):
    """Runs that may be joined by a line: one machine and card, one kind of energy over one scope.

    Attributes:
        rows: The runs, in the order of the line.
        by_limit: Whether that is the order of the power limit; otherwise it is that of time.
    """

    rows: list[Row]
    by_limit: bool


def draw_runs(rows: Sequence[Row], differences: Sequence[str]) -> dict[str, bytes]:
    """The figure as `png` and as `svg`.

    Args:
        rows: The case's row of `cases` in each run, with the `started_utc` of the run.
        differences: Names of settings, other than the power limit, that differ between the runs.

    Raises:
        HarnessError: No run has both quantities.
    """
    rows = sorted(rows, key=lambda row: row["started_utc"])
    if not on_both(rows, AXES):
        raise HarnessError(
            f"nothing to plot: no run of {rows[0]['case_id'] if rows else 'the case'} has both an energy and a latency",
            "see the columns status, invalid_reasons and energy_kind of `harness history`",
        )
    return figure_files(partial(_compose, rows=rows, differences=differences), WIDTH_IN)


def series_of(rows: Sequence[Row]) -> list[Series]:
    """Runs that a line joins; where a series has several power limits, in their order and without runs of which the limit is unknown.

    Args:
        rows: Runs with both quantities, in order of time.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["host"], row["device_uuid"], evidence(row["energy_kind"]), row["energy_scope"]), []).append(row)
    return [_series(group) for group in groups.values()]


def _series(rows: list[Row]) -> Series:
    limits = {row["power_limit_w"] for row in rows if row["power_limit_w"] is not None}
    return (
        Series(sorted(rows, key=lambda row: row["power_limit_w"] or 0.0), by_limit=True)
        if len(limits) > 1
        else Series(rows, by_limit=False)
    )


def limit_text(row: Row) -> str | None:
    """`250 W (56 % of the default)`; None if the limit is not reported."""
    if row["power_limit_w"] is None:
        return None
    share = row["power_limit_share"]
    return f"{number(row['power_limit_w'])} W" + ("" if share is None else f" ({share:.0%} of the default)")


def _compose(figure: Figure, rows: Sequence[Row], differences: Sequence[str]) -> None:
    """The panel, and a line for each run below it; positions in inches from the bottom."""
    series = series_of(on_both(rows, AXES))
    head = _head(rows, series, differences)
    below_in, above_in = LINE_IN * (len(rows) + 1) + 0.2, 0.4 + LINE_IN * len(head)
    height = below_in + MARGIN_IN + PANEL_IN + above_in
    figure.set_size_inches(WIDTH_IN, height)
    ax = figure.add_axes((0.95 / WIDTH_IN, (below_in + MARGIN_IN - 0.2) / height, (WIDTH_IN - 1.25) / WIDTH_IN, PANEL_IN / height))
    _draw(ax, rows, series)
    by_limit = any(each.by_limit for each in series)
    title = "Energy and latency by power limit" if by_limit else "Energy and latency over runs"
    top = 1 - 0.3 / height
    figure.text(0.95 / WIDTH_IN, top, title, fontsize=12, color=INK, va="center")
    for k, line in enumerate(head, 1):
        figure.text(0.95 / WIDTH_IN, top - k * LINE_IN / height, line, fontsize=8.5, color=SOFT, va="center", parse_math=False)
    for k, row in enumerate(rows):
        y = (below_in - 0.15 - (k + 0.5) * LINE_IN) / height
        figure.text(0.95 / WIDTH_IN, y, str(k + 1), fontsize=9, weight="bold", color=_colour(row, series), ha="right", va="center")
        figure.text(1.05 / WIDTH_IN, y, _legend_text(row), fontsize=9, color=INK, va="center", parse_math=False)


def _draw(ax: Axes, rows: Sequence[Row], series: Sequence[Series]) -> None:
    present = on_both(rows, AXES)
    per_token = present[0]["unit"] == "output_token"
    x, y = (replace(axis, name=PER_TOKEN[axis.column]) if per_token else axis for axis in AXES)
    points = draw_points(ax, present, (x, y), partial(_marker, series=series), math.inf)
    places = {id(row): point for row, point in zip(present, points, strict=True)}
    lines = []
    for each in series:
        joined = [
            places[id(row)] for row in each.rows if row["valid"] is not False and not (each.by_limit and row["power_limit_w"] is None)
        ]
        if len(joined) > 1:
            lines.append(np.array(joined).T)
            ax.plot(*lines[-1], color=_colour(each.rows[0], series), linewidth=1.0, alpha=0.6, zorder=1)
    numbers = {id(row): k for k, row in enumerate(rows, 1)}
    by_limit = any(each.by_limit for each in series)
    number_points(ax, [_point_text(row, numbers[id(row)], by_limit=by_limit) for row in present], points, lines)


def _head(rows: Sequence[Row], series: Sequence[Series], differences: Sequence[str]) -> list[str]:
    """What the figure shows, below its title."""
    orders = {each.by_limit for each in series if len(each.rows) > 1}
    order = {True: "in the order of the power limit", False: "in order of time"}
    lines = [
        shortened(plain(str(rows[0]["case_id"])), CASE),
        plain(provenance(rows)),
        "bars: 95 % over launches"
        + (f" · line: {' or '.join(order[each] for each in sorted(orders, reverse=True))}" if orders else "")
        + (" · hollow: energy invalid" if any(row["valid"] is False for row in rows) else ""),
    ]
    if len(series) > 1:
        lines.append("colours: machine, card, and kind and domains of the energy; a line joins equal ones only")
    if differences:
        more = f" and {len(differences) - DIFFERENCES} more" if len(differences) > DIFFERENCES else ""
        lines.append(
            plain(f"the runs also differ in: {', '.join(differences[:DIFFERENCES])}{more} (column `changed` of `harness history`)")
        )
    return [shortened(line, CASE + 20) for line in lines]


def _legend_text(row: Row) -> str:
    """`2026-11-30 08:12 · 250 W (56 % of the default) · run · host`, and why it is not in the figure."""
    missing = (
        [] if on_both([row], AXES) else ["not shown: " + (row["status"] if row["status"] != "ok" else "energy or latency not measured")]
    )
    limit = [] if row["device"] == "cpu" else [limit_text(row) or NO_LIMIT]
    run, host = shortened(str(row["run_id"]), RUN), shortened(str(row["host"]), HOST)
    return plain(" · ".join([row["started_utc"][:16].replace("T", " "), *limit, *missing, run, host]))


def _point_text(row: Row, index: int, *, by_limit: bool) -> str:
    if not by_limit or row["power_limit_w"] is None:
        return str(index)
    share = "" if row["power_limit_share"] is None else f" ({row['power_limit_share']:.0%})"
    return f"{index}: {number(row['power_limit_w'])} W{share}"


def _colour(row: Row, series: Sequence[Series]) -> str:
    return next((COLOURS[k % len(COLOURS)] for k, each in enumerate(series) if any(row is other for other in each.rows)), PALE)


def _marker(row: Row, series: Sequence[Series]) -> dict[str, Any]:
    colour, hollow = _colour(row, series), row["valid"] is False
    return {
        "marker": "o",
        "s": 55,
        "facecolor": "none" if hollow else colour,
        "edgecolor": colour if hollow else "white",
        "linewidth": 1.4 if hollow else 0.6,
    }
