"""A panel of the figure."""

from __future__ import annotations

import matplotlib.figure
import numpy as np
import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import panel, plots
from tests.factories import case, record, stored


@pytest.mark.parametrize(("ends", "ticks"), [((10, 900), 3), ((50, 200_000), 1)])
def test_a_logarithmic_axis_has_as_many_numbers_as_there_is_room_for(ends, ticks):
    """Also 2 and 5 between the decades on a short axis, not on a long one."""
    ax = matplotlib.figure.Figure().subplots()
    ax.set(xscale="log", xlim=ends)
    panel._plain_ticks(ax)
    assert len([tick for tick in ax.xaxis.get_majorticklocs() if 100 <= tick < 1000]) == ticks


@pytest.mark.parametrize("worst", [0.0, 0.6, 0.97])
def test_an_accuracy_has_no_number_above_one(worst):
    """The axis extends beyond 1, so that a point at 1 is complete; 1 itself has a number."""
    cells = [case(), case("int8")]
    run = stored(cells, [record(cells[0], quality=1.0), record(cells[1], quality=worst)])
    drawn = matplotlib.figure.Figure(dpi=plots.DPI)
    plots._compose(drawn, rows_of(frame.cases([run])), plots.panels())
    drawn.canvas.draw()
    ax = drawn.axes[0]
    assert ax.get_ylim()[1] > 1.0
    assert max(ax.get_yticks()) == pytest.approx(1.0)


def test_a_front_is_solid_between_separated_cases():
    """Dashed if the intervals overlap in either axis; qualities are on the same samples."""
    launches = {"dense": (0.90, 1.0, 1.001, 0.999), "int8": (0.95, 2.0, 2.001, 1.999), "float16": (0.97, 2.5, 1.5, 3.5)}
    records = [
        record(case(variant), {"package": joules, "dram": 0.1}, quality=quality, repetition=k)
        for variant, (quality, *energies) in launches.items()
        for k, joules in enumerate(energies)
    ]
    rows = rows_of(frame.cases([stored(map(case, launches), records)]))
    ax = matplotlib.figure.Figure().subplots()
    points = np.array([[row["energy_j"], row["quality"]] for row in rows])
    panel._fronts(ax, rows, points, plots.panels()[0])
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]


def test_a_case_without_a_valid_energy_is_hollow_and_a_dominated_one_pale():
    """Each differs from a valid result."""
    (row,) = rows_of(frame.cases([stored([case()], [record(case())])]))
    style = panel.Style([row])
    sound, hollow, pale = (style.of({**row, **change}) for change in ({}, {"valid": False}, {"dominated": True}))
    assert sound["facecolor"] in panel.COLOURS
    assert hollow["facecolor"] == "none"
    assert pale["alpha"] < sound["alpha"]


def test_missing_cases_are_in_the_caption(figure):
    """By number and reason, in each panel."""
    captions = [next(t.get_text() for t in ax.texts if "Energy:" in t.get_text()) for ax in figure.axes[:-1]]
    assert all("12 (failed)" in text and "19 (refused)" in text for text in captions)
    assert ["4 (energy invalid)" in text for text in captions] == [True, False, True]


def test_a_narrow_axis_has_no_offset():
    """Numbers are complete, and few enough not to overlap."""
    ax = matplotlib.figure.Figure(figsize=(5.1, 4.2)).subplots()
    ax.set(xlim=(10.0006, 10.0007))
    panel._plain_ticks(ax)
    ax.figure.canvas.draw()
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    assert all(label.get_text().startswith("10.000") for label in labels) and not ax.xaxis.get_offset_text().get_text()
    boxes = [label.get_window_extent() for label in labels]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
