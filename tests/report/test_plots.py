"""The figure: every case is on it or listed as missing, and no label hides another."""

from __future__ import annotations

import re

import matplotlib.figure
import pytest
from matplotlib.transforms import Bbox

from harness import frame
from harness.frame.objectives import parse
from harness.frame.rows import rows_of
from harness.report import panel, plots
from harness.report.panel import Style
from tests import generating
from tests.factories import COUNTERS, MODELLED, case, record, stored


def svg(run) -> str:
    return plots.draw(frame.cases([run]))["svg"].decode()


def test_no_number_hides_another_or_a_point(figure):
    """Of 19 cases, many of one quality: no two labels overlap, and none overlaps a marker."""
    for ax in figure.axes[:-1]:
        labels = [t.get_window_extent() for t in ax.texts if t.get_text().isdigit()]
        assert len(labels) >= 16
        assert not any(a.overlaps(b) for i, a in enumerate(labels) for b in labels[:i])
        for marker in (c for c in ax.collections if hasattr(c, "get_sizes") and len(c.get_offsets()) == 1):
            x, y = ax.transData.transform(marker.get_offsets()[0])
            r = 0.7 * marker.get_sizes()[0] ** 0.5 / 2 * plots.DPI / 72
            assert not any(label.overlaps(Bbox([[x - r, y - r], [x + r, y + r]])) for label in labels)


def test_no_legend_line_runs_into_another(figure):
    """Long names get fewer columns."""
    names = [t.get_window_extent() for t in figure.axes[-1].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(names) for b in names[:i])


def test_long_names_and_small_numbers_stay_in_their_panel():
    """Titles of models with similar names and labels of axes overlap nothing and stay in the figure."""
    cells = [case(variant, model=f"mobilenet-v3-small-with-a-very-long-name-{k}") for k in (1, 2) for variant in ("dense", "int8")]
    records = [
        record(cell, latency_s=25e-6 * (1 + k), quality=1.21e-4 + 1e-7 * k, repetition=r) for k, cell in enumerate(cells) for r in range(3)
    ]
    objectives = parse(["energy", "quality", "throughput_per_s:max"])
    drawn = matplotlib.figure.Figure(figsize=(plots.WIDTH_IN, 1), dpi=plots.DPI)
    plots._compose(drawn, rows_of(frame.cases([stored(cells, records)], objectives)), plots.panels(objectives))
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
    """Without its middle, with its end."""
    name = f"prune(final_sparsity=0.9)+{'x' * 300}+int8"
    drawn = matplotlib.figure.Figure(figsize=(plots.WIDTH_IN, 4), dpi=plots.DPI)
    rows = rows_of(frame.cases([stored([case(name)], [record(case(name))])]))
    texts = [plots._legend_text(row) for row in rows]
    plots._legend(drawn.add_axes((0.05, 0.0, 0.9, 1.0)), rows, texts, panel.Style(rows), 1)
    (text,) = (t for t in drawn.axes[0].texts if "prune" in t.get_text())
    assert "…" in text.get_text() and "+int8 · litert" in text.get_text()
    assert text.get_window_extent().x1 <= drawn.bbox.x1


@pytest.mark.parametrize(("found", "kind"), [(MODELLED, "modelled"), (COUNTERS, "counter")])
def test_every_variant_and_the_kind_are_text_in_the_svg(found, kind):
    """Not paths, so that they can be searched and read aloud."""
    cases = [case(variant) for variant in ("dense", "prune(final_sparsity=0.9)+int8", "float16")]
    text = svg(stored(cases, [record(c, found=found) for c in cases], found))
    assert [c.variant for c in cases if c.variant not in text] == []
    assert text.count(f"{kind} (package+dram)") == 3


def test_a_simulated_energy_is_marked():
    """On each of the three panels."""
    one = record(case())
    fake = one.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "simulated"}) for m in one.measurements)})
    assert svg(stored([case()], [fake])).count("Energy: simulated") == 3


def test_the_png_is_wide():
    """At least 1,600 pixels; the signature is a PNG's."""
    png = plots.draw(frame.cases([stored([case()], [record(case())])]))["png"]
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") >= 1600


def test_a_panel_without_cases_has_a_message():
    """All failed, no quality, or no case at all."""
    lost = record(case(), {}, status="failed", reason="no", latency=None, quality=None)
    assert svg(stored([case()], [lost])).count("no case has both") == 3
    assert svg(stored([case()], [record(case(), quality=None)])).count("no case has both") == 2
    assert svg(stored([case()], [])).count("no case has both") == 3


def test_markup_in_names_is_text():
    """No mathematics, no tag, no character that XML does not allow; a script that the font lacks is not an error."""
    hostile = case("$x_2$ <b>&\x01日本")
    text = svg(stored([hostile], [record(hostile)]))
    assert "$x_2$ &lt;b&gt;&amp; 日本" in text
    assert not re.search("[\x00-\x08]", text)


def test_the_figure_is_the_same_each_time():
    """No date and no random identifier."""
    run = stored([case()], [record(case())])
    assert svg(run) == svg(run)


def test_generated_text_is_labelled_by_its_concurrency():
    """`c4` next to each point, axes in tokens, colours by variant, a row of panels for each pair of lengths."""
    run = generating.sweep(("dense", "q8_0"), (generating.LOAD, *generating.PREFILL_AND_DECODE[1:]))
    table = frame.cases([run])
    text = plots.draw(table)["svg"].decode()
    for part in ("energy per output token", "TPOT p50", "c4", "in16/out256", "q8_0 · openai-server cpu · c4/in16/out48", "noise floor"):
        assert part in text
    assert "inference" not in text and "batch" not in text
    assert "c4/in16/out48" in plots.alt_text(table) or "no case with certainty" in plots.alt_text(table)
    style = Style(rows_of(table))
    one, two = rows_of(table)[:2]
    assert style.of(one)["facecolor"] != style.of(two)["facecolor"] and style.of(one)["marker"] == style.of(two)["marker"]
    assert (style.label(one), style.name(two)) == ("c4", "q8_0 c4")


def test_a_mixed_run_has_panels_for_each_unit():
    """Numbers for queries, concurrencies for text; no axis has both."""
    table = frame.cases([generating.mixed()])
    text = plots.draw(table)["svg"].decode()
    assert "energy per inference" in text and "energy per output token" in text and "latency p50 per query" in text
    style = Style(rows_of(table))
    assert {style.label(row) for row in rows_of(table) if row["unit"] == "output_token"} == {"c1", "c4", "c8"}
