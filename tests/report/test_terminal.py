"""Table of the cases in a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from harness import frame
from harness.frame.rows import rows_of
from harness.report import terminal
from harness.report.tables import case_cells
from harness.report.terminal import _by_steps
from tests.factories import case, record, stored
from tests.report.helpers import hostile_table


def printed(table, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal(table, width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_terminal_table_fits(tables, width):
    """With every figure on one line, the kind and the failures."""
    lines = printed(tables["cases"], width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "251.9 ± 2.6" in text
    assert "remarks" in text
    assert "modelled" in text
    assert "tensor12|hasno<kernel>`x`" in "".join(text.split())
    assert "invalid" in text


def test_a_chain_is_folded_between_its_steps():
    """Not within the name of a recipe."""
    cells = [case("dense"), case("channel_prune(ratio=0.5)+prune(final_sparsity=0.95)+int8")]
    text = printed(frame.cases([stored(cells, [record(cell) for cell in cells])]), 90)
    assert [line.split()[0] for line in text.splitlines() if "0.95" in line or "int8" in line] == ["prune(final_sparsity=0.95)+", "int8"]


@pytest.mark.parametrize("width", [40, 50, 60, 70, 79])
def test_a_figure_is_whole_or_shown_to_be_cut(tables, width):
    """In a terminal that is too narrow: 96.4 ± 1 would be another figure than 96.4 ± 1.6."""
    text = printed(tables["cases"], width)
    assert max(map(len, text.splitlines())) <= width
    complete = {cell for row in case_cells(rows_of(tables["cases"]), brief=True)[1] for cell in row} | {"251.9 ± 2.6"}
    figures = re.findall(r"\d+\.\d+ ± ?[\d.]*…?", text.partition("Energy:")[0])
    assert figures or width < 50
    assert [figure for figure in figures if figure not in complete and not figure.endswith("…")] == []


def test_escapes_and_markup_in_names_are_text():
    """No control character reaches the terminal."""
    assert "\x1b[31m" not in printed(hostile_table(), 120)


def test_a_long_step_is_folded_before_its_parameters():
    """A parameter and its value stay on one line."""
    assert _by_steps("prune(final_sparsity=0.9)+int8", 22).splitlines() == ["prune(", "final_sparsity=0.9)+", "int8"]
    assert _by_steps("prune(final_sparsity=0.9)+int8", 30) == "prune(final_sparsity=0.9)+int8"
