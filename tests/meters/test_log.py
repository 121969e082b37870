"""A log is read as one channel on Unix time, or refused with the next step."""

from __future__ import annotations

import os

import numpy as np
import pytest

from harness.errors import MeterError
from harness.meters import read_log
from tests.meters.logs import (
    LOCAL,
    NOON_S,
    WATTS,
    check_read,
    check_refused,
    comma,
    iso,
    table,
    written,
)

READ = {
    "three phases, summed": (table("timestamp,L1 [W],L2 [W]", lambda t, w: f"{t},{w / 4},{w * 3 / 4}"), {"channel": "sum"}, 1),
    "two equal names": (table("timestamp,P [W],P [W]", lambda t, w: f"{t},1,{w}"), {"channel": "P #2"}, 1),
    "a package and its cores": (
        table("Time_Of_Day_Seconds\tPkgWatt\tCorWatt", lambda t, w: f"{t}.0\t{w}\t{w / 2}"),
        {"channel": "PkgWatt"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "two powers": (table("Date,GPU Power [W],GPU Power (Total) [W]", lambda t, w: f"{iso(t)},{w / 2},{w}"), LOCAL, "--channel 'GPU Power'"),
    "two equal names": (table("timestamp,P [W],P [W]", lambda t, w: f"{t},{w / 2},{w}"), {}, "--channel sum"),
    "rows out of order": (table("time,power_w", lambda t, w: f"{NOON_S + (t * 7) % 20},{w}"), {}, "cut the log there"),
    "nothing": ("", {}, "logged readings"),
    "an archive": ("PK\x03\x04 ...", {}, "export"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


@pytest.mark.parametrize(
    ("text", "t_s", "watts"),
    [
        ("timestamp,power_w\n1750075200.0,10\n1750075201.0,20\n", [0, 1], [10, 20]),
        ("time_ms;Leistung;Power (kW)\n1750075200000;x;0,010\n1750075201000;y;0,020\n", [0, 1], [10, 20]),
        ("Time,Watts\n2025-06-16T12:00:00Z,10\n2025-06-16T12:00:00.5Z,20\n", [0, 0.5], [10, 20]),
        ("time,active power [mW]\n2025-06-16 14:00:00+02:00,10000\n2025-06-16 14:00:01+02:00,20000\n", [0, 1], [10, 20]),
        ("time_utc\tW\n2025-06-16 12:00:00\t10\n2025-06-16 12:00:01\t20\n", [0, 1], [10, 20]),
        ("# plug 7\n# since Monday\n\ndate,time,power\n2025-06-16,12:00:00Z,1\n", None, None),
        (
            '\ufeff"Timestamp","Power (W)","Power Factor","Energy (kWh)"\n1750075200,"1,010.5",0.9,3\n1750075201,20,0.9,3\n',
            [0, 1],
            [1010.5, 20],
        ),
        ("1750075200,10 W\n1750075201,20 W\n", [0, 1], [10, 20]),
        ("epoch_ns,watts\n1750075201000000000,20\n1750075200000000000,10\n", [0, 1], [10, 20]),
    ],
)
def test_names_units_and_times_are_read_from_the_header(tmp_path, text, t_s, watts):
    """Unix time in s, ms, ns; ISO with a zone; W, mW, kW; commas, semicolons with decimal commas, tabs; no header but units in the cells; newest first."""
    path = written(tmp_path, text)
    if t_s is None:
        with pytest.raises(MeterError):
            read_log(path)
        return
    log = read_log(path)
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + t for t in t_s], abs=1e-3)
    assert log.sample.value.tolist() == pytest.approx(watts)
    assert not log.local
    assert log.notes


def test_blank_cells_are_missing_and_torn_rows_are_noted(tmp_path):
    """Never 0 W: a blank, nvidia-smi's `[N/A]`, or a row that was cut."""
    rows = [f"{NOON_S + k},{10 + k}" for k in range(30)]
    rows[3], rows[4] = f"{NOON_S + 3},", f"{NOON_S + 4},[N/A]"
    log = read_log(written(tmp_path, "\n".join(["time,power_w", *rows, "17500"[:0] + "x"])))
    assert np.flatnonzero(np.isnan(log.sample.value)).tolist() == [3, 4]
    assert any("1 of 31 rows could not be read" in sentence and "line 32" in sentence for sentence in log.notes)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1,2\n", "no column contains times"),
        ("time,power factor\n1750075200,0.9\n1750075201,0.9\n", "contains no power"),
        ("time,power_w\n0.0,10\n1.0,20\n", "small numbers"),
        ("time,power_w\n1750075200,10\n", "1 readings"),
        ("time,power_w\n03/04/2025 10:00:00,10\n03/04/2025 10:00:01,10\n", "two ways"),
        (
            "time,power_w\n1750075200,10\n1750075205,10\n1750075203,10\n1750075206,1\n",
            "goes back in time by 2 s after its reading number 2",
        ),
        ("timestamp,cpu_power,codecarbon_version\n2025-06-16T12:00:00,3,3.3\n", "codecarbon"),
        ("time,power a [W],power b [W]\n1750075200,10,11\n1750075201,10,11\n", "several channels"),
        ("time,power a,power b\n1750075200,10,11\n1750075201,10,11\n", "2 columns .* none names a unit"),
        ("time,power_w\n2025-06-16T12:00:00,1\n2025-06-16T12:00:00Z,1\n", "some have none"),
        ("time,power_w\nx,1\nx,1\nx,1\n1750075200,1\n1750075201,1\n", None),
        ("time,power_w\n1750075200,[N/A]\n1750075201,\n", "no reading of power_w"),
        (
            "time,power_w\n" + "".join(f"{1750075200 + t + lag:.3f},{w}\n" for t in range(9) for lag, w in ((0, 200 + t), (0.004, 33))),
            "one column of several devices",
        ),
    ],
)
def test_an_implausible_log_is_refused(tmp_path, text, match):
    """With the reason and the next step."""
    with pytest.raises(MeterError, match=match) as caught:
        read_log(written(tmp_path, text))
    assert caught.value.hint


@pytest.mark.parametrize("row", ["1750075199,10,5", "noon,10", "1750075199;10"])
def test_a_log_with_many_unreadable_rows_is_refused(tmp_path, row):
    """One row in twenty is noted, more are an error. 10,5 between commas is neither 10 nor 105."""
    rows = [f"{1750075200 + k},10.5" for k in range(19)]
    log = read_log(written(tmp_path, "\n".join(["time,watts", row, *rows])))
    assert len(log.sample.value) == 19
    assert any("1 of 20 rows" in sentence and "line 2" in sentence for sentence in log.notes)
    with pytest.raises(MeterError, match="3 of 22 rows could not be read"):
        read_log(written(tmp_path, "\n".join(["time,watts", *[row] * 3, *rows])))


def test_a_missing_file_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(MeterError, match="there is no meter log"):
        read_log(tmp_path / "nothing.csv")


def test_what_is_no_regular_file_is_refused(tmp_path):
    """A pipe would hang, a device never ends."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path.__class__("/dev/zero")):
        with pytest.raises(MeterError, match="not a regular file"):
            read_log(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encodings_of_loggers(tmp_path, encoding):
    """With and without a byte order mark; Windows' own."""
    path = written(tmp_path, table("Zeit;T [°C];Leistung [W]", lambda t, w: f"{iso(t)};20,5;{comma(w)}"), encoding=encoding)
    assert read_log(path, **LOCAL).sample.value.tolist() == WATTS


def test_a_log_redirected_by_powershell_is_read(tmp_path):
    """UTF-16 with its byte order mark."""
    path = tmp_path / "log.csv"
    path.write_bytes("time,power_w\r\n1750075200,10\r\n1750075201,20\r\n".encode("utf-16"))
    assert read_log(path).sample.value.tolist() == [10, 20]


def test_the_range_of_powers_is_noted(tmp_path):
    """It shows a unit that was misread."""
    assert "powers from 0.2 to 0.215 W" in read_log(written(tmp_path, "time;power [mW]\n1750075200;200.0\n1750075201;215.0\n")).notes


def test_rows_that_cannot_be_read_are_counted_where_they_stand(tmp_path):
    """A torn row, a footer and a cut last line, each with its reason, and its approximate time."""
    text = table("timestamp,power_w", lambda t, w: f"{t},{w}", watts=WATTS * 3)
    text = text.replace(f"\n{NOON_S + 9},", f'\nnoise "\n{NOON_S + 9},') + f"Average,500\n{NOON_S + 60},1180."
    log = read_log(written(tmp_path, text))
    assert len(log.sample.value) == 60
    assert log.discarded_s.tolist() == [NOON_S + 8, NOON_S + 59, NOON_S + 59]
    assert set(log.discarded) == {"an open quote", "no time that can be read", "the last line was cut"}


def test_a_footer_is_counted_and_does_not_make_the_log_unreadable(tmp_path):
    """Also if it has more lines than a tenth of the readings."""
    text = table("timestamp,P [W]", lambda t, w: f"{t},{w}") + "\n" + "".join(f"Average {k} = 12\n" for k in range(10))
    log = read_log(written(tmp_path, text))
    assert (len(log.sample.value), sum(log.discarded.values())) == (20, 10)
