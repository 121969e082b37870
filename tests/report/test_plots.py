"""The figure: everything is on it or named as missing, and no label hides another."""

from __future__ import annotations

import re

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.transforms import Bbox

from harness import frame
from harness.frame.objectives import parse
from harness.report import plots
from tests.factories import COUNTERS, MODELLED, case, digits, record, stored


@pytest.fixture(scope="module")
def figure():
    """The default suite's figure, as it is saved."""
    table = frame.cases([digits()])
    drawn = matplotlib.figure.Figure(dpi=plots.DPI)
    plots._compose(drawn, plots.rows_of(table))
    drawn.canvas.draw()
    return drawn


def svg(run) -> str:
    return plots.draw(frame.cases([run]))["svg"].decode()


def test_no_number_hides_another_or_a_point(figure):
    """Of 19 cases, many of one quality: no two labels overlap, and none lies on a marker."""
    for ax in figure.axes[:-1]:
        labels = [t.get_window_extent() for t in ax.texts if t.get_text().isdigit()]
        assert len(labels) >= 16
        assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])
        for marker in (c for c in ax.collections if hasattr(c, "get_sizes") and len(c.get_offsets()) == 1):
            x, y = ax.transData.transform(marker.get_offsets()[0])
            r = 0.7 * marker.get_sizes()[0] ** 0.5 / 2 * plots.DPI / 72
            assert not any(label.overlaps(Bbox([[x - r, y - r], [x + r, y + r]])) for label in labels)


@pytest.mark.parametrize(("ends", "ticks"), [((10, 900), 3), ((50, 200_000), 1)])
def test_a_logarithmic_axis_has_as_many_numbers_as_there_is_room_for(ends, ticks):
    """2 and 5 between the decades on a short one, on a long one they would run into each other."""
    ax = matplotlib.figure.Figure().subplots()
    ax.set(xscale="log", xlim=ends)
    plots._plain_ticks(ax)
    assert len([tick for tick in ax.xaxis.get_majorticklocs() if 100 <= tick < 1000]) == ticks


@pytest.mark.parametrize("worst", [0.0, 0.6, 0.97])
def test_an_accuracy_has_no_number_above_one(worst):
    """Its axis reaches beyond 1, so that a point at 1 is whole; 1 itself is there."""
    cells = [case(), case("int8")]
    run = stored(cells, [record(cells[0], quality=1.0), record(cells[1], quality=worst)])
    drawn = matplotlib.figure.Figure(dpi=plots.DPI)
    plots._compose(drawn, plots.rows_of(frame.cases([run])))
    drawn.canvas.draw()
    ax = drawn.axes[0]
    assert ax.get_ylim()[1] > 1.0
    assert max(ax.get_yticks()) == pytest.approx(1.0)


def test_no_legend_line_runs_into_another(figure):
    """Names are as long as they are: the columns make room."""
    names = [t.get_window_extent() for t in figure.axes[-1].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(names) for b in names[:i])


def test_long_names_and_small_numbers_stay_in_their_panel():
    """Titles of two models whose names alike at the beginning, and what stands beside an axis, meet no other and leave no edge."""
    cells = [case(variant, model=f"mobilenet-v3-small-with-a-very-long-name-{k}") for k in (1, 2) for variant in ("dense", "int8")]
    records = [
        record(cell, latency_s=25e-6 * (1 + k), quality=1.21e-4 + 1e-7 * k, repetition=r) for k, cell in enumerate(cells) for r in range(3)
    ]
    objectives = parse(["energy", "quality", "throughput_per_s:max"])
    drawn = matplotlib.figure.Figure(figsize=(plots.WIDTH_IN, 1), dpi=plots.DPI)
    plots._compose(drawn, plots.rows_of(frame.cases([stored(cells, records)], objectives)), plots.panels(objectives))
    drawn.canvas.draw()
    texts = [t.get_window_extent() for ax in drawn.axes[:-1] for t in (ax.title, ax._left_title, ax.yaxis.label) if t.get_text()]
    assert len(texts) == 2 * 3 * 2
    assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
    axes = [ax.get_tightbbox() for ax in drawn.axes[:-1]]
    assert not any(a.overlaps(b) for i, a in enumerate(axes) for b in axes[:i])
    assert all(drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1 for box in axes)
    assert len({ax._left_title.get_text() for ax in drawn.axes[:-1]}) == 6
    legend = [t.get_text() for t in drawn.axes[-1].texts]
    assert sum("-name-2 · int8 · litert" in text for text in legend) == 1


def test_the_longest_name_stays_in_the_figure():
    """Its middle is left out of the legend, its end is not."""
    name = f"prune(final_sparsity=0.9)+{'x' * 300}+int8"
    drawn = matplotlib.figure.Figure(figsize=(plots.WIDTH_IN, 4), dpi=plots.DPI)
    rows = plots.rows_of(frame.cases([stored([case(name)], [record(case(name))])]))
    plots._legend(drawn.add_axes((0.05, 0.0, 0.9, 1.0)), rows, plots.Style(rows), 1)
    (said,) = (t for t in drawn.axes[0].texts if "prune" in t.get_text())
    assert "…" in said.get_text() and "+int8 · litert" in said.get_text()
    assert said.get_window_extent().x1 <= drawn.bbox.x1


def test_a_front_is_solid_where_the_launches_separate_its_cases():
    """Dashed between two whose intervals overlap, in whichever axis; the quality of both is on the same samples."""
    launches = {"dense": (0.90, 1.0, 1.001, 0.999), "int8": (0.95, 2.0, 2.001, 1.999), "float16": (0.97, 2.5, 1.5, 3.5)}
    records = [
        record(case(variant), {"package": joules, "dram": 0.1}, quality=quality, repetition=k)
        for variant, (quality, *energies) in launches.items()
        for k, joules in enumerate(energies)
    ]
    rows = plots.rows_of(frame.cases([stored(map(case, launches), records)]))
    ax = matplotlib.figure.Figure().subplots()
    points = np.array([[row["energy_j"], row["quality"]] for row in rows])
    plots._fronts(ax, rows, points, plots.ENERGY, plots.QUALITY)
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]


def test_a_case_without_a_valid_energy_is_hollow_and_a_dominated_one_pale():
    """Else a reader takes it for a result."""
    (row,) = plots.rows_of(frame.cases([stored([case()], [record(case())])]))
    style = plots.Style([row])
    sound, hollow, pale = (style.of({**row, **change}) for change in ({}, {"valid": False}, {"dominated": True}))
    assert sound["facecolor"] in plots.COLOURS
    assert hollow["facecolor"] == "none"
    assert pale["alpha"] < sound["alpha"]


def test_who_is_missing_is_told(figure):
    """By number and reason, in the caption of each panel."""
    captions = [next(t.get_text() for t in ax.texts if "Energy is" in t.get_text()) for ax in figure.axes[:-1]]
    assert all("12 (failed)" in text and "19 (refused)" in text for text in captions)
    assert ["4 (energy invalid)" in text for text in captions] == [True, False, True]


@pytest.mark.parametrize(("found", "kind"), [(MODELLED, "modelled"), (COUNTERS, "counter")])
def test_every_variant_and_the_kind_are_text_in_the_svg(found, kind):
    """Not paths: they can be searched and read aloud."""
    cases = [case(variant) for variant in ("dense", "prune(final_sparsity=0.9)+int8", "float16")]
    text = svg(stored(cases, [record(c, found=found) for c in cases], found))
    assert [c.variant for c in cases if c.variant not in text] == []
    assert text.count(f"{kind}: package+dram") == 3


def test_a_simulated_energy_says_so():
    """On each of the three panels."""
    one = record(case())
    fake = one.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "simulated"}) for m in one.measurements)})
    assert svg(stored([case()], [fake])).count("Energy is simulated") == 3


def test_the_png_is_wide():
    """At least 1,600 pixels; the signature is a PNG's."""
    png = plots.draw(frame.cases([stored([case()], [record(case())])]))["png"]
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") >= 1600


def test_nothing_to_draw_is_said():
    """All failed, no quality, or no case at all: a figure that says so, not an error."""
    lost = record(case(), {}, status="failed", reason="no", latency=None, quality=None)
    assert svg(stored([case()], [lost])).count("no case has both") == 3
    assert svg(stored([case()], [record(case(), quality=None)])).count("no case has both") == 2
    assert svg(stored([case()], [])).count("no case has both") == 3


def test_text_of_strangers_is_text():
    """No mathematics, no tag, no character that XML forbids; a script that the font lacks is no error."""
    hostile = case("$x_2$ <b>&\x01日本")
    text = svg(stored([hostile], [record(hostile)]))
    assert "$x_2$ &lt;b&gt;&amp; 日本" in text
    assert not re.search("[\x00-\x08]", text)


def test_the_figure_is_the_same_each_time():
    """No date, no random identifier: a redrawn report does not differ for nothing."""
    run = stored([case()], [record(case())])
    assert svg(run) == svg(run)
