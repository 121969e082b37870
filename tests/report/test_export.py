"""Exported tables: formats, columns, and names that stay text."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from harness import frame
from harness.errors import HarnessError
from harness.frame.rows import rows_of
from harness.report import UNITS, export
from tests.factories import case, digits, record, stored
from tests.report.helpers import HOSTILE, hostile_table


def lines_of(data: bytes) -> list[str]:
    return [line for line in data.decode().splitlines() if line.startswith("|")]


def test_columns_are_the_requested_ones_in_order(tables):
    """In every format; values have their interval in a published one."""
    wanted = ["variant", "energy_j", "batch_size"]
    assert next(csv.reader(io.StringIO(export(tables["cases"], "csv", columns=wanted).decode()))) == wanted
    assert list(json.loads(export(tables["cases"], "json", columns=wanted))["rows"][0]) == wanted
    first = lines_of(export(tables["cases"], columns=wanted))[2]
    assert first.count("|") == 4 and "±" in first


def test_a_figure_and_its_bounds_are_rounded_by_the_interval(tables):
    """To two digits of the half-width."""
    row = rows_of(tables["cases"])[0]
    cells = lines_of(export(tables["cases"], columns=["energy_j", "energy_low_j"]))[2].strip("| ").split("|")
    value, half = cells[0].strip().split(" ± ")
    assert len(value) == len(half) == len(cells[1].strip())
    assert len(half.lstrip("0.")) == 2
    assert float(value) == pytest.approx(row["energy_j"], abs=float(half))


@pytest.mark.parametrize("unit", [unit for unit in UNITS if UNITS[unit].si in ("j", "s")])
def test_the_published_cases_take_the_unit_too(tables, unit):
    """It is in the heading."""
    heading = lines_of(export(tables["cases"], units=[unit]))[0]
    assert unit.split("/")[0].replace("u", "µ") in heading
    assert ("/ inference" in heading) is not unit.startswith(("Wh", "kWh"))


def test_several_runs_have_a_column_for_the_run(run):
    """A single run has none."""
    other = replace(run, header=run.header.model_copy(update={"run_id": "other"}))
    assert "run " in lines_of(export(frame.cases([run, other])))[0]
    assert "run " not in lines_of(export(frame.cases([run])))[0]


def test_parquet_holds_every_value_and_type(tables):
    """Read back, each column is what it was."""
    back = pq.read_table(io.BytesIO(export(tables["cases"], "parquet"))).to_pylist()
    assert back == rows_of(tables["cases"])


def test_a_hostile_name_stays_a_cell_of_latex():
    """No command, as many columns as the heading, nothing that LaTeX cannot set."""
    text = export(hostile_table(), "tex", notes=[HOSTILE]).decode()
    assert r"\input" not in text and text.isascii()
    body = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert "{[}U+540D]" in text
    for line in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(line) == 1


def test_a_hostile_name_stays_a_cell_of_html():
    """The parsed page has only the tags of the template."""
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    Tags().feed(export(hostile_table(), "html", notes=[HOSTILE]).decode())
    assert "script" not in tags and tags.count("td") == tags.count("th")


@pytest.mark.parametrize("form", ["md", "csv", "json", "tex", "html", "parquet"])
def test_no_control_character_is_exported(form):
    """A terminal obeys some of them."""
    data = export(hostile_table(), form, columns=["variant", "reason"], notes=["n"])
    text = str(pq.read_table(io.BytesIO(data)).to_pylist()) if form == "parquet" else data.decode()
    assert "\x1b" not in text and "\u202e" not in text


def test_a_formula_is_text_in_csv():
    """The cell begins with an apostrophe, in every column of text."""
    row = next(csv.DictReader(io.StringIO(export(hostile_table(), "csv").decode())))
    assert row["variant"].startswith("'=") and row["reason"].startswith("'=")


def test_csv_has_raw_si_values_and_empty_cells(tables):
    """Not rounded, not scaled; an unknown energy is an empty cell, not 0 and not nan."""
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
    """None fails on missing values or without rows."""
    assert len(export(tables[name], form)) > 100
    assert export(frame.tables([])[name], form).endswith(b"\n")


def test_an_unknown_format_is_an_error(tables):
    """With the known formats."""
    with pytest.raises(HarnessError, match="md"):
        export(tables["cases"], "xlsx")


@pytest.mark.parametrize("form", ["md", "csv", "tex"])
def test_text_of_a_suite_cannot_leave_its_cell(form):
    """A variant's name or an engine's message with pipes, tags, markup, escapes is text in every format."""
    hostile = case(HOSTILE)
    table = frame.cases([stored([hostile], [record(hostile, {}, status="failed", reason=HOSTILE, latency=None, quality=None)])])
    text = export(table, form).decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    if form == "md":
        assert "<script>" not in text
        assert len({line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1


@pytest.mark.parametrize(("form", "dash"), [("md", "—"), ("tex", "textemdash")])
@pytest.mark.parametrize("table", ["runs", "domains", "builds"])
def test_a_missing_value_is_a_dash_in_every_table(table, form, dash):
    """Never nan, whatever the type of the column."""
    run = digits()
    lost = run.records[-1].model_copy(update={"artifact": None, "phases": (), "measurements": ()})
    frames = frame.tables([replace(run, records=(*run.records[:-1], lost))])
    text = export(frames[table], form).decode()
    assert dash in text
    assert "nan" not in text.lower() and "<NA>" not in text
