"""The column of times, its start and its zone are found."""

from __future__ import annotations

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.formats import registry
from harness.meters.options import Options
from harness.meters.table import delimited
from harness.meters.time_column import times_of
from tests.meters.logs import (
    LOCAL,
    NOON_S,
    WATTS,
    check_read,
    check_refused,
    iso,
    table,
    written,
)

READ = {
    "UTC+2 in the header": (table("Time (UTC+2),Power (W)", lambda t, w: f"{iso(t + 7200)},{w}"), {}, 1),
    "a zone in the header": (table("Time Bucket (Europe/Berlin),Mains (kWatts)", lambda t, w: f"{iso(t + 7200)},{w / 1000:.5f}"), {}, 1),
    "seconds since a start": (table("time_s,power_w", lambda t, w: f"{t - NOON_S},{w}"), {"start": "2025-06-16T14:00:00+02:00"}, 1),
    "a time of day with its date": (
        table("Time,Power (W)", lambda t, w: f"{iso(t, '%H:%M:%S')}.000,{w}"),
        {"start": "2025-06-16", **LOCAL},
        1,
    ),
    "Intel Power Gadget: a cycle counter in the range of Unix time, milliseconds after a colon, a footer": (
        table(
            "System Time,RDTSC,Elapsed Time (sec),Processor Power_0(Watt),Cumulative Processor Energy_0(Joules),Package PL1_0(Watt)",
            lambda t, w: f"{iso(t, '%H:%M:%S')}:000,{1750000000000000 + t % 100},{t - NOON_S}.0,{w},{t % 100},125.0",
        )
        + "\nTotal Elapsed Time (sec) = 20\nMeasured RDTSC Frequency (GHz) = 3.0\nAverage Processor Power_0 (Watt) = 600\n",
        {**LOCAL, "start": "2025-06-16"},
        1.0,
        WATTS,
        3,
    ),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "two clocks": (table("start,end,power_w", lambda t, w: f"{t},{t + 5},{w}"), {}, "--time-column"),
    "a day as the start of seconds": (table("time_s,power_w", lambda t, w: f"{t - NOON_S},{w}"), {"start": "2025-06-16"}, "T12:00:00"),
    "start and end of each row": (table("start_time,end_time,power_w", lambda t, w: f"{t - 1},{t},{w}"), {}, "--time-column end_time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


def test_a_date_and_a_time_of_two_columns(tmp_path):
    """They are joined; the caller gives the zone."""
    path = written(tmp_path, "Date,Time,Watts\n2025-06-16,14:00:00,10\n2025-06-16,14:00:01,20\n")
    assert read_log(path).local
    assert read_log(path, timezone="Europe/Berlin").sample.t_s.tolist() == [NOON_S, NOON_S + 1]
    assert read_log(path, utc_offset_s=7200).sample.t_s.tolist() == [NOON_S, NOON_S + 1]


def test_a_column_of_dates_and_times_names_no_zone(tmp_path):
    """`Date/Time` looks like `Europe/Berlin`."""
    log = read_log(written(tmp_path, table("Date/Time,P [W]", lambda t, w: f"{iso(t)},{w}")))
    assert log.local
    assert not read_log(written(tmp_path, table("Time (America/New_York),P [W]", lambda t, w: f"{iso(t)},{w}"))).local


def test_a_rate_is_no_time(tmp_path):
    """MangoHud's core clock stays the same; its elapsed time runs on."""
    text = table("fps,gpu_core_clock,gpu_power,elapsed", lambda t, w: f"60,1500,{w},{(t - NOON_S) * 1_000_000_000}")
    log = read_log(written(tmp_path, text), unit="W", time_unit="ns", start=str(NOON_S))
    assert log.sample.t_s[[0, -1]].tolist() == [NOON_S, NOON_S + 19]


def test_a_date_is_joined_with_its_time_of_day():
    """Both columns are taken, and are then no power."""
    log = delimited("log.csv", table("Day,Clock,power_w", lambda t, w: f"{iso(t, '%Y-%m-%d')},{iso(t, '%H:%M:%S')},{w}"), Options())
    rows = times_of(log, registry.formats()["csv"], Options())
    assert (rows.columns, rows.local, rows.floating, rows.t_s[0]) == ({0, 1}, True, False, NOON_S)


@pytest.mark.parametrize(("start", "message"), [("soon", "cannot be 'soon'"), ("2025-06-16", "is a date")])
def test_a_start_that_does_not_fit_is_refused(start, message):
    """Seconds since a start need a time of day."""
    log = delimited("log.csv", table("time_s,power_w", lambda t, w: f"{t - NOON_S},{w}"), Options())
    with pytest.raises(MeterError, match=message):
        times_of(log, registry.formats()["csv"], Options(start=start))
