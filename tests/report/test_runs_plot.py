"""Figure of one case over runs: labelled and ordered by the power limit, without a label on another or on the line."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.figure
import pytest

from harness import frame
from harness.errors import HarnessError
from harness.frame.rows import rows_of
from harness.report import draw_runs, plots
from harness.report.runs_plot import _compose, limit_text, series_of
from tests.factories import case, record, stored
from tests.frame.helpers import on_a_card


def run_at(day, limit_w, default_w=450.0, host="box-1", name=None, kind=None, **box):
    """A run under a power limit: less energy and more time per inference under a lower one."""
    watts = limit_w or 300.0
    run = on_a_card(tuple((4 + watts / 150) * (1 + 0.01 * k) for k in (-1, 0, 1, 2)), limits_w=(limit_w, default_w))
    factor = 1 + (200.0 / watts) ** 2
    records = []
    for k, each in enumerate(run.records):
        latency = each.latency.model_copy(update={n: v * factor * (1 + 0.01 * k) for n, v in each.latency if isinstance(v, float)})
        own = tuple(m.model_copy(update={"kind": kind} if kind else {}) for m in each.measurements)
        records.append(each.model_copy(update={"latency": latency, "measurements": own}))
    environment = run.header.environments[0].model_copy(update={"host": host, **box})
    changes = {"run_id": name or f"run-{day}", "started_utc": f"2026-01-{day:02}T08:00:00+00:00", "environments": (environment,)}
    return replace(run, header=run.header.model_copy(update=changes), records=tuple(records))


def on_cpu(day, **changes):
    """A run of a case without a card."""
    run = stored([case("dense")], [record(case("dense"), repetition=k, **changes) for k in range(3)])
    return replace(run, header=run.header.model_copy(update={"run_id": f"run-{day}", "started_utc": f"2026-01-{day:02}"}))


def rows_and_differences(runs):
    """What the command gives to the figure."""
    case_id = runs[0].header.suite.cases[0].case_id
    started = {run.header.run_id: run.header.started_utc for run in runs}
    rows = [row | {"started_utc": started[row["run_id"]]} for row in rows_of(frame.cases(runs))]
    return sorted(rows, key=lambda row: row["started_utc"]), frame.history_differences(runs, case_id)


def figure_of(*runs):
    """The drawn figure."""
    rows, differences = rows_and_differences(runs)
    figure = matplotlib.figure.Figure(figsize=(9, 1), dpi=plots.DPI)
    _compose(figure, rows, differences)
    figure.canvas.draw()
    return figure


def texts(figure):
    """All texts: those of points, then those around the panel."""
    return [t.get_text() for t in figure.axes[0].texts], [t.get_text() for t in figure.texts]


def lines_of(figure):
    """The lines between runs, as positions on the x axis."""
    return [line.get_xdata().tolist() for line in figure.axes[0].lines if len(line.get_xdata()) > 1 and line.get_linewidth() == 1.0]


def test_each_run_is_labelled_with_its_limit_and_the_line_follows_the_limits():
    """In watts and in parts of the default, whatever the order of the runs."""
    figure = figure_of(run_at(1, 300.0), run_at(2, 450.0), run_at(3, 200.0))
    on_points, around = texts(figure)
    assert sorted(on_points) == ["1: 300 W (67%)", "2: 450 W (100%)", "3: 200 W (44%)"]
    assert around[0] == "Energy and latency by power limit"
    assert any("line: in the order of the power limit" in text for text in around)
    (line,) = lines_of(figure)
    assert line == sorted(line, reverse=True), "from the lowest limit, which is the slowest, to the highest"
    assert any("2026-01-02 08:00 · 450 W (100% of the default) · run-2 · box-1" in text for text in around)


@pytest.mark.parametrize("count", [2, 12])
def test_no_label_hides_a_point_or_another_label(count):
    """Of two runs and of twelve, and everything is inside the figure."""
    figure = figure_of(*(run_at(k, 200.0 + 20 * k) for k in range(1, count + 1)))
    ax = figure.axes[0]
    boxes = [t.get_window_extent() for t in ax.texts]
    assert len(boxes) == count
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    for marker in (c for c in ax.collections if len(c.get_offsets()) == 1):
        x, y = ax.transData.transform(marker.get_offsets()[0])
        assert not any(box.contains(x, y) for box in boxes)
    around = [t.get_window_extent() for t in figure.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(around) for b in around[:i])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and figure.bbox.y0 <= box.y0 for box in [*around, ax.get_tightbbox()])


def test_long_names_stay_in_the_figure():
    """Of runs and machines; their ends, by which they differ, are kept."""
    names = [f"2026-01-0{k}-a-suite-with-a-very-long-name-of-a-procurement-{k}-standard" for k in (1, 2)]
    figure = figure_of(*(run_at(k, 200.0 * k, name=name, host="node-0123456789.cluster.example.org") for k, name in enumerate(names, 1)))
    around = [t.get_window_extent() for t in figure.texts]
    assert all(box.x1 <= figure.bbox.x1 for box in around)
    assert any("-2-standard · node" in text for text in texts(figure)[1])


def test_under_one_limit_the_runs_are_in_order_of_time():
    """And their intervals are whole: differences within them are not exaggerated."""
    figure = figure_of(*(run_at(k, 300.0) for k in (1, 2, 3)))
    on_points, around = texts(figure)
    assert on_points == ["1", "2", "3"] and around[0] == "Energy and latency over runs"
    assert any("line: in order of time" in text for text in around) and sum("300 W (67% of the default)" in text for text in around) == 3
    ax = figure.axes[0]
    low, high = ax.get_ylim()
    spans = [path.vertices[:, 1] for c in ax.collections for path in c.get_paths() if hasattr(c, "get_segments")]
    assert spans and all(low <= span.min() and span.max() <= high for span in spans)


def test_a_case_without_a_card_has_no_limits():
    """Its runs are in order of time, and no limit is written."""
    figure = figure_of(on_cpu(1), on_cpu(2, latency_s=30e-6))
    on_points, around = texts(figure)
    assert on_points == ["1", "2"] and around[0] == "Energy and latency over runs"
    assert not any("limit" in text for text in around)


def test_of_generated_text_the_axes_are_per_output_token():
    """The same columns have another unit."""
    rows, differences = rows_and_differences([run_at(1, 450.0), run_at(2, 300.0)])
    svg = draw_runs([row | {"unit": "output_token"} for row in rows], differences)["svg"].decode()
    assert "energy per output token, J" in svg and "time per output token p50" in svg and "per inference" not in svg


@pytest.mark.parametrize("kind", ["simulated", "modelled"])
def test_the_kind_of_the_energy_is_on_the_figure(kind):
    """So that a simulation is not taken for a measurement."""
    assert f"Energy: {kind} (gpu)" in texts(figure_of(run_at(1, 450.0, kind=kind), run_at(2, 300.0, kind=kind)))[1]


def test_a_line_joins_one_machine_and_one_kind_only():
    """Energies of two machines, or a measured and a modelled one, are not one curve."""
    runs = [
        run_at(1, 450.0),
        run_at(2, 300.0),
        run_at(3, 450.0, host="box-2"),
        run_at(4, 300.0, host="box-2"),
        run_at(5, 350.0, kind="modelled"),
    ]
    figure = figure_of(*runs)
    assert [len(line) for line in lines_of(figure)] == [2, 2]
    assert any("a line joins equal ones only" in text for text in texts(figure)[1])
    assert any("the runs also differ in: host, energy_kind (column" in text for text in texts(figure)[1])


def test_what_else_differs_is_named():
    """Not the power limit itself, nor the state of the card."""
    _, differences = rows_and_differences([run_at(1, 450.0), run_at(2, 300.0, kernel="6.9.1", governor="powersave")])
    assert differences == ["kernel", "governor"]
    assert rows_and_differences([run_at(1, 450.0), run_at(2, 300.0)])[1] == []


def test_a_run_whose_limit_is_unknown_is_off_the_line():
    """It is a point, and the list has the reason; among runs of known limits alone it would have no place in their order."""
    runs = [run_at(1, 450.0), run_at(2, 300.0), run_at(3, None, None)]
    figure = figure_of(*runs)
    assert [len(line) for line in lines_of(figure)] == [2]
    assert "3" in texts(figure)[0] and any("no power limit reported" in text for text in texts(figure)[1])
    (series,) = series_of(rows_and_differences(runs)[0])
    assert series.by_limit


def test_a_limit_without_a_known_default_has_watts_alone():
    """No share is invented."""
    assert limit_text({"power_limit_w": 300.0, "power_limit_share": None}) == "300 W"
    assert "1: 300 W" in texts(figure_of(run_at(1, 300.0, None), run_at(2, 200.0, None)))[0]


def test_a_run_without_energy_is_listed_with_the_reason():
    """It is not silently left out."""
    lost = run_at(2, 300.0)
    lost = replace(lost, records=tuple(r.model_copy(update={"measurements": ()}) for r in lost.records))
    figure = figure_of(run_at(1, 450.0), lost, run_at(3, 250.0))
    assert len(texts(figure)[0]) == 2 and any("not shown: energy or latency not measured" in text for text in texts(figure)[1])


def test_without_any_energy_there_is_no_figure():
    """With the columns that explain it."""
    lost = run_at(1, 300.0)
    rows, differences = rows_and_differences(
        [replace(lost, records=tuple(r.model_copy(update={"measurements": ()}) for r in lost.records))]
    )
    with pytest.raises(HarnessError, match="nothing to plot") as caught:
        draw_runs(rows, differences)
    assert "invalid_reasons" in caught.value.hint


def test_the_figure_is_reproducible():
    """Equal runs give equal bytes, in both formats."""
    rows, differences = rows_and_differences([run_at(1, 450.0), run_at(2, 300.0)])
    first, second = draw_runs(rows, differences), draw_runs(rows, differences)
    assert first == second and first["png"].startswith(b"\x89PNG") and b"1: 450 W (100%)" in first["svg"]
