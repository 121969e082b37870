"""A meter's log becomes samples on Unix time; what was guessed is told, and what cannot be known is refused."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from harness.energy.joules import integrate, integrate_means
from harness.energy.ticks import ticks
from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.formats.mlperf import uncertain_rows

DATA = Path(os.environ.get("HARNESS_DATA") or Path(__file__).parents[3] / "shared" / "data")
NOON_S = 1_750_075_200.0
"""2025-06-16 12:00 UTC."""


def written(folder, text, name="log.csv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


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


def test_a_date_and_a_time_of_two_columns(tmp_path):
    """They are joined; the zone is the caller's."""
    path = written(tmp_path, "Date,Time,Watts\n2025-06-16,14:00:00,10\n2025-06-16,14:00:01,20\n")
    assert read_log(path).local
    assert read_log(path, timezone="Europe/Berlin").sample.t_s.tolist() == [NOON_S, NOON_S + 1]
    assert read_log(path, utc_offset_s=7200).sample.t_s.tolist() == [NOON_S, NOON_S + 1]


def test_what_is_blank_is_missing_and_what_is_torn_is_told(tmp_path):
    """Never 0 W: neither a blank, nor nvidia-smi's words for not available, nor a row that was cut."""
    rows = [f"{NOON_S + k},{10 + k}" for k in range(30)]
    rows[3], rows[4] = f"{NOON_S + 3},", f"{NOON_S + 4},[N/A]"
    log = read_log(written(tmp_path, "\n".join(["time,power_w", *rows, "17500"[:0] + "x"])))
    assert np.flatnonzero(np.isnan(log.sample.value)).tolist() == [3, 4]
    assert any("1 of 31 rows could not be read" in sentence and "line 32" in sentence for sentence in log.notes)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1,2\n", "no column holds times"),
        ("time,power factor\n1750075200,0.9\n1750075201,0.9\n", "holds no power"),
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
def test_a_log_that_cannot_be_believed_is_a_sentence(tmp_path, text, match):
    """With what is wrong and the next step."""
    with pytest.raises(MeterError, match=match) as caught:
        read_log(written(tmp_path, text))
    assert caught.value.hint


@pytest.mark.parametrize("row", ["1750075199,10,5", "noon,10", "1750075199;10"])
def test_a_log_of_which_much_cannot_be_read_is_not_believed(tmp_path, row):
    """One row in twenty is told; more is no meter's log. 10,5 between commas is neither 10 nor 105."""
    rows = [f"{1750075200 + k},10.5" for k in range(19)]
    log = read_log(written(tmp_path, "\n".join(["time,watts", row, *rows])))
    assert len(log.sample.value) == 19
    assert any("1 of 20 rows" in sentence and "line 2" in sentence for sentence in log.notes)
    with pytest.raises(MeterError, match="3 of 22 rows could not be read"):
        read_log(written(tmp_path, "\n".join(["time,watts", *[row] * 3, *rows])))


def test_a_last_comma_is_no_cell(tmp_path):
    """Some loggers end each row with one."""
    log = read_log(written(tmp_path, "time,watts\n1750075200,10,\n1750075201,20,\n"))
    assert log.sample.value.tolist() == [10, 20]


def test_a_file_that_is_not_there(tmp_path):
    """A sentence too."""
    with pytest.raises(MeterError, match="there is no meter log"):
        read_log(tmp_path / "nothing.csv")


def test_the_day_comes_first_where_only_that_can_be(tmp_path):
    """16.06. and 16/06 are no months; AM and PM are read."""
    for first, second in (("16.06.2025 12:00:00", "16.06.2025 12:00:01"), ("06/16/2025 12:00:00 PM", "06/16/2025 12:00:01 PM")):
        log = read_log(written(tmp_path, f"time,power_w\n{first},1\n{second},2\n"), utc_offset_s=0)
        assert log.sample.t_s.tolist() == [NOON_S, NOON_S + 1]


# --- daylight saving ---


def test_the_hour_that_occurs_twice_is_refused_and_an_offset_settles_it(tmp_path):
    """At the end of daylight saving 02:30 is two moments."""
    path = written(tmp_path, "time,power_w\n2025-10-26 02:30:00,1\n2025-10-26 02:30:01,2\n")
    with pytest.raises(MeterError, match="occurs twice"):
        read_log(path, timezone="Europe/Berlin")
    assert read_log(path, utc_offset_s=3600).sample.t_s[0] - read_log(path, utc_offset_s=7200).sample.t_s[0] == 3600


def test_the_hour_that_never_was_is_refused(tmp_path):
    """At the beginning of daylight saving there is no 02:30."""
    with pytest.raises(MeterError, match="does not exist"):
        read_log(written(tmp_path, "time,power_w\n2025-03-30 02:30:00,1\n2025-03-30 02:30:01,2\n"), timezone="Europe/Berlin")


def test_summer_and_winter_differ_in_one_zone(tmp_path):
    """A zone knows daylight saving, a log across its beginning has no jump; a wrong name is a sentence."""
    path = written(tmp_path, "time,power_w\n2025-03-30 01:59:59,1\n2025-03-30 03:00:00,2\n")
    assert np.diff(read_log(path, timezone="Europe/Berlin").sample.t_s).tolist() == [1.0]
    with pytest.raises(MeterError, match="no time zone"):
        read_log(path, timezone="Berlin/Europe")
    with pytest.raises(MeterError, match="a zone and an offset"):
        read_log(path, timezone="Europe/Berlin", utc_offset_s=0)


def test_a_log_through_the_hour_that_occurs_twice_tells_which_by_its_order(tmp_path):
    """In the zone the clock goes back once, and Unix time runs on; a step that the zone does not explain is still refused."""
    path = written(tmp_path, "time,power_w\n2025-10-26 02:30:00,1\n2025-10-26 02:59:59,1\n2025-10-26 02:00:00,2\n2025-10-26 03:00:00,2\n")
    assert np.diff(read_log(path, timezone="Europe/Berlin").sample.t_s).tolist() == [1799.0, 1.0, 3600.0]
    path = written(tmp_path, "time,power_w\n2025-10-27 02:59:59,1\n2025-10-27 02:00:00,2\n2025-10-27 02:00:01,2\n")
    with pytest.raises(MeterError, match="goes back in time") as caught:
        read_log(path, timezone="Europe/Berlin")
    assert "--timezone" not in caught.value.hint


def test_a_log_redirected_by_powershell_is_read(tmp_path):
    """UTF-16 with its byte order mark."""
    path = tmp_path / "log.csv"
    path.write_bytes("time,power_w\r\n1750075200,10\r\n1750075201,20\r\n".encode("utf-16"))
    assert read_log(path).sample.value.tolist() == [10, 20]


def test_the_range_of_powers_is_told(tmp_path):
    """A unit that was misread shows there."""
    assert "powers from 0.2 to 0.215 W" in read_log(written(tmp_path, "time;power [mW]\n1750075200;200.0\n1750075201;215.0\n")).notes


def test_a_clock_set_back_by_the_end_of_daylight_saving(tmp_path):
    """Under one fixed offset the log goes back in time: told, not sorted."""
    with pytest.raises(MeterError, match="goes back in time by 35"):
        read_log(
            written(tmp_path, "time,power_w\n2025-10-26 02:59:50,1\n2025-10-26 02:59:59,1\n2025-10-26 02:00:00,2\n"), utc_offset_s=3600
        )


# --- nvidia-smi ---

SMI = "timestamp, index, power.draw [W], power.draw.instant [W], power.limit [W]\n"


def test_nvidia_smi_has_its_units_in_the_header_or_in_the_cells(tmp_path):
    """The explicit reading of now is preferred; another column on demand; the limit is no power."""
    path = written(
        tmp_path, SMI + "2025/06/16 14:00:00.000, 0, 78.66 W, 80.5 W, 400 W\n2025/06/16 14:00:00.100, 0, 78.7 W, 81.5 W, 400 W\n"
    )
    log = read_log(path, "nvidia-smi", timezone="Europe/Berlin")
    assert (log.channel, log.sample.value.tolist()) == ("power.draw.instant", [80.5, 81.5])
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S, NOON_S + 0.1], abs=1e-4)
    assert read_log(path, channel="power.draw", utc_offset_s=7200).sample.value.tolist() == [78.66, 78.7]
    with pytest.raises(MeterError, match="no channel"):
        read_log(path, channel="power.limit", utc_offset_s=7200)


def test_the_cards_of_one_file_are_channels(tmp_path):
    """Rows of two cards are never one series."""
    rows = [f"2025/06/16 14:00:0{k}.000, {card}, {10 + card}, {100 * (card + 1)}, 400" for k in range(3) for card in range(2)]
    path = written(tmp_path, SMI + "\n".join(rows))
    with pytest.raises(MeterError, match="several channels"):
        read_log(path, utc_offset_s=0)
    assert read_log(path, utc_offset_s=0, channel="power.draw.instant of index 1").sample.value.tolist() == [200, 200, 200]
    with pytest.raises(MeterError, match=r"no column holds times|small numbers"):
        read_log(written(tmp_path, "time,power_w\n1,1\n"), "nvidia-smi")
    with pytest.raises(MeterError, match="no format"):
        read_log(path, "xml")


# --- MLPerf ---


def session(folder, declared_s=21600, start_s=1616120950.0, rows=None, folder_name="run_1"):
    """A session as the client leaves it: local time is UTC-5 with daylight saving, the field says UTC-6 without."""
    rows = rows or [f"Time,03-18-2021 21:29:{10 + k}.500,Watts,{500 + k},Volts,206,Amps,2.4,PF,0.95,Mark,x" for k in range(40)]
    written(folder, "\n".join(rows) + "\n", f"{folder_name}/spl.txt")
    written(
        folder,
        f'{{"timezone": {declared_s}, "phases": {{"testing": [[0, 0], [{start_s}, 1], [{start_s + 40}, 2], [0, 0]]}}}}',
        "power/client.json",
    )
    marks = [
        f':::MLLOG {{"key": "power_{name}", "value": "03-18-2021 21:29:{at}", "x": 1}}'
        for name, at in (("begin", "20.000"), ("end", "40.000"))
    ]
    written(folder, "\n".join(marks), f"{folder_name}/mlperf_log_detail.txt")
    return folder / folder_name / "spl.txt"


def test_the_zone_of_an_mlperf_log_comes_from_the_marks(tmp_path):
    """Its `timezone` field ignores daylight saving: the offset is found, and said; an explicit one wins."""
    path = session(tmp_path)
    log = read_log(path)
    assert log.sample.t_s[0] == pytest.approx(1616120950.5)
    assert log.marks == pytest.approx({"power_begin": 1616120960.0, "power_end": 1616120980.0})
    assert any("UTC-05:00 by the session's marks" in s and "UTC-06:00" in s for s in log.notes)
    assert integrate(log.sample, *log.marks.values()) == pytest.approx(20 * 519.5)
    assert read_log(path, utc_offset_s=-21600).sample.t_s[0] == pytest.approx(1616120950.5 + 3600)
    assert not any("marks" in s for s in read_log(path, timezone="America/Chicago").notes)


def test_an_mlperf_log_without_its_session_names_no_zone(tmp_path):
    """Nothing is guessed; neither where the session's marks are hours of no zone away."""
    path = session(tmp_path / "a")
    (tmp_path / "a" / "power" / "client.json").unlink()
    assert read_log(path).local
    assert read_log(session(tmp_path / "b", start_s=1616120950.0 + 440)).local
    assert read_log(session(tmp_path / "c", folder_name="elsewhere")).local


def test_a_meter_of_several_channels_repeats_its_keys(tmp_path):
    """The total comes first; -1 is what it has not, and missing."""
    rows = [
        f"Time,03-18-2021 21:29:{10 + k}.500,Watts,{300 if k else -1},Volts,-1,Amps,-1,PF,-1,Mark,x,Ch1,Watts,100,Volts,230,Ch2,Watts,200,Volts,230"
        for k in range(5)
    ]
    path = session(tmp_path, rows=rows)
    assert np.array_equal(read_log(path).sample.value, [np.nan, 300, 300, 300, 300], equal_nan=True)
    assert read_log(path, channel="channel 2").sample.value.tolist() == [200] * 5


def test_a_row_that_was_cut_is_left_out(tmp_path):
    """The meter's program was killed in the middle of it."""
    rows = [f"Time,03-18-2021 21:29:{10 + k}.500,Watts,{500 + k},Mark,x" for k in range(40)]
    log = read_log(session(tmp_path, rows=[*rows, "Time,03-18-2021 21:29:5"]))
    assert len(log.sample.value) == 40
    assert any("1 of 41 rows" in s for s in log.notes)
    with pytest.raises(MeterError, match="no row"):
        read_log(written(tmp_path, "hello\n", "spl.txt"), "mlperf")


def test_doubts_of_a_meter_count_inside_the_window_alone(tmp_path):
    """It settles before the first mark."""
    lines = [f"03-18-2021 21:29:{s}.000: WARNING: Uncertainty unknown for the last measurement sample! channel 0" for s in (12, 25, 35, 45)]
    begin_s = 1616102960.0
    assert uncertain_rows("\n".join(lines), begin_s, begin_s + 20) == 2
    assert uncertain_rows("", begin_s, begin_s + 20) == 0
    path = session(tmp_path)
    written(tmp_path, "\n".join(lines), "power/ptd_logs.txt")
    assert any("2 readings between the marks" in s for s in read_log(path).notes)


# --- rules ---


def test_rows_that_carry_the_mean_of_what_was_want_the_rectangle_rule(tmp_path):
    """A step inside: the trapezoid is wrong at both ends, the rectangle is exact."""
    log = read_log(written(tmp_path, "time,power_w\n" + "".join(f"{NOON_S + k},{w}\n" for k, w in enumerate([0, 10, 10, 90, 90]))))
    assert integrate_means(log.sample, NOON_S, NOON_S + 4) == pytest.approx(200)
    assert integrate(log.sample, NOON_S, NOON_S + 4) == pytest.approx(155)


# --- other people's files, where they are at hand ---

here = pytest.mark.skipif(not DATA.is_dir(), reason="the files of other people are not here: HARNESS_DATA names their folder")


@here
def test_the_energy_of_a_published_session(tmp_path):
    """955,892 J between its marks, within 0.1 %."""
    with tarfile.open(next(DATA.glob("mlperf*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    log = read_log(next(tmp_path.glob("*/run_1/spl.txt")))
    assert integrate(log.sample, *log.marks.values()) == pytest.approx(955_892, rel=1e-3)


@here
def test_the_update_period_of_an_a100():
    """0.10 s, from the ticks of a reading polled at 12 ms."""
    log = read_log(DATA / "nvidia_smi_A100_update_period.csv", utc_offset_s=0)
    assert float(np.median(np.diff(ticks(log.sample).t_s))) == pytest.approx(0.10, abs=0.005)
