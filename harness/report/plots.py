"""Figure of a run: one panel per pair of objectives, with every case numbered and listed in the legend."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.frame.rows import Row, rows_of
from harness.frame.settings import is_text, lengths_text, setting_text
from harness.report.cells import case_text, remarks
from harness.report.panel import INK, SOFT, Axis, Style, axis_of, draw_panel, shortened
from harness.report.tables import provenance
from harness.report.words import words_of
from harness.schema import OBJECTIVES, Objective
from harness.text import engine_text, number, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, DPI = 18.0, 100
LEGEND_LINE_IN, PANEL_IN, ROW_IN = 0.21, 4.2, 5.75
PER_ROW = 3
"""Number of panels side by side."""
NAME = 180
"""Maximum number of characters of a line in the legend."""
COUNTS = {1: "One", 3: "Three", 6: "Six"}
KEY = (
    "bars: 95 % over launches, quality over test samples · line: front of the point estimates, solid between separated cases"
    " · band: not separated in any objective · pale: dominated · hollow: energy invalid"
)


def panels(objectives: Sequence[Objective] = OBJECTIVES) -> list[tuple[Axis, Axis]]:
    """Axes (x, y) of each pair of objectives."""
    axes = list(map(axis_of, objectives))
    if list(objectives) == list(OBJECTIVES):
        energy, quality, latency = axes
        return [(energy, quality), (latency, quality), (latency, energy)]
    return [(axes[i], axes[j]) for j in range(len(axes)) for i in range(j)]


def draw(frame: pd.DataFrame, objectives: Sequence[Objective] = OBJECTIVES) -> dict[str, bytes]:
    """The figure as `png` and as `svg`, in which text stays text."""
    rows = rows_of(frame)
    return figure_files(lambda figure: _compose(figure, rows, panels(objectives)), WIDTH_IN)


def figure_files(compose: Callable[[Figure], None], width_in: float) -> dict[str, bytes]:
    """A figure as `png` and as `svg`; `compose` draws it and sets its height."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "harness",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The font may lack a model's script; the SVG still contains the text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width_in, 1.0), dpi=DPI, facecolor="white")
        compose(figure)
        return {form: _saved(figure, form) for form in ("png", "svg")}


def alt_text(frame: pd.DataFrame, objectives: Sequence[Objective] = OBJECTIVES) -> str:
    """Text alternative of the figure."""
    rows = rows_of(frame)
    sure = [row for row in rows if row["p_front"] is not None and row["p_front"] >= 0.95]
    names = [
        f"{row['variant']} on {engine_text(row)}, {setting_text(row)}, {words_of(row).energy} {number(row['energy_j'])} J" for row in sure
    ]
    count = len(panels(objectives))
    return plain(
        f"{COUNTS.get(count, count)} scatter plots of {len(rows)} cases. {provenance(rows)}. "
        f"On the front: {'; '.join(names) or 'no case with certainty'}. The table contains every figure."
    )


def _saved(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else {"Software": "harness"})
    return buffer.getvalue()


def _compose(figure: Figure, rows: Sequence[Row], pairs: Sequence[tuple[Axis, Axis]]) -> None:
    """Rows of panels for each group, with the legend below; positions in inches from the top."""
    groups = list(dict.fromkeys(map(_group, rows))) or [("", "")]
    models = list(dict.fromkeys(model for model, _ in groups))
    style = Style(rows)
    texts = [_legend_text(row, names_model=len(models) > 1) for row in rows]
    longest = max(map(len, texts), default=0)
    columns = 3 if longest <= 80 else 2 if longest <= 130 else 1
    legend_in = LEGEND_LINE_IN * (-(-len(rows) // columns) + 2)
    per_model = -(-len(pairs) // PER_ROW)
    height = len(groups) * per_model * ROW_IN + legend_in + 0.2
    figure.set_size_inches(WIDTH_IN, height)
    for i, group in enumerate(groups):
        of_group = [row for row in rows if _group(row) == group]
        title = " ".join(filter(None, (group[0] if len(models) > 1 else "", group[1] if len(groups) > len(models) else "")))
        for j, pair in enumerate(pairs):
            down, across = divmod(j, PER_ROW)
            left, bottom = 0.8 + across * 5.95, height - (i * per_model + down + 1) * ROW_IN + 0.75
            ax = figure.add_axes((left / WIDTH_IN, bottom / height, 5.1 / WIDTH_IN, PANEL_IN / height))
            draw_panel(ax, of_group, style, pair, title)
    ax = figure.add_axes((0.8 / WIDTH_IN, 0.1 / height, 17.0 / WIDTH_IN, legend_in / height))
    _legend(ax, rows, texts, style, columns)


def _group(row: Row) -> tuple[str, str]:
    """Cases that share panels: those of one model, of generated text with the same lengths."""
    return row["model"], lengths_text(row) if is_text(row) else ""


def _legend_text(row: Row, *, names_model: bool = False) -> str:
    """`digits-cnn · dense · litert cpu · batch 32 · offline`, and why it failed or is invalid."""
    parts = [row["model"], case_text(row)] if names_model else [case_text(row)]
    parts += [] if row["threads"] == 1 else [f"{row['threads']} threads"]
    parts += [] if row["scenario"] == "single_stream" or is_text(row) else [row["scenario"]]
    problem = remarks(row) if row["status"] != "ok" or row["valid"] is False else ""
    return shortened(plain(" · ".join(parts)) + (f" — {plain(problem)[:70]}" if problem else ""), NAME)


def _legend(ax: Axes, rows: Sequence[Row], texts: Sequence[str], style: Style, columns: int) -> None:
    """Number, marker and name of each case, below the key."""
    lines = max(1, -(-len(rows) // columns))
    ax.set(xlim=(0, columns), ylim=(lines + 1, -1))
    ax.set_axis_off()
    floor = " · dotted: dense against itself (noise floor)" if any(row["agreement_noise_floor"] is not None for row in rows) else ""
    ax.text(0.0, -0.6, KEY + floor, fontsize=9, color=SOFT)
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        x, y = divmod(i, lines)
        ax.text(x + 0.03, y + 0.5, style.label(row), fontsize=9, ha="right", va="center", weight="bold", color=INK)
        ax.scatter(x + 0.05, y + 0.5, **{**style.of(row), "s": min(70, style.of(row)["s"])})
        ax.text(x + 0.07, y + 0.5, text, fontsize=9, va="center", color=INK, parse_math=False)
