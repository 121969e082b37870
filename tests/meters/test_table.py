"""Header and rows are found in text with delimiters."""

from __future__ import annotations

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.options import Options
from harness.meters.table import Table, delimited
from tests.meters.logs import (
    LOCAL,
    NOON_S,
    check_read,
    check_refused,
    comma,
    iso,
    table,
    written,
)

READ = {
    "units below the header": (table("Time,Power,U\n[s],[mW],[V]", lambda t, w: f"{t},{w * 1000},230"), {}, 1),
    "a preamble": (
        "Model,WT-1\nPower range,1200 W\nPower logger, v2\n\n" + table("Time,Power (W)", lambda t, w: f"{iso(t)},{w}"),
        LOCAL,
        1,
    ),
    "sep= of a spreadsheet": ("sep=;\n" + table("Time;Power (W)", lambda t, w: f"{iso(t)};{comma(w)}"), LOCAL, 1),
    "comments, a footer and a header again": (
        "# logger 1.2\n"
        + table("timestamp,power_w", lambda t, w: f"{t},{w}").replace(f"\n{NOON_S + 9}", f"\n# mark\ntimestamp,power_w\n{NOON_S + 9}"),
        {},
        1,
    ),
    "trailing separators": (table("timestamp,power_w,", lambda t, w: f"{t},{w},"), {}, 1),
    "everything quoted": (table('"timestamp","power_w"', lambda t, w: f'"{t}","{w}"'), {}, 1),
    "pipes": (table("timestamp|power_w", lambda t, w: f"{t}|{w}"), {}, 1),
    "blanks": (table("timestamp   power_w  volts", lambda t, w: f"{t}   {w:8.2f}  230.1"), {}, 1),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "a comma inside an unquoted number": (table("time,power_w,note", lambda t, w: f"{t},{'1,180.5' if w > 200 else w},"), {}, "quotes"),
    "rows with a cell more than names": (table("time,power_w", lambda t, w: f"7,{t},{w}"), {}, "as many cells"),
    "columns that change": (
        table("time,power_w,volts", lambda t, w: f"{t},{w},230") + table("time,volts,power_w", lambda t, w: f"{t + 60},230,{w}"),
        {},
        "cut the log there",
    ),
    "prose": ("hello world\nthis is not a log\n", {}, "CSV"),
    "columns that change, and their number": (
        table("time,power_w", lambda t, w: f"{t},{w}") + table("time,volts,power_w", lambda t, w: f"{t + 60},230,{w}"),
        {},
        "cut the log there",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


def test_a_last_comma_is_no_cell(tmp_path):
    """Some loggers end each row with one."""
    log = read_log(written(tmp_path, "time,watts\n1750075200,10,\n1750075201,20,\n"))
    assert log.sample.value.tolist() == [10, 20]


def test_a_column_is_found_by_name_bare_name_or_number():
    """Case does not matter; an ambiguous name is none."""
    log = delimited("log.csv", "time,Power [W],P [W],P [W]\n1750075200,1,2,3\n1750075201,1,2,3\n", Options())
    assert log.names == ["time", "Power [W]", "P [W]", "P #2 [W]"]
    assert [log.column(name) for name in ("Power [W]", "power", "2", "P #2", "9", "foo")] == [1, 1, 1, 3, None, None]
    with pytest.raises(MeterError, match=r"log\.csv has no column 'foo'") as caught:
        log.asked("foo")
    assert "2: 'Power [W]'" in caught.value.hint


def test_a_last_row_that_may_be_cut_is_dropped():
    """Its number is shorter than all above; with a line end it is complete."""
    text = "time,power_w\n" + "".join(f"{1750075200 + k},10.25\n" for k in range(5)) + "1750075205,10."
    assert [why for _, _, why in delimited("log.csv", text, Options()).torn] == ["the last line was cut"]
    assert len(delimited("log.csv", text + "\n", Options()).cells) == 6


def test_rows_by_name_have_empty_cells_where_a_name_is_missing():
    """In the order in which the names occur."""
    log = Table.of_rows("log.json", [{"a": "1"}, {"b": "2"}], [1, 2], [])
    assert log.names == ["a", "b"]
    assert log.cells.to_numpy().tolist() == [["1", ""], ["", "2"]]
