"""One panel of the figure: a scatter plot of two quantities with intervals, fronts and numbered cases."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.pareto import front
from harness.frame.rows import Row
from harness.frame.settings import by_unit, concurrency_text, is_text, timing_of
from harness.report.tables import provenance
from harness.schema import Objective, evidence
from harness.text import Scale, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito, Color Universal Design (2008), without the yellow, which is not visible on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "p", "<", ">", "h", "X", "P", "*")
BANDS = ("#F0E442", "#56B4E9", "#CC79A7", "#BBBBBB")
INK, SOFT, PALE = "#222222", "#444444", "#999999"
UNITS = {"_j": "J", "_bytes": "B", "_g": "g", "_w": "W", "_per_s": "/s", "_s": "s"}
NAMES = {"energy_j": "energy per inference", "latency_p50_s": "latency p50 per query"}
NAMES_OF_TEXT = {"energy_j": "energy per output token", "latency_p50_s": "TPOT p50", "throughput_per_s": "output tokens per second"}
"""Labels of axes where the unit is an output token; those of `NAMES` where it is an inference."""
SHARES = ("accuracy", "agreement", "reconstruction_auc")
"""Metrics with a maximum of 1, above which their axis has no number."""
ROUNDING = 1e-9
"""Tolerance for ticks, which are multiples of a step: 5 x 0.2 is above 1."""
FEW_DECADES = 10**2.5
"""Ratio of an axis's ends from which numbers at 2 and 5 would overlap those of the decades."""
NARROW = 1e3
"""Ratio of an axis's values to its range from which its numbers are so long that fewer have room."""
TITLE = 52
"""Maximum number of characters of a title."""


@dataclass(frozen=True)
class Axis:
    """Quantity on an axis.

    Attributes:
        name: Label.
        column: Column of `cases`.
        low: Column of its lower bound.
        high: Column of its upper bound.
        unit: SI unit; empty for a quality or a count.
        more: Whether higher is better; for a quality its metric decides.
    """

    name: str
    column: str
    low: str
    high: str
    unit: str
    more: bool

    @property
    def is_quality(self) -> bool:
        """Whether the quantity is the quality."""
        return self.column == "quality"


def axis_of(objective: Objective) -> Axis:
    """Axis of an objective, with the unit from the end of its column's name."""
    column = objective.column
    end, unit = next(((end, unit) for end, unit in UNITS.items() if column.endswith(end)), ("", ""))
    stem = column.removesuffix(end)
    return Axis(
        NAMES.get(column, stem.replace("_", " ")), column, f"{stem}_low{end}", f"{stem}_high{end}", unit, objective.direction == "max"
    )


class Style:
    """Label, colour, marker and size of each case.

    A number, with colours by engine, markers by family of the variant and sizes by batch; of generated text its concurrency, with colours by variant,
    markers by engine and sizes by concurrency.

    Args:
        rows: All cases of the figure.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        queries, text = by_unit(rows)
        self.numbers = {row["case_id"]: i for i, row in enumerate(queries, start=1)}
        self.engines = _indexed(f"{row['engine']} {row['device']}" for row in rows)
        self.families = _indexed(_family(row) for row in rows)
        self.variants = _indexed(row["variant"] for row in text)
        self.batches = _indexed(sorted({row["batch_size"] for row in queries}))
        self.loads = _indexed(sorted({_intensity(row) for row in text}))

    def label(self, row: Row) -> str:
        """Text next to the point: `7`, or `c4`."""
        return concurrency_text(row) if is_text(row) else str(self.numbers[row["case_id"]])

    def name(self, row: Row) -> str:
        """Text that identifies the case within its panel: `7`, or `q8_0 c4`."""
        return f"{row['variant']} {concurrency_text(row)}" if is_text(row) else self.label(row)

    def of(self, row: Row) -> dict[str, Any]:
        """Keywords for `Axes.scatter`: hollow if the energy is invalid, pale if the case is dominated."""
        engine = self.engines[f"{row['engine']} {row['device']}"]
        colour, marker = (self.variants[row["variant"]], engine) if is_text(row) else (engine, self.families[_family(row)])
        step = self.loads[_intensity(row)] if is_text(row) else self.batches[row["batch_size"]]
        hollow = row["valid"] is False
        return {
            "marker": MARKERS[marker % len(MARKERS)],
            "s": 48 + 42 * step,
            "facecolor": "none" if hollow else COLOURS[colour % len(COLOURS)],
            "edgecolor": PALE if hollow else "white",
            "linewidth": 1.4 if hollow else 0.6,
            "alpha": 0.45 if row["dominated"] else 0.95,
        }


def _indexed(values: Iterable[Hashable]) -> dict[Any, int]:
    return {value: i for i, value in enumerate(dict.fromkeys(values))}


def _family(row: Row) -> str:
    """`prune+int8` of `prune(final_sparsity=0.9)+int8`."""
    return "+".join(step.split("(")[0] for step in row["variant"].split("+"))


def _intensity(row: Row) -> float:
    """Requests in progress, or arrivals per second."""
    return float(row["rate_asked_per_s"] if row["concurrency_asked"] is None else row["concurrency_asked"])


def draw_panel(ax: Axes, rows: Sequence[Row], style: Style, axes: tuple[Axis, Axis], model: str) -> None:
    """Draw the cases of one model, of generated text of one model and one pair of lengths."""
    if rows and is_text(rows[0]):
        axes = (_of_text(axes[0]), _of_text(axes[1]))
    x, y = axes
    present = on_both(rows, axes)
    title = f"{x.name.split(' per ')[0]} and {y.name.split(' per ')[0]}" + (f": {model}" if model else "")
    ax.set_title(shortened(plain(title), TITLE), loc="left", fontsize=12, pad=34, parse_math=False)
    ax.text(0, 1.02, _caption(rows, present, style), transform=ax.transAxes, fontsize=8.5, color=SOFT, va="bottom", parse_math=False)
    if not present:
        ax.text(0.5, 0.5, f"no case has both {x.name} and {y.name}", transform=ax.transAxes, ha="center", color=INK)
        ax.set_axis_off()
        return
    points = draw_points(ax, present, axes, style.of)
    _noise_floor(ax, present, y)
    _bands(ax, present, points)
    _fronts(ax, present, points, axes)
    _share_ticks(ax, present, axes)
    number_points(ax, [style.label(row) for row in present], points)


def on_both(rows: Sequence[Row], axes: tuple[Axis, Axis]) -> list[Row]:
    """The rows that have both quantities."""
    return [row for row in rows if all(row[axis.column] is not None for axis in axes)]


def draw_points(
    ax: Axes, present: Sequence[Row], axes: tuple[Axis, Axis], marker: Callable[[Row], dict[str, Any]], beyond: float = 1 / 3
) -> np.ndarray:
    """Draw a marker with its 95 % intervals for each row, and label and scale both axes; the positions, shape (n, 2).

    Args:
        ax: Where to draw.
        present: Rows with both quantities, at least one.
        axes: The quantities.
        marker: Keywords of a row for `Axes.scatter`.
        beyond: Part of the points' range up to which intervals beyond the points are shown; infinity: whole.
    """
    scales = tuple(Scale((row[axis.column] for row in present), axis.unit) if axis.unit else None for axis in axes)
    points = np.array([[_scaled(row[axis.column], scale) for axis, scale in zip(axes, scales, strict=True)] for row in present])
    for k, (name, axis, scale) in enumerate(zip("xy", axes, scales, strict=True)):
        getattr(ax, f"set_{name}label")(plain(_label(axis, scale, present)), parse_math=False)
        low, high = points[:, k].min(), points[:, k].max()
        getattr(ax, f"set_{name}scale")("log" if axis.unit and low > 0 and high / low > 4 else "linear")
    for row, point in zip(present, points, strict=True):
        spans = [_span(axis, scale, row, value) for axis, scale, value in zip(axes, scales, point, strict=True)]
        ax.errorbar(point[0], point[1], xerr=spans[0], yerr=spans[1], fmt="none", ecolor="#b0b0b0", elinewidth=0.9, capsize=1.5, zorder=2)
        ax.scatter(*point, zorder=3, **marker(row))
    _limits(ax, present, axes, scales, points, beyond)
    ax.grid(True, color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    _plain_ticks(ax)
    return points


def _of_text(axis: Axis) -> Axis:
    return replace(axis, name=NAMES_OF_TEXT.get(axis.column, axis.name))


def shortened(text: str, most: int) -> str:
    """Text without its middle if it is longer, since names of one family often differ at their ends."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"


def _caption(rows: Sequence[Row], present: Sequence[Row], style: Style) -> str:
    """Kinds and domains of the energies, and the cases that are not in the panel with the reason."""
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row not in present:
            why = row["status"] if row["status"] != "ok" else "energy invalid" if row["valid"] is False else "not measured"
            missing.setdefault(why, []).append(style.name(row))
    between = ", " if rows and is_text(rows[0]) else " "
    parts = ", ".join(f"{between.join(names[:12])}{' …' if len(names) > 12 else ''} ({why})" for why, names in missing.items())
    return plain(provenance(rows)) + (f"\nnot shown: {parts}" if parts else "")


def _label(axis: Axis, scale: Scale | None, rows: Sequence[Row]) -> str:
    if scale:
        return f"{axis.name}, {scale.unit}"
    if not axis.is_quality:
        return axis.name
    metric, direction = (next((row[name] for row in rows if row[name]), "") for name in ("quality_metric", "quality_direction"))
    return f"{metric} ({direction} is better)"


def _scaled(value: float, scale: Scale | None) -> float:
    return value / scale.factor if scale else value


def _span(axis: Axis, scale: Scale | None, row: Row, value: float) -> list[list[float]] | None:
    """Lengths of an error bar, 95 % over launches, of a quality over test samples."""
    low, high = row.get(axis.low), row.get(axis.high)
    if low is None or high is None:
        return None
    return [[max(0.0, value - _scaled(low, scale))], [max(0.0, _scaled(high, scale) - value)]]


def _noise_floor(ax: Axes, rows: Sequence[Row], axis: Axis) -> None:
    """A dotted line at the lowest agreement of dense with itself: what is above it is not a difference."""
    floors = [
        row["agreement_noise_floor"] for row in rows if row["quality_metric"] == "agreement" and row["agreement_noise_floor"] is not None
    ]
    if axis.is_quality and floors:
        ax.axhline(min(floors), color=SOFT, linewidth=0.9, linestyle=":", zorder=1)


def _fronts(ax: Axes, rows: Sequence[Row], points: np.ndarray, axes: tuple[Axis, Axis]) -> None:
    """Front of each kind of evidence and of each way to time a case, solid between points whose intervals over launches do not overlap, otherwise dashed."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, row in enumerate(rows):
        if row["valid"] is not False:
            groups.setdefault((evidence(row["energy_kind"]), timing_of(row)), []).append(i)
    higher = rows[0]["quality_direction"] == "higher"
    sign = [-1.0 if axis.more or (axis.is_quality and higher) else 1.0 for axis in axes]
    for members in groups.values():
        on = [members[i] for i in np.flatnonzero(front(points[members] * sign))]
        for a, b in pairwise(sorted(on, key=lambda i: points[i, 0])):
            solid = all(_apart(rows[a], rows[b], axis) for axis in axes)
            ax.plot(*points[[a, b]].T, color=INK, linewidth=1.2, linestyle="-" if solid else (0, (4, 3)), zorder=1)


def _bands(ax: Axes, rows: Sequence[Row], points: np.ndarray) -> None:
    """A broad pale band through the cases of each group that is not separated."""
    groups: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        if row["front_group"] is not None:
            groups.setdefault(row["front_group"], []).append(i)
    for k, members in groups.items():
        ends = points[sorted(members, key=lambda i: tuple(points[i]))]
        ax.plot(
            *ends.T, color=BANDS[k % len(BANDS)], linewidth=19, alpha=0.45, solid_capstyle="round", solid_joinstyle="round", zorder=0.5
        )  # fmt: skip


def _apart(a: Row, b: Row, axis: Axis) -> bool:
    """Whether two cases differ by more than the scatter of launches; qualities are on the same samples."""
    if axis.is_quality or axis.low not in a:
        return bool(a[axis.column] != b[axis.column])
    bounds = (a[axis.low], a[axis.high], b[axis.low], b[axis.high])
    return None not in bounds and (bounds[1] < bounds[2] or bounds[3] < bounds[0])


def _limits(
    ax: Axes, rows: Sequence[Row], axes: tuple[Axis, Axis], scales: Sequence[Scale | None], points: np.ndarray, beyond: float
) -> None:
    """Set limits that show every point, and the error bars up to some part beyond, so that one wide interval does not compress the rest."""
    for k, (name, axis, scale) in enumerate(zip("xy", axes, scales, strict=True)):
        log = getattr(ax, f"get_{name}scale")() == "log"
        go, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
        bounds = [_scaled(float(row[bound]), scale) for row in rows for bound in (axis.low, axis.high) if row.get(bound) is not None]
        place = go(points[:, k])
        ends = go(np.array([b for b in bounds if b > 0 or not log] + [*points[:, k]]))
        spread = float(np.ptp(place)) or float(np.ptp(ends)) or abs(float(place[0])) * 0.1 or 1.0
        low, high = max(ends.min(), place.min() - beyond * spread), min(ends.max(), place.max() + beyond * spread)
        margin = 0.08 * max(spread, 0.0 if beyond < 1 else high - low)
        getattr(ax, f"set_{name}lim")(*back(np.array([low - margin, high + margin])))


def _plain_ticks(ax: Axes) -> None:
    """Plain numbers: on a linear axis without an offset, on a logarithmic one with 2 and 5 between the decades if there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "linear":
            low, high = axis.get_view_interval()
            axis.set_major_formatter(ScalarFormatter(useOffset=False))
            if max(abs(low), abs(high)) > NARROW * (high - low):
                axis.set_major_locator(MaxNLocator(4))
        else:
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < FEW_DECADES else (1.0,)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def _share_ticks(ax: Axes, rows: Sequence[Row], axes: tuple[Axis, Axis]) -> None:
    """No number above 1 for a quality that cannot exceed 1."""
    for axis, quantity in zip((ax.xaxis, ax.yaxis), axes, strict=True):
        if quantity.is_quality and all(row["quality_metric"] in SHARES for row in rows):
            low, high = axis.get_view_interval()
            axis.set_ticks([tick for tick in axis.get_majorticklocs() if low <= tick <= min(high, 1.0 + ROUNDING)])


def number_points(ax: Axes, texts: Sequence[str], points: np.ndarray, lines: Sequence[np.ndarray] = ()) -> None:
    """A text next to each point, without hiding a point, another text or a line through points of shape (2, n)."""
    import textalloc

    x, y = points.T
    crossed = {"x_lines": [line[0] for line in lines], "y_lines": [line[1] for line in lines]} if lines else {}
    textalloc.allocate(
        ax, x, y, list(texts), x_scatter=x, y_scatter=y, **crossed, textsize=9 if len(texts) <= 24 else 7.5, textcolor=INK, linecolor=PALE,
        linewidth=0.6, margin=0.011, min_distance=0.018, max_distance=0.3, nbr_candidates=800, zorder=4,
    )  # fmt: skip
