"""Columns and devices become channels; the total is found."""

from __future__ import annotations

import shlex

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.options import Options
from harness.meters.reading import join_units
from harness.meters.table import delimited
from tests.meters.logs import (
    COMMAND,
    LOCAL,
    check_read,
    check_refused,
    comma,
    iso,
    table,
    written,
)

READ = {
    "three phases and their total": (
        table("timestamp,L1 [W],L2 [W],L3 [W],Total [W]", lambda t, w: f"{t},{w / 2},{w / 4},{w / 4},{w}"),
        {},
        1,
    ),
    "Fritz!Box: a column of units": (
        "sep=;\n" + table("Datum/Uhrzeit;Verbrauchswert;Einheit", lambda t, w: f"{iso(t, '%d.%m.%Y %H:%M:%S')};{comma(w)};W"),
        LOCAL,
    ),
    "rows of several quantities with their units": (
        table("timestamp,quantity,value,unit", lambda t, w: f"{t},P,{w},W\n{t},U,230.{t % 10},V\n{t},E,{t % 100},Wh"),
        {},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "a header alone": ("time,power_w\n", {}, "logged readings"),
    "two columns of power in rows with one stamp": (
        table("timestamp,A (W),B (W)", lambda t, w: f"{t},{w},{w / 2}\n{t},{w / 3},{w}"),
        {"channel": "sum"},
        "--power-column A",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


def test_zeros_that_a_rail_shows_are_readings(tmp_path):
    """A graphics rail that sleeps between small loads; a machine that is off for long."""
    for watts in ([0.0, 0.02, 0.0, 3.0] * 10, [0.0] * 15 + [100.0] * 15, [100.0] * 10 + [0.0] * 20):
        log = read_log(written(tmp_path, table("timestamp,P [W]", lambda t, w: f"{t},{w}", watts=watts)), one_device=True)
        assert log.sample.value.tolist() == watts


OVERLAPPING = {
    "a package and its cores": ("PkgWatt,CorWatt", "PkgWatt"),
    "a total that is not the sum of the others": ("P1 (W),Total (W)", "P1"),
    "a processor and its cores by number": ("CPU power (W),CPU1 power (W)", "CPU power"),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_a_sum_that_would_count_twice_is_not_proposed(tmp_path, name):
    """Only one channel; for separate channels both are proposed."""
    names, first = OVERLAPPING[name]
    with pytest.raises(MeterError, match="several channels") as caught:
        read_log(written(tmp_path, table(f"timestamp,{names}", lambda t, w: f"{t},{w},{w / 3}")), command=COMMAND)
    assert f"--channel {shlex.quote(first)}" in caught.value.hint
    assert "--channel sum" not in caught.value.hint
    with pytest.raises(MeterError, match="several channels") as caught:
        read_log(written(tmp_path, table("timestamp,CPU Package (W),GPU (W)", lambda t, w: f"{t},{w},{w / 3}")), command=COMMAND)
    assert "--channel sum" in caught.value.hint


def test_units_of_a_column_are_joined_to_the_numbers_next_to_it():
    """Only if every cell is a unit."""
    text = "time,value,unit\n1750075200,10,W\n1750075201,20,W\n"
    assert join_units(delimited("log.csv", text, Options())).cells[1].tolist() == ["10 W", "20 W"]
    assert join_units(delimited("log.csv", text.replace("20,W", "20,ok"), Options())).cells[1].tolist() == ["10", "20"]
