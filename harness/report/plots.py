"""The table of cases -> a figure: each pair of the objectives, energy, quality and latency by default; every case numbered and named below."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.pareto import front
from harness.frame.rows import Row, rows_of
from harness.report.tables import provenance, remarks
from harness.schema import OBJECTIVES, Objective, evidence
from harness.text import Scale, engine_text, number, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito, Color Universal Design (2008); the yellow is left out: it does not show on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "p", "<", ">", "h", "X", "P", "*")
BANDS = ("#F0E442", "#56B4E9", "#CC79A7", "#BBBBBB")
INK, PALE = "#222222", "#999999"
WIDTH_IN, DPI = 18.0, 100
LEGEND_LINE_IN, PANEL_IN, ROW_IN = 0.21, 4.2, 5.75


@dataclass(frozen=True)
class Axis:
    """One quantity as a panel shows it.

    Attributes:
        name: As people call it.
        column: Its column; its bounds stand in `low` and `high`.
        unit: SI; empty for a quality, which is shown as it is.
        more: Whether more is better; of a quality its metric says so.
    """

    name: str
    column: str
    low: str
    high: str
    unit: str = ""
    more: bool = False


ENERGY = Axis("energy per inference", "energy_j", "energy_low_j", "energy_high_j", "J")
LATENCY = Axis("latency p50 per query", "latency_p50_s", "latency_p50_low_s", "latency_p50_high_s", "s")
QUALITY = Axis("quality", "quality", "quality_low", "quality_high")
PANELS = ((ENERGY, QUALITY), (LATENCY, QUALITY), (LATENCY, ENERGY))
AXES = {axis.column: axis for axis in (ENERGY, LATENCY, QUALITY)}
UNITS = {"_j": "J", "_bytes": "B", "_g": "g", "_w": "W", "_per_s": "/s", "_s": "s"}
COUNTS = {1: "One", 3: "Three", 6: "Six"}
SHARES = ("accuracy", "agreement", "reconstruction_auc")
"""Metrics that end at 1: their axis has room for a point at 1, and no number above it."""
ROUNDING = 1e-9
"""Of places on an axis, which are multiples of a step: 5 x 0.2 is above 1."""
A_ROW = 3
"""Panels side by side."""
TITLE, NAME = 52, 180
"""Characters that a panel has room for in its title, and the whole figure in a line of the legend."""


def panels(objectives: Sequence[Objective]) -> list[tuple[Axis, Axis]]:
    """Every pair of the objectives; of the usual three as people know them."""
    if list(objectives) == list(OBJECTIVES):
        return list(PANELS)
    axes = [AXES.get(each.column) or _axis(each) for each in objectives]
    return [(axes[i], axes[j]) for j in range(len(axes)) for i in range(j)]


def _axis(objective: Objective) -> Axis:
    """Of another column, its unit taken from the end of its name."""
    end, unit = next(((end, unit) for end, unit in UNITS.items() if objective.column.endswith(end)), ("", ""))
    stem = objective.column.removesuffix(end)
    return Axis(stem.replace("_", " "), objective.column, f"{stem}_low{end}", f"{stem}_high{end}", unit, objective.direction == "max")


def draw(frame: pd.DataFrame, objectives: Sequence[Objective] = OBJECTIVES) -> dict[str, bytes]:
    """The figure as `png` and `svg`; text stays text in the SVG.

    Args:
        frame: The table `cases`.
        objectives: What its fronts are of.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = rows_of(frame)
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "harness",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A model may be named in a script that the font lacks; the SVG still holds the text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH_IN, 1.0), dpi=DPI, facecolor="white")
        _compose(figure, rows, panels(objectives))
        return {form: _saved(figure, form) for form in ("png", "svg")}


def _saved(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else {"Software": "harness"})
    return buffer.getvalue()


def _compose(figure: Figure, rows: Sequence[Row], pairs: Sequence[tuple[Axis, Axis]] = PANELS) -> None:
    """Rows of panels for each model, and the legend below; places are inches from the top."""
    models = list(dict.fromkeys(row["model"] for row in rows)) or [""]
    style = Style(rows)
    lines, columns = _legend_shape(rows, style)
    legend_in = LEGEND_LINE_IN * (lines + 2)
    per_model = -(-len(pairs) // A_ROW)
    height = len(models) * per_model * ROW_IN + legend_in + 0.2
    figure.set_size_inches(WIDTH_IN, height)
    for i, model in enumerate(models):
        of_model = [row for row in rows if row["model"] == model]
        for j, panel in enumerate(pairs):
            down, across = divmod(j, A_ROW)
            left, bottom = 0.8 + across * 5.95, height - (i * per_model + down + 1) * ROW_IN + 0.75
            ax = figure.add_axes((left / WIDTH_IN, bottom / height, 5.1 / WIDTH_IN, PANEL_IN / height))
            _panel(ax, of_model, style, panel, model if len(models) > 1 else "")
    _legend(figure.add_axes((0.8 / WIDTH_IN, 0.1 / height, 17.0 / WIDTH_IN, legend_in / height)), rows, style, columns)


class Style:
    """Number, colour (engine), marker (family of the variant) and size (batch) of each case.

    Args:
        rows: Every case of the figure.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.numbers = {row["case_id"]: i for i, row in enumerate(rows, start=1)}
        self.engines = _indexed(f"{row['engine']} {row['device']}" for row in rows)
        self.families = _indexed(_family(row) for row in rows)
        self.batches = _indexed(sorted({row["batch_size"] for row in rows}))
        self.names_models = len({row["model"] for row in rows}) > 1

    def of(self, row: Row) -> dict[str, Any]:
        """Keywords for `Axes.scatter`: hollow where the energy is invalid, pale where another case dominates it."""
        colour = COLOURS[self.engines[f"{row['engine']} {row['device']}"] % len(COLOURS)]
        hollow = row["valid"] is False
        return {
            "marker": MARKERS[self.families[_family(row)] % len(MARKERS)],
            "s": 48 + 42 * self.batches[row["batch_size"]],
            "facecolor": "none" if hollow else colour,
            "edgecolor": PALE if hollow else "white",
            "linewidth": 1.4 if hollow else 0.6,
            "alpha": 0.45 if row["dominated"] else 0.95,
        }


def _indexed(values: Any) -> dict[Any, int]:
    return {value: i for i, value in enumerate(dict.fromkeys(values))}


def _family(row: Row) -> str:
    """`prune+int8` of `prune(final_sparsity=0.9)+int8`."""
    return "+".join(step.split("(")[0] for step in row["variant"].split("+"))


# --- a panel ---------------------------------------------------------------------------------------------------------


def _panel(ax: Axes, rows: Sequence[Row], style: Style, axes: tuple[Axis, Axis], model: str) -> None:
    x, y = axes
    shown = [row for row in rows if row[x.column] is not None and row[y.column] is not None]
    scales = [Scale((row[axis.column] for row in shown), axis.unit) if axis.unit else None for axis in axes]
    title = f"{x.name.split(' per ')[0]} and {y.name.split(' per ')[0]}" + (f": {model}" if model else "")
    ax.set_title(_shortened(plain(title), TITLE), loc="left", fontsize=12, pad=34, parse_math=False)
    ax.text(0, 1.02, _caption(rows, shown, style), transform=ax.transAxes, fontsize=8.5, color="#444444", va="bottom", parse_math=False)
    if not shown:
        ax.text(0.5, 0.5, f"no case has both {x.name} and {y.name}", transform=ax.transAxes, ha="center", color=INK)
        ax.set_axis_off()
        return
    points = np.array([[_scaled(row[axis.column], scale) for axis, scale in zip(axes, scales, strict=True)] for row in shown])
    ax.set_xlabel(plain(_axis_label(x, scales[0], shown)), parse_math=False)
    ax.set_ylabel(plain(_axis_label(y, scales[1], shown)), parse_math=False)
    ax.set(**{f"{name}scale": _axis_scale(axis, points[:, k]) for k, (name, axis) in enumerate(zip("xy", axes, strict=True))})
    for row, point in zip(shown, points, strict=True):
        _error_bars(ax, row, point, list(zip(axes, scales, strict=True)))
        ax.scatter(*point, zorder=3, **style.of(row))
    _bands(ax, shown, points)
    _fronts(ax, shown, points, x, y)
    _limits(ax, shown, axes, scales, points)
    ax.grid(True, color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    _plain_ticks(ax)
    _share_ticks(ax, shown, axes)
    _label(ax, [str(style.numbers[row["case_id"]]) for row in shown], points)


def _shortened(text: str, most: int) -> str:
    """With its middle left out where it is longer: names of one family often differ at their ends."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"


def _caption(rows: Sequence[Row], shown: Sequence[Row], style: Style) -> str:
    """Where the joules come from, and who is missing, and why."""
    missing: dict[str, list[int]] = {}
    for row in rows:
        if row not in shown:
            why = row["status"] if row["status"] != "ok" else "energy invalid" if row["valid"] is False else "not measured"
            missing.setdefault(why, []).append(style.numbers[row["case_id"]])
    gone = ", ".join(f"{' '.join(map(str, numbers[:12]))}{' …' if len(numbers) > 12 else ''} ({why})" for why, numbers in missing.items())
    return plain(provenance(rows)) + (f"\nnot shown: {gone}" if gone else "")


def _axis_scale(axis: Axis, values: np.ndarray) -> str:
    """Logarithmic where the cases spread over more than a factor of four."""
    return "log" if axis.unit and values.min() > 0 and values.max() / values.min() > 4 else "linear"


def _axis_label(axis: Axis, scale: Scale | None, shown: Sequence[Row]) -> str:
    if scale:
        return f"{axis.name}, {scale.unit}"
    if axis is not QUALITY:
        return axis.name
    metric, direction = (next((row[name] for row in shown if row[name]), "") for name in ("quality_metric", "quality_direction"))
    return f"{metric} ({direction} is better)"


def _scaled(value: float, scale: Scale | None) -> float:
    return value / scale.factor if scale else value


def _error_bars(ax: Axes, row: Row, point: np.ndarray, axes: Sequence[tuple[Axis, Scale | None]]) -> None:
    """95 % over launches for energy and latency, over test samples for quality."""
    spans: list[Any] = []
    for (axis, scale), value in zip(axes, point, strict=True):
        low, high = row.get(axis.low), row.get(axis.high)
        if low is None or high is None:
            spans.append(None)
            continue
        spans.append([[max(0.0, value - _scaled(low, scale))], [max(0.0, _scaled(high, scale) - value)]])
    ax.errorbar(point[0], point[1], xerr=spans[0], yerr=spans[1], fmt="none", ecolor="#b0b0b0", elinewidth=0.9, capsize=1.5, zorder=2)


def _fronts(ax: Axes, rows: Sequence[Row], points: np.ndarray, x: Axis, y: Axis) -> None:
    """The front of each kind of evidence: solid between points whose intervals over launches do not overlap, else dashed."""
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if row["valid"] is not False:
            groups.setdefault(evidence(row["energy_kind"]), []).append(i)
    higher = rows[0]["quality_direction"] == "higher"
    sign = [-1.0 if axis.more or (axis is QUALITY and higher) else 1.0 for axis in (x, y)]
    for members in groups.values():
        on = [members[i] for i in np.flatnonzero(front(points[members] * sign))]
        on.sort(key=lambda i: points[i, 0])
        for a, b in pairwise(on):
            solid = all(_apart(rows[a], rows[b], axis) for axis in (x, y))
            ax.plot(*points[[a, b]].T, color=INK, linewidth=1.2, linestyle="-" if solid else (0, (4, 3)), zorder=1)


def _bands(ax: Axes, rows: Sequence[Row], points: np.ndarray) -> None:
    """A broad pale band through the cases of each group that the launches do not separate."""
    members: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        if row["front_group"] is not None:
            members.setdefault(row["front_group"], []).append(i)
    for number_, group in members.items():
        ends = points[sorted(group, key=lambda i: tuple(points[i]))]
        ax.plot(
            *ends.T,
            color=BANDS[number_ % len(BANDS)],
            linewidth=19,
            alpha=0.45,
            solid_capstyle="round",
            solid_joinstyle="round",
            zorder=0.5,
        )


def _apart(a: Row, b: Row, axis: Axis) -> bool:
    """Whether two cases differ in more than the scatter of launches; the quality of both is on the same samples."""
    if axis is QUALITY:
        return bool(a["quality"] != b["quality"])
    if axis.low not in a:
        return bool(a[axis.column] != b[axis.column])
    bounds = (a[axis.low], a[axis.high], b[axis.low], b[axis.high])
    return None not in bounds and (bounds[1] < bounds[2] or bounds[3] < bounds[0])


def _limits(ax: Axes, rows: Sequence[Row], axes: tuple[Axis, Axis], scales: Sequence[Scale | None], points: np.ndarray) -> None:
    """Room for every point and, up to a third beyond them, for the bars: one wide interval must not press all points together."""
    for k, (name, axis, scale) in enumerate(zip("xy", axes, scales, strict=True)):
        log = getattr(ax, f"get_{name}scale")() == "log"
        go, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
        bounds = [_scaled(float(row[bound]), scale) for row in rows for bound in (axis.low, axis.high) if row.get(bound) is not None]
        place = go(points[:, k])
        ends = go(np.array([b for b in bounds if b > 0 or not log] + [*points[:, k]]))
        spread = float(np.ptp(place)) or float(np.ptp(ends)) or abs(float(place[0])) * 0.1 or 1.0
        low, high = max(ends.min(), place.min() - spread / 3), min(ends.max(), place.max() + spread / 3)
        getattr(ax, f"set_{name}lim")(*back(np.array([low - 0.08 * spread, high + 0.08 * spread])))


FEW_DECADES = 10**2.5
"""From this ratio of an axis's ends on 2 and 5 would run into the decades' numbers."""


def _plain_ticks(ax: Axes) -> None:
    """Numbers as people write them on a logarithmic axis, with 2 and 5 between the decades where there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < FEW_DECADES else (1.0,)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def _share_ticks(ax: Axes, rows: Sequence[Row], axes: tuple[Axis, Axis]) -> None:
    """No number above 1 beside a quality that cannot be above 1."""
    for axis, quantity in zip((ax.xaxis, ax.yaxis), axes, strict=True):
        if quantity is QUALITY and all(row["quality_metric"] in SHARES for row in rows):
            low, high = axis.get_view_interval()
            axis.set_ticks([tick for tick in axis.get_majorticklocs() if low <= tick <= min(high, 1.0 + ROUNDING)])


def _label(ax: Axes, texts: Sequence[str], points: np.ndarray) -> None:
    """The number of each case beside its point, where it hides neither a point nor another number."""
    import textalloc

    x, y = points.T
    textalloc.allocate(
        ax, x, y, list(texts), x_scatter=x, y_scatter=y, textsize=9 if len(texts) <= 24 else 7.5, textcolor=INK, linecolor=PALE,
        linewidth=0.6, margin=0.011, min_distance=0.018, max_distance=0.3, nbr_candidates=800, zorder=4,
    )  # fmt: skip


# --- the legend ------------------------------------------------------------------------------------------------------


def _legend_text(row: Row, names_model: bool) -> str:
    """`digits-cnn · dense · litert cpu · batch 32 · offline`, and what is wrong with it."""
    said = remarks(row) if row["status"] != "ok" or row["valid"] is False else ""
    text = f"{row['model']} · " if names_model else ""
    text += f"{row['variant']} · {engine_text(row)} {row['device']} · batch {row['batch_size']}"
    text += "" if row["threads"] == 1 else f" · {row['threads']} threads"
    text += "" if row["scenario"] == "single_stream" else f" · {row['scenario']}"
    return _shortened(plain(text) + (f" — {plain(said)[:70]}" if said else ""), NAME)


def _legend_shape(rows: Sequence[Row], style: Style) -> tuple[int, int]:
    """(lines, columns) that hold every name."""
    longest = max((len(_legend_text(row, style.names_models)) for row in rows), default=0)
    columns = 3 if longest <= 80 else 2 if longest <= 130 else 1
    return -(-len(rows) // columns), columns


def _legend(ax: Axes, rows: Sequence[Row], style: Style, columns: int) -> None:
    """Every case: its number, its marker, its name."""
    lines = max(1, -(-len(rows) // columns))
    ax.set(xlim=(0, columns), ylim=(lines + 1, -1))
    ax.set_axis_off()
    ax.text(
        0.0, -0.6, "bars: 95 % over launches, quality over test samples · line: front of the estimates, solid between cases that the launches separate"
        " · band: not separated in any objective · pale: dominated · hollow: energy invalid", fontsize=9, color="#444444",
    )  # fmt: skip
    for i, row in enumerate(rows):
        x, y = divmod(i, lines)
        ax.text(x + 0.03, y + 0.5, str(style.numbers[row["case_id"]]), fontsize=9, ha="right", va="center", weight="bold", color=INK)
        ax.scatter(x + 0.05, y + 0.5, **{**style.of(row), "s": min(70, style.of(row)["s"])})
        ax.text(x + 0.07, y + 0.5, _legend_text(row, style.names_models), fontsize=9, va="center", color=INK, parse_math=False)


def alt_text(frame: pd.DataFrame, objectives: Sequence[Objective] = OBJECTIVES) -> str:
    """What the figure shows, for who cannot see it."""
    rows = rows_of(frame)
    sure = [row for row in rows if row["p_front"] is not None and row["p_front"] >= 0.95]
    named = "; ".join(
        f"{row['variant']} on {engine_text(row)}, batch {row['batch_size']}, energy {number(row['energy_j'])} J" for row in sure
    )
    return plain(
        f"{COUNTS.get(len(panels(objectives)), len(panels(objectives)))} scatter plots of {len(rows)} cases. {provenance(rows)}. On the front: {named or 'no case for certain'}. The table holds every figure."
    )
