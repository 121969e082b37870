"""Tables of generated text."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness import frame
from harness.frame.rows import rows_of
from harness.report import export, paper, published_columns, terminal
from harness.report.tables import case_tables, to_markdown
from harness.report.token_tables import brief_cells, energy_cells, latency_cells
from tests import factories, generating

SWEEP = frame.cases([generating.sweep()])
ROWS = rows_of(SWEEP)
MIXED = frame.tables([generating.mixed()])


def printed(table, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal(table, width))
    return console.file.getvalue()


def test_an_energy_per_token_is_next_to_lengths_and_concurrency():
    """As measured, with the noise floor of the agreement and the energy of 1,000 requests."""
    headings, cells = energy_cells(ROWS)
    line = dict(zip(headings, cells[4], strict=True))
    assert line["load"] == "c4/in16/out48"
    assert line["mJ / output token"] == "121.9 ± 6.1"
    assert (line["input tokens"], line["output tokens"], line["concurrency"]) == ("16.0", "48.0", "3.96")
    assert line["agreement (noise floor)"] == "0.791 (0.980)"
    assert (line["Wh / 1,000 requests"], line["tokens/s"], line["requests/s"], line["goodput/s"]) == ("1.63", "312", "6.49", "5.84")


def test_a_column_without_any_value_is_left_out():
    """No objective, no goodput; a percentile that no case has."""
    rows = [row | {"goodput_per_s": None} for row in ROWS]
    assert "goodput/s" not in energy_cells(rows)[0]
    headings, cells = latency_cells(rows)
    assert [heading for heading in headings if heading.startswith("TTFT")] == ["TTFT p50, ms", "TTFT p90, ms"]
    assert cells[0][headings.index("TPOT p50, ms")] == "11.50 ± 0.29"
    assert "end to end p90, ms" in headings and "inter-token p50, ms" in headings


def test_a_unit_of_thousand_is_of_output_tokens():
    """Not of inferences."""
    assert "energy, Wh / 1,000 output tokens" in energy_cells(ROWS, units=["Wh/1000"])[0]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("table", [SWEEP, MIXED["cases"]])
def test_a_narrow_terminal_keeps_energy_lengths_and_concurrency(table, width):
    """They are the last to be cut; the load is c4, since all lengths are the same."""
    text = printed(table, width)
    assert max(map(len, text.splitlines())) <= width
    if width >= 60:
        assert all(part in text for part in ("mJ/tok.", "121.9 ± 6.1", "16.0/48.0", "3.96", " c4 "))
    assert "openai-server on cpu" in text


def test_lengths_are_shown_where_they_differ():
    """`c4` alone would name two cases."""
    rows = rows_of(frame.cases([generating.sweep(loads=(generating.LOAD, *generating.PREFILL_AND_DECODE))]))
    headings, cells = brief_cells(rows)
    assert {line[headings.index("load")] for line in cells} == {"c4/in16/out48", "c4/in256/out1", "c4/in16/out256"}


def test_a_mixed_run_has_a_table_for_each_unit():
    """Each with its own unit, scale and rows; the tables of queries alone have no title."""
    tables = case_tables(rows_of(MIXED["cases"]))
    assert [table.title.split(":")[0] for table in tables] == ["Cases that answer queries", "Generated text", "Generated text"]
    assert "energy, µJ / inference" in tables[0].headings and "mJ / output token" in tables[1].headings
    assert len(tables[0].rows) + len(tables[1].rows) == len(MIXED["cases"]) and tables[1].rows == tables[2].rows
    assert [table.title for table in case_tables(rows_of(frame.cases([factories.digits()])))] == [""]


@pytest.mark.parametrize("format", ["md", "tex", "html"])
def test_every_published_format_has_both_units(format):
    """Energy per inference and per output token are never in one column."""
    text = export(MIXED["cases"], format).decode()
    assert all(word in text for word in ("output", "token", "inference", "TTFT", "p50, ms"))
    assert "batch" not in export(SWEEP, format).decode()
    assert "mJ / output token" in to_markdown(SWEEP) and "inference" not in to_markdown(SWEEP)


def test_each_table_of_a_paper_has_its_label():
    """LaTeX refuses a label twice."""
    text = paper([generating.mixed()], "cases", MIXED["cases"], rows_of(MIXED["cases"]), (), ())[0].decode()
    assert [part in text for part in (r"\label{tab:cases}", r"\label{tab:cases-2}", r"\label{tab:cases-3}")] == [True] * 3
    assert text.count("95 \\% repeatability interval") == 1


def test_the_energy_per_total_token_has_a_remark():
    """Wherever it is printed: on request in a published format, and among all columns of JSON."""
    assert b"use it only to compare" in export(SWEEP, "md", columns=["case_id", "energy_j_per_total_token"])
    assert b"use it only to compare" in export(SWEEP, "json")
    assert b"energy_j_per_total_token" not in export(SWEEP, "md")
    assert b"use it only to compare" not in export(frame.cases([factories.digits()]), "json")


def test_published_launches_have_the_latencies_of_their_unit():
    """A run of text alone has no latency per query, one of queries alone no TTFT."""
    text = published_columns("runs", frame.runs([generating.sweep()]))[0]
    assert {"ttft_p50_s", "tpot_p50_s", "unit", "concurrency"} <= set(text) and "latency_p50_s" not in text
    queries = published_columns("runs", frame.runs([factories.digits()]))[0]
    assert "latency_p50_s" in queries and not {"ttft_p50_s", "unit", "concurrency"} & set(queries)
    assert {"latency_p50_s", "ttft_p50_s", "unit"} <= set(published_columns("runs", MIXED["runs"])[0])
