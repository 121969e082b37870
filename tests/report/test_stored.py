"""Table and objectives of a report that was written before."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError, StoreError
from harness.report.stored import TABLE, drawn_objectives, stored_table
from harness.schema import OBJECTIVES


def table(folder, text):
    (folder / "report").mkdir(exist_ok=True)
    (folder / TABLE).write_text(text)


def test_cells_are_text_and_a_table_without_rows_has_columns(tmp_path):
    """As in the file."""
    table(tmp_path, "case_id,energy_j\n")
    assert stored_table(tmp_path) == (["case_id", "energy_j"], [])
    table(tmp_path, "case_id,energy_j\na,1e-3\n")
    assert stored_table(tmp_path)[1] == [{"case_id": "a", "energy_j": "1e-3"}]


def test_the_objectives_are_those_of_the_first_row(tmp_path):
    """The usual three for a table that names none, and for an empty one."""
    for text in ("", "case_id\n", "case_id\na\n", "front_objectives\nenergy;quality;latency\n"):
        table(tmp_path, text)
        assert drawn_objectives(tmp_path) == OBJECTIVES
    table(tmp_path, "front_objectives\nmemory;macs:max\n")
    assert [(each.column, each.direction) for each in drawn_objectives(tmp_path)] == [("peak_memory_bytes", "min"), ("macs", "max")]


@pytest.mark.parametrize("text", ["front_objectives\nenergy;wings\n", "front_objectives\n" + "x" * 200_000 + "\n"])
def test_unreadable_objectives_are_an_error(tmp_path, text):
    """An unknown column; a cell that is too long."""
    table(tmp_path, text)
    with pytest.raises(HarnessError):
        drawn_objectives(tmp_path)


def test_a_table_that_is_missing_or_not_text_is_an_error(tmp_path):
    """A StoreError for both."""
    with pytest.raises(StoreError):
        stored_table(tmp_path)
    table(tmp_path, "")
    (tmp_path / TABLE).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(StoreError):
        stored_table(tmp_path)
