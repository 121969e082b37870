"""Dates and times are read in every common notation, or refused if they can be read in two ways."""

from __future__ import annotations

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.timestamps import read_times
from tests.meters.logs import (
    COMMAND,
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
    "AM and PM": (table("Time,Power (W)", lambda t, w: f"{iso(t, '%m/%d/%Y %I:%M:%S %p')},{w}"), LOCAL, 1),
    "a month by its name": (table("Time,Power (W)", lambda t, w: f"{iso(t, '%d-%b-%Y %H:%M:%S')},{w}"), LOCAL, 1),
    "a year of two digits": (table("Time,Power (W)", lambda t, w: f"{iso(t, '%d/%m/%y %H:%M:%S')},{w}"), {**LOCAL, "date_order": "dmy"}, 1),
    "milliseconds since a local start": (
        table("Timestamp(ms),power_w", lambda t, w: f"{(t - NOON_S) * 1000:.0f},{w}"),
        {"start": "2025-06-16T14:00:00", "timezone": "Europe/Berlin"},
        1,
    ),
    "nanoseconds since a boot": (
        table("monotonic_ns,power_w", lambda t, w: f"{(t - NOON_S + 5000) * 10**9},{w}"),
        {"start": str(NOON_S - 5000)},
        1,
    ),
    "MEZ is not UTC": (table("time,P [W]", lambda t, w: f"{iso(t + 3600)}.000000 MEZ,{w}"), {"utc_offset_s": 3600}),
    "a German month": (table("Zeit;P [W]", lambda t, w: f"{iso(t, '%d. Jun. %Y %H:%M:%S')};{comma(w)}"), LOCAL),
    "minutes and seconds of a spreadsheet": (
        table("Time,P [W]", lambda t, w: f"{iso(t - NOON_S, '%M:%S')}.0,{w}"),
        {"start": "2025-06-16T12:00:00+00:00"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "a day or a month": (table("Time,P [W]", lambda t, w: f"{iso(t - 8 * 86400, '%d/%m/%Y %H:%M:%S')},{w}"), LOCAL, "--date-order"),
    "seconds of no unit": (table("time,power_w", lambda t, w: f"{t - NOON_S},{w}"), {}, "--time-unit s"),
    "a spreadsheet's days": (table("Time,P [W]", lambda t, w: f"{25569 + t / 86400:.8f},{w}"), {}, "export again"),
    "milliseconds that look like seconds": (table("time_ms,power_w", lambda t, w: f"{t},{w}"), {}, "--time-unit s"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


def test_the_day_comes_first_where_only_that_can_be(tmp_path):
    """16.06. and 16/06 are not months; AM and PM are read."""
    for first, second in (("16.06.2025 12:00:00", "16.06.2025 12:00:01"), ("06/16/2025 12:00:00 PM", "06/16/2025 12:00:01 PM")):
        log = read_log(written(tmp_path, f"time,power_w\n{first},1\n{second},2\n"), utc_offset_s=0)
        assert log.sample.t_s.tolist() == [NOON_S, NOON_S + 1]


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-16 14:00:{s}.250000 GMT+0200",
        "2025-06-16 14:00:{s}.25 UTC+2",
        "2025-06-16 14:00:{s}.2500000+02:00[Europe/Berlin]",
        "2025-06-16T12:00:{s}.250000z",
        "2025-06-16 14:00:{s}.250000 +0200 CEST",
        "Mon Jun 16 2025 14:00:{s}.25 GMT+0200 (Central European Summer Time)",
    ],
)
def test_times_carry_their_zone(tmp_path, text):
    """As JavaScript, Go, Java, .NET and spreadsheets write it."""
    rows = [f"{text.format(s=f'{k:02d}')};{w}" for k, w in enumerate(WATTS)]
    log = read_log(written(tmp_path, "\n".join(["time;P [W]", *rows]) + "\n"))
    assert not log.local
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + 0.25 + k for k in range(len(WATTS))])


@pytest.mark.parametrize("form", ["%d/%m/%Y %H.%M.%S", "%Y-%m-%d_%H-%M-%S", "%d-%b-%y %I:%M:%S %p"])
def test_local_times_with_other_marks(tmp_path, form):
    """Points or dashes in the time of day, two digits of the year."""
    log = read_log(written(tmp_path, table("time;P [W]", lambda t, w: f"{iso(t, form)};{w}")), **LOCAL)
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + k for k in range(len(WATTS))])


def test_both_readings_of_a_date_are_proposed(tmp_path):
    """With the dates that they give."""
    text = table("time,P [W]", lambda t, w: f"{iso(t - 5 * 86400, '%y/%m/%d %H:%M:%S')},{w}")
    with pytest.raises(MeterError, match="25/06/11 is 2011-06-25 or 2025-06-11") as caught:
        read_log(written(tmp_path, text), command=COMMAND, **LOCAL)
    assert [line.split()[-1] for line in caught.value.hint.split("\n") if "harness" in line] == ["dmy", "ymd"]
    assert read_log(written(tmp_path, text), date_order="ymd", **LOCAL).sample.t_s[0] == NOON_S - 5 * 86400


@pytest.mark.parametrize(
    ("texts", "name", "origin", "first_s"),
    [
        (["1750075200", "1750075201"], "t", "unix", NOON_S),
        (["1750075200000", "1750075201000"], "t", "unix", NOON_S),
        (["12:00:00", "12:00:01"], "t", "day", 43_200),
        (["01:02.5", "01:03.5"], "t", "elapsed", 62.5),
        (["5", "6"], "time_min", "elapsed", 300),
        (["2025-06-16T12:00:00Z", ""], "t", "unix", NOON_S),
        (["20250616 120000", "20250616 120001"], "t", "local", NOON_S),
    ],
)
def test_times_state_what_they_count_from(texts, name, origin, first_s):
    """By their size, their form, or the name of the column."""
    times = read_times(texts, name)
    assert (times.origin, times.t_s[0]) == (origin, first_s)


def test_times_of_day_run_on_after_midnight():
    """A step back of more than half a day is the next one."""
    assert read_times(["23:59:59", "00:00:01"]).t_s.tolist() == [86_399, 86_401]
