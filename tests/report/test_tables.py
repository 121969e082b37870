"""Tables for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from harness import frame
from harness.errors import HarnessError
from harness.frame.rows import rows_of
from harness.report import export, terminal
from harness.report.tables import caption, readable, remarks
from tests.factories import COUNTERS, case, digits, record, stored

HOSTILE = "x|y<script>`z`[red]\x1b[31m=\u202e"


@pytest.fixture(scope="module")
def tables():
    return frame.tables([digits()])


def printed(table, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal(table, width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_terminal_table_fits(tables, width):
    """Every line within the width, each figure on one line, the kind and the failures told."""
    lines = printed(tables["cases"], width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "251.9 ± 2.6" in text
    assert "remarks" in text
    assert "modelled" in text
    assert "tensor12|hasno<kernel>`x`" in "".join(text.split())
    assert "invalid" in text


def test_a_chain_is_broken_between_its_steps():
    """`+in` and `t8` below it would be no recipe."""
    cells = [case("dense"), case("channel_prune(ratio=0.5)+prune(final_sparsity=0.95)+int8")]
    text = printed(frame.cases([stored(cells, [record(cell) for cell in cells])]), 90)
    assert [line.split()[0] for line in text.splitlines() if "0.95" in line or "int8" in line] == ["prune(final_sparsity=0.95)+", "int8"]


@pytest.mark.parametrize("width", [40, 50, 60, 70, 79])
def test_a_figure_is_whole_or_shown_to_be_cut(tables, width):
    """In a terminal too narrow for any table: 96.4 ± 1 would be another figure than 96.4 ± 1.6."""
    text = printed(tables["cases"], width)
    assert max(map(len, text.splitlines())) <= width
    whole = {cell for row in readable(rows_of(tables["cases"]), brief=True)[1] for cell in row} | {"251.9 ± 2.6"}
    figures = re.findall(r"\d+\.\d+ ± ?[\d.]*…?", text.partition("Energy is")[0])
    assert figures or width < 50
    assert [figure for figure in figures if figure not in whole and not figure.endswith("…")] == []


def test_the_remarks_say_why_a_case_has_no_figure(tables):
    """In every format: failed, refused or invalid, with the reason; else an empty row would look like one that was forgotten."""
    headings, cells = readable(rows_of(tables["cases"]))
    told = [row[headings.index("remarks")] for row in cells]
    assert sum("failed: tensor 12 | has no <kernel> `x`" in text for text in told) == 1
    assert sum("refused: no GPU is visible to tensorflow" in text for text in told) == 1
    assert sum("invalid: sensor_gap" in text for text in told) == 1


def test_the_model_is_a_column_only_if_there_are_several():
    """What all cases share has no column."""
    one, two = case("dense"), case("dense", model="mobilenet")
    assert "model" not in readable(rows_of(frame.cases([stored([one], [record(one)])])))[0]
    assert "model" in readable(rows_of(frame.cases([stored([one, two], [record(one), record(two)])])))[0]


def test_what_tells_two_rows_apart_is_shown():
    """The options of an engine, and its threads where they vary."""
    one = case("dense", "tensorflow").model_copy(update={"case_id": "digits-cnn/dense/tensorflow(xla=true)/cpu/b1/t1/single_stream"})
    two = case("dense", "tensorflow").model_copy(update={"threads": 2})
    headings, cells = readable(rows_of(frame.cases([stored([one, two], [record(one), record(two)])])))
    assert [row[headings.index("engine")] for row in cells] == ["tensorflow(xla=true)", "tensorflow"]
    assert [row[headings.index("threads")] for row in cells] == ["1", "2"]
    assert "threads" not in readable(rows_of(frame.cases([stored([one], [record(one)])])))[0]


def test_qualities_of_several_metrics_are_not_told_under_the_name_of_one():
    """Each cell names its own; a table of one metric has it for a heading."""
    one, two = case("dense"), case("dense", model="detector")
    other = record(two).quality.model_copy(update={"metric": "reconstruction_auc"})
    assert "accuracy" in readable(rows_of(frame.cases([stored([one], [record(one)])])))[0]
    headings, cells = readable(
        rows_of(frame.cases([stored([one, two], [record(one), record(two, quality=None).model_copy(update={"quality": other})])]))
    )
    at = headings.index("quality")
    assert [row[at].rsplit(" ", 1)[1] for row in cells] == ["accuracy", "reconstruction_auc"]


def test_every_kind_is_told_with_its_scope():
    """The sentence under each table and picture."""
    assert "modelled: package+dram" in caption(rows_of(frame.cases([digits()])))
    assert "counter: package+dram" in caption(rows_of(frame.cases([digits(COUNTERS)])))
    assert "absent" in caption([])


def test_csv_holds_raw_si_values_and_nothing_for_null(tables):
    """Not rounded, not scaled; an energy that is not known is an empty cell, not 0 and not nan."""
    rows = list(csv.DictReader(io.StringIO(export(tables["cases"], "csv").decode())))
    assert float(rows[0]["energy_j"]) == tables["cases"].energy_j[0]
    assert [row["energy_j"] for row in rows if row["status"] == "failed"] == [""]
    assert [row["energy_abs_low_j"] for row in rows] == [""] * len(rows)


def test_json_has_null_for_null(tables):
    """Numbers are numbers, true is true, null is null."""
    rows = json.loads(export(tables["cases"], "json"))["rows"]
    assert rows[0]["energy_j"] == tables["cases"].energy_j[0]
    assert rows[0]["valid"] is True
    assert rows[11]["energy_j"] is None


@pytest.mark.parametrize("name", ["cases", "runs", "domains", "builds"])
@pytest.mark.parametrize("form", ["md", "csv", "json", "tex", "html"])
def test_every_table_in_every_format(tables, name, form):
    """None is empty, none fails on nulls."""
    assert len(export(tables[name], form)) > 100
    assert export(frame.tables([])[name], form).endswith(b"\n")


def test_an_unknown_format_is_refused(tables):
    """With the formats there are."""
    with pytest.raises(HarnessError, match="md"):
        export(tables["cases"], "xlsx")


@pytest.mark.parametrize("form", ["md", "csv", "tex"])
def test_what_a_suite_says_cannot_leave_its_cell(form):
    """A variant's name or an engine's message with pipes, tags, markup, escapes is text in every format."""
    hostile = case(HOSTILE)
    table = frame.cases([stored([hostile], [record(hostile, {}, status="failed", reason=HOSTILE, latency=None, quality=None)])])
    text = export(table, form).decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    if form == "md":
        assert "<script>" not in text
        assert len({line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert "\x1b[31m" not in printed(table, 120)


@pytest.mark.parametrize(("form", "dash"), [("md", "—"), ("tex", "textemdash")])
@pytest.mark.parametrize("table", ["runs", "domains", "builds"])
def test_null_is_a_dash_in_every_table(table, form, dash):
    """Never nan, whatever the column's type."""
    run = digits()
    lost = run.records[-1].model_copy(update={"artifact": None, "phases": (), "measurements": ()})
    frames = frame.tables([replace(run, records=(*run.records[:-1], lost))])
    text = export(frames[table], form).decode()
    assert dash in text
    assert "nan" not in text.lower() and "<NA>" not in text


def test_the_lines_of_a_reason_are_parted_by_semicolons():
    """What happened, and the next step: run together they read as one sentence."""
    assert remarks({"status": "refused", "reason": "no head is known\nadd a threshold"}) == "refused: no head is known; add a threshold"
